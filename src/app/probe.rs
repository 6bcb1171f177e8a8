//! `kalive probe`'s way from arguments to bytes.

use std::io::Write;

use super::{Picture, Surroundings, told, warn};
use crate::cli::probe::ProbeArgs;
use crate::cli::{Global, TestOutput};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::probe::Plan;
use crate::render::probe::Renderer;
use crate::report::probe::Report;
use crate::run::probe::Event;
use crate::sys::resolve;
use crate::sys::signals::{Interrupt, Interrupts};
use crate::{plan, render, run};

pub(super) fn probe(
    args: &ProbeArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::probe::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
    let mut renderer = Renderer::new(global.output, surroundings.layout(global.color));
    let measured = measure(&plan, &mut renderer, out, err);
    let (report, interrupt) = told(
        measured,
        "kalive probe",
        global.output == TestOutput::Junit,
        out,
    )?;
    let printed = renderer.finish(out, &plan, &report);
    let drawn = picture.draw(|file, at| render::probe::picture(file, &plan, &report, at));
    printed.map_err(Error::Output).and(drawn)?;
    Ok(match (interrupt, report.holds(&plan)) {
        (Some(interrupt), _) => Exit::Interrupted(interrupt),
        (None, Some(true)) => Exit::Holds,
        (None, Some(false)) => Exit::Negative,
        (None, None) => Exit::Failed,
    })
}

/// Probes all targets, and shows what happens.
fn measure(
    plan: &Plan,
    renderer: &mut Renderer,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(Report, Option<Interrupt>)> {
    let mut report = Report::new(plan);
    let mut tell = |event: Event| {
        if let Event::Unmeasured { why, .. } = &event {
            warn(err, why);
        }
        report.add(plan, &event);
        renderer.event(out, &report, &event).map_err(Error::Output)
    };
    // Before the signals are held: a resolver that hangs can still be interrupted.
    let mut addresses = Vec::with_capacity(plan.targets.len());
    for (target, name) in plan.targets.iter().enumerate() {
        addresses.push(match resolve::addresses(name, plan.families) {
            Ok(found) => found,
            Err(error) => {
                let why = error.to_string();
                tell(Event::Unmeasured { target, why })?;
                Vec::new()
            }
        });
    }
    let interrupts = Interrupts::hold()?;
    let interrupt = run::probe::run(plan, addresses, interrupts, &mut tell)?;
    Ok((report, interrupt))
}

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
    let (report, ended) = measure(&plan, &mut renderer, out, err)?;
    let tells = match &ended {
        Ok(_) => true,
        Err(Error::Output(_)) => false,
        // What one target ran into is no reason to keep what is known of the others.
        Err(_) => report.has_learned(),
    };
    let ended = if tells {
        let printed = renderer.finish(out, &plan, &report);
        let drawn = picture.draw(|file, at| render::probe::picture(file, &plan, &report, at));
        printed.map_err(Error::Output).and(drawn)?;
        ended
    } else {
        told(
            ended,
            "kalive probe",
            global.output == TestOutput::Junit,
            out,
        )
    };
    Ok(match (ended?, report.holds(&plan)) {
        (Some(interrupt), _) => Exit::Interrupted(interrupt),
        (None, Some(true)) => Exit::Holds,
        (None, Some(false)) => Exit::Negative,
        (None, None) => Exit::Failed,
    })
}

/// Probes all targets, and shows what happens; then how that ended.
fn measure(
    plan: &Plan,
    renderer: &mut Renderer,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(Report, Result<Option<Interrupt>>)> {
    // Before the signals are held: a resolver that hangs can still be interrupted.
    let mut unresolved = Vec::new();
    let mut addresses = Vec::new();
    for (index, target) in plan.targets.iter().enumerate() {
        let found = resolve::addresses(target, plan.families);
        addresses.push(found.unwrap_or_else(|error| {
            warn(err, &error.to_string());
            unresolved.push(Event::Unresolved {
                target: index,
                why: error.to_string(),
            });
            Vec::new()
        }));
    }
    let interrupts = Interrupts::hold()?;
    let mut report = Report::new(plan);
    let mut tell = |event: Event| {
        report.add(plan, &event);
        renderer.event(out, &report, &event).map_err(Error::Output)
    };
    for event in unresolved {
        tell(event)?;
    }
    let ended = run::probe::run(plan, addresses, interrupts, &mut tell);
    Ok((report, ended))
}

//! `kalive probe`'s way from arguments to bytes.

use std::io::Write;

use super::{Picture, Surroundings, told};
use crate::cli::probe::ProbeArgs;
use crate::cli::{Global, TestOutput};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::probe::Plan;
use crate::render::probe::Renderer;
use crate::report::probe::Report;
use crate::sys::resolve;
use crate::sys::signals::{Interrupt, Interrupts};
use crate::{plan, render, run};

pub(super) fn probe(
    args: &ProbeArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::probe::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
    let mut renderer = Renderer::new(global.output, surroundings.layout(global.color));
    let measured = measure(&plan, &mut renderer, out);
    let (report, interrupt) = told(
        measured,
        "kalive probe",
        global.output == TestOutput::Junit,
        out,
    )?;
    let printed = renderer.finish(out, &plan, &report);
    let drawn = picture.draw(|file, at| render::probe::picture(file, &plan, &report, at));
    printed.map_err(Error::Output).and(drawn)?;
    Ok(match interrupt {
        Some(interrupt) => Exit::Interrupted(interrupt),
        None if report.holds(&plan) => Exit::Holds,
        None => Exit::Negative,
    })
}

/// Probes all targets, and shows what happens.
fn measure(
    plan: &Plan,
    renderer: &mut Renderer,
    out: &mut dyn Write,
) -> Result<(Report, Option<Interrupt>)> {
    // Before the signals are held: a resolver that hangs can still be interrupted.
    let addresses: Vec<_> = plan
        .targets
        .iter()
        .map(|target| resolve::addresses(target, plan.families))
        .collect::<Result<_>>()?;
    let interrupts = Interrupts::hold()?;
    let mut report = Report::new(plan);
    let interrupt = run::probe::run(plan, addresses, interrupts, &mut |event| {
        report.add(plan, &event);
        renderer.event(out, &report, &event).map_err(Error::Output)
    })?;
    Ok((report, interrupt))
}

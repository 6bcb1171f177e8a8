//! `kalive probe`'s way from arguments to bytes.

use std::io::Write;

use super::{Picture, Surroundings};
use crate::cli::probe::ProbeArgs;
use crate::cli::{Global, TestOutput};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::sys::resolve;
use crate::sys::signals::Interrupts;
use crate::{plan, render, report, run};

pub(super) fn probe(
    args: &ProbeArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::probe::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
    // Before the signals are held: a resolver that hangs can still be interrupted.
    let addresses: Vec<_> = plan
        .targets
        .iter()
        .map(|target| resolve::addresses(target, plan.families))
        .collect::<Result<_>>()?;
    let interrupts = Interrupts::hold()?;
    let mut renderer =
        render::probe::Renderer::new(global.output, surroundings.layout(global.color));
    let mut report = report::probe::Report::new(&plan);
    let ended = run::probe::run(&plan, addresses, interrupts, &mut |event| {
        report.add(&plan, &event);
        renderer.event(out, &report, &event).map_err(Error::Output)
    });
    let tells = match &ended {
        Ok(_) => true,
        Err(Error::Output(_)) => false,
        // What one target ran into is no reason to keep what is known of the others.
        Err(_) => report.has_learned(),
    };
    if tells {
        renderer
            .finish(out, &plan, &report)
            .map_err(Error::Output)?;
        picture.draw(|file, at| render::probe::picture(file, &plan, &report, at))?;
    }
    Ok(match ended? {
        Some(interrupt) => Exit::Interrupted(interrupt),
        None if report.holds(&plan) => Exit::Holds,
        None => Exit::Negative,
    })
}

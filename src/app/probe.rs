//! `kalive probe`'s way from arguments to bytes.

use std::io::Write;

use super::{Picture, Surroundings, warn};
use crate::cli::probe::ProbeArgs;
use crate::cli::{Global, TestOutput};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::run::probe::Event;
use crate::sys::resolve;
use crate::sys::signals::Interrupts;
use crate::{plan, render, report, run};

pub(super) fn probe(
    args: &ProbeArgs,
    global: Global<TestOutput>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::probe::plan(args)?;
    let picture = Picture::new(args.svg.as_deref())?;
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
    let mut renderer =
        render::probe::Renderer::new(global.output, surroundings.layout(global.color));
    let mut report = report::probe::Report::new(&plan);
    let mut tell = |event: Event| {
        report.add(&plan, &event);
        renderer.event(out, &report, &event).map_err(Error::Output)
    };
    for event in unresolved {
        tell(event)?;
    }
    let ended = run::probe::run(&plan, addresses, interrupts, &mut tell);
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
    Ok(match (ended?, report.holds(&plan)) {
        (Some(interrupt), _) => Exit::Interrupted(interrupt),
        (None, Some(true)) => Exit::Holds,
        (None, Some(false)) => Exit::Negative,
        (None, None) => Exit::Failed,
    })
}

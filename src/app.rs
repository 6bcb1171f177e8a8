//! Runs a command line: each subcommand's way from arguments over plan, run and report to bytes. The
//! one place that knows all of them.

mod probe;

use std::io::{self, Write};

use crate::cli::inspect::InspectArgs;
use crate::cli::lab::LabArgs;
use crate::cli::{Cli, Command, Global};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::generate;
use crate::lab::Lab;
use crate::plan;
use crate::plan::lab::Work;
use crate::render::{self, Layout};
use crate::report;
use crate::run::inspect::{Event, Stop};
use crate::run::lab::Ended;
use crate::sys::guard::{self, Side};
use crate::sys::signals::Interrupts;

/// What a subcommand may know of the world around it.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Its width in columns, or what the user asked for; `None` if neither is known.
    pub columns: Option<usize>,
    /// Whether the user wants no colours anywhere (`NO_COLOR`).
    pub no_color: bool,
}

/// The width of a summary where nothing tells another.
const COLUMNS: usize = 80;

impl Surroundings {
    fn layout(&self, global: Global) -> Layout {
        Layout {
            width: self.columns.unwrap_or(COLUMNS),
            cut: self.stdout_is_terminal,
            colored: global
                .color
                .decide(self.stdout_is_terminal && !self.no_color),
        }
    }
}

/// Runs what the command line asks for. Results go to `out`, warnings to `err`.
///
/// # Errors
/// When it could not be measured, the call was wrong, or the result could not be written.
pub fn run(
    cli: &Cli,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let exit = match &cli.command {
        Command::Inspect(args) => inspect(args, cli.global, surroundings, out, err)?,
        Command::Probe(args) => probe::probe(args, cli.global, surroundings, out)?,
        Command::Lab(args) => lab(args, cli.global, surroundings, out, err)?,
        Command::Completions { shell } => {
            generate::completions(*shell, out).map_err(Error::Output)?;
            Exit::Holds
        }
        Command::Man { page } => {
            generate::man(page.as_deref(), out)?;
            Exit::Holds
        }
    };
    out.flush().map_err(Error::Output)?;
    Ok(exit)
}

fn inspect(
    args: &InspectArgs,
    global: Global,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::inspect::plan(args)?;
    let mut interrupts = Interrupts::hold()?;
    let mut interrupt = None;
    let mut renderer =
        render::inspect::Renderer::new(global.output, &plan, surroundings.layout(global));
    let mut report = report::inspect::Report::new(&plan);
    let ended = crate::run::inspect::run(&plan, &mut |event| {
        report.add(&event);
        if let Event::Socket(row) = &event {
            renderer.socket(out, row).map_err(Error::Output)?;
        }
        if report.count.is_multiple_of(SOCKETS_BETWEEN_LOOKS) {
            interrupt = interrupts.pending();
        }
        if interrupt.is_some() {
            Err(Stop::Interrupted)
        } else {
            Ok(())
        }
    });
    match ended {
        Err(Stop::Failed(error)) => return Err(error),
        Ok(()) | Err(Stop::Interrupted) => {}
    }
    renderer.finish(out, &report).map_err(Error::Output)?;
    out.flush().map_err(Error::Output)?;
    for incomplete in &report.incomplete {
        warn(err, &render::inspect::warning(incomplete));
    }
    Ok(match interrupt {
        Some(interrupt) => Exit::Interrupted(interrupt),
        None => verdict(&plan, &report),
    })
}

/// Any connection at risk is a negative answer; one that cannot be judged is none if that was asked for.
fn verdict(plan: &plan::inspect::Plan, report: &report::inspect::Report) -> Exit {
    match report.survives {
        Some(survives) if survives.verdicts.at_risk > 0 => Exit::Negative,
        Some(survives) if plan.strict && survives.verdicts.unknown > 0 => Exit::Failed,
        Some(_) | None => Exit::Holds,
    }
}

fn lab(
    args: &LabArgs,
    global: Global,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::lab::plan(args);
    let inside = match guard::split()? {
        Side::Guard { code } => return Ok(Exit::Command(code)),
        Side::Inside(inside) => inside,
    };
    crate::lab::become_root()?;
    inside.watch_guard()?;
    let lab = Lab::build(&plan.lab)?;
    for line in render::lab::announcement(&plan) {
        warn(err, &line);
    }
    let mut report = report::lab::Report::new(&plan);
    let ended = crate::run::lab::run(&plan, &lab, &inside, &mut |event| {
        report.add(event);
        if let crate::run::lab::Event::Changed(step) = event {
            warn(err, &render::lab::changed(&report::lab::Changed::new(step)));
        }
        render::lab::event(out, global.output, event).map_err(Error::Output)
    })?;
    report.complete = ended == Ended::Tried;
    if matches!(plan.work, Work::Demonstration(_)) {
        let layout = surroundings.layout(global);
        render::lab::finish(out, global.output, &report, layout).map_err(Error::Output)?;
    }
    drop(lab);
    guard::end_descendants()?;
    Ok(match ended {
        Ended::Command(code) => Exit::Command(code),
        Ended::Interrupted(interrupt) => Exit::Interrupted(interrupt),
        Ended::Tried if report.agrees() => Exit::Holds,
        Ended::Tried => Exit::Negative,
    })
}

/// How many sockets pass between two looks at whether a signal has come.
const SOCKETS_BETWEEN_LOOKS: u64 = 128;

/// A warning; that it cannot be written is no reason to fail.
fn warn(err: &mut dyn Write, text: &str) {
    let _: io::Result<()> = writeln!(err, "kalive: {text}");
}

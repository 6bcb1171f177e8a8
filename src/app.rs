//! Runs a command line: each subcommand's way from arguments over plan, run and report to bytes. The
//! one place that knows all of them.

mod hold;
mod inspect;
mod probe;
mod record;
mod status;

use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::cli::lab::LabArgs;
use crate::cli::{Cli, Command, Global, Output, TestOutput, When};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::generate;
use crate::lab::Lab;
use crate::plan;
use crate::plan::lab::Work;
use crate::render::{self, Layout};
use crate::report;
use crate::run::lab::Ended;
use crate::sys::guard::{self, Side};
use crate::sys::replace;

/// What a subcommand may know of the world around it.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Its width in columns, or what the user asked for; `None` if neither is known.
    pub columns: Option<usize>,
    /// Whether stderr is a terminal, on which a long run may tell how it goes.
    pub stderr_is_terminal: bool,
    /// Its size at this moment, columns and rows; `None` if it is no terminal.
    pub size: fn() -> Option<(usize, usize)>,
    /// Whether the user wants no colours anywhere (`NO_COLOR`).
    pub no_color: bool,
}

/// The width of a summary where nothing tells another.
const COLUMNS: usize = 80;
/// The height of a screen that does not tell its own.
const ROWS: usize = 24;

impl Surroundings {
    fn layout(&self, color: When) -> Layout {
        Layout {
            width: self.columns.unwrap_or(COLUMNS),
            cut: self.stdout_is_terminal,
            colored: color.decide(self.stdout_is_terminal && !self.no_color),
        }
    }

    /// The columns and rows that a screen may fill: the user's word on the width counts.
    fn size(&self) -> (usize, usize) {
        let (columns, rows) = (self.size)().unwrap_or((COLUMNS, ROWS));
        let narrower = self.columns.filter(|&asked| asked < columns);
        (narrower.unwrap_or(columns), rows)
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
        Command::Inspect(args) => inspect::inspect(args, cli.global, surroundings, out, err)?,
        Command::Probe(args) => probe::probe(args, of_test(cli)?, surroundings, out, err)?,
        Command::Hold(args) => hold::hold(args, of_test(cli)?, surroundings, out, err)?,
        Command::Lab(args) => lab(args, of_report(cli)?, surroundings, out, err)?,
        Command::Serve(args) => hold::serve(args, of_report(cli)?, out)?,
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

fn of_report(cli: &Cli) -> Result<Global<Output>> {
    cli.global.of_report().map_err(Error::Usage)
}

fn of_test(cli: &Cli) -> Result<Global<TestOutput>> {
    cli.global.of_test().map_err(Error::Usage)
}

fn lab(
    args: &LabArgs,
    global: Global<Output>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let plan = plan::lab::plan(args);
    if matches!(
        (global.output, &plan.work),
        (Output::Json, Work::Command { .. })
    ) {
        return Err(Error::Usage(String::from(
            "-o json is the demonstration's report, and with a command there is none: leave one of them out",
        )));
    }
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
        report.add(&event);
        if let crate::run::lab::Event::Changed(step) = event {
            warn(err, &render::lab::changed(&report::lab::Changed::new(step)));
        }
        render::lab::event(out, global.output, &event).map_err(Error::Output)
    })?;
    report.complete = ended == Ended::Tried;
    if matches!(plan.work, Work::Demonstration(_)) {
        let layout = surroundings.layout(global.color);
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

/// The file that a picture of the result goes to, if one is wanted.
struct Picture<'a>(Option<&'a Path>);

impl<'a> Picture<'a> {
    /// # Errors
    /// When it could not be written now.
    fn new(path: Option<&'a Path>) -> Result<Self> {
        path.map_or(Ok(()), replace::check)?;
        Ok(Self(path))
    }

    /// `draw` is told the time of day (RFC 3339).
    fn draw(&self, draw: impl FnOnce(&mut dyn Write, &str) -> io::Result<()>) -> Result<()> {
        let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        match self.0 {
            Some(path) => replace::replace(path, |file| draw(file, &at)),
            None => Ok(()),
        }
    }
}

/// Who reads the tests only is to learn, too, that there was nothing to test by.
fn told<T>(measured: Result<T>, name: &str, as_tests: bool, out: &mut dyn Write) -> Result<T> {
    match &measured {
        // What was written already is not known.
        Ok(_) | Err(Error::Output(_)) => {}
        Err(_) if !as_tests => {}
        Err(error) => {
            render::junit::failed(out, name, &error.to_string()).map_err(Error::Output)?;
        }
    }
    measured
}

/// A warning; that it cannot be written is no reason to fail.
fn warn(err: &mut dyn Write, text: &str) {
    let _: io::Result<()> = writeln!(err, "kalive: {text}");
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::hostile::attack_text;

    /// Every flag with a value once.
    const LINES: [&str; 8] = [
        "inspect -s --state established,time-wait --local 10.0.0.0/8:80 --peer [::1]:443 --pid 7 --survives 350s",
        "inspect -s --watch 1s --columns state,local,idle --sort idle --keepalive on --source proc --netns 7",
        "probe db:5432 [::1]:80 --idle 5s --interval 1s --count 5 --user-timeout 90s --rounds 3 --for 1h",
        "probe db:1 --send PING\\r\\n\\x00 --expect +PONG --heartbeat 5s --connect-timeout 10s --require alive",
        "hold db:7117 --max 2h --min 1s --resolution 1s --verify 60s,5m --at-least 350s --sessions 256",
        "hold db:1 --direction outbound --connect-rate 50 --max 2h -o json",
        "lab --nat-timeout 5s --on-expiry reset --loss 2.5 --cut-after 3s -- true",
        "serve --listen [::]:7117 --max-sessions 100 --allow 10.0.0.0/8 --max-session-age 1h",
    ];

    fn plan(command: &mut clap::Command, line: &str) -> Result<()> {
        let words = std::iter::once("kalive").chain(line.split_whitespace());
        let cli = command
            .try_get_matches_from_mut(words)
            .and_then(|matches| Cli::from_arg_matches(&matches))
            .map_err(|error| Error::Usage(error.kind().to_string()))?;
        match &cli.command {
            Command::Inspect(args) => plan::inspect::plan(args, cli.global.output).map(drop),
            Command::Probe(args) => plan::probe::plan(args).map(drop),
            Command::Hold(args) => {
                let plan = plan::hold::plan(args)?;
                let _ = plan.at_most();
                plan.first().map(drop)
            }
            Command::Lab(args) => {
                let _ = plan::lab::plan(args);
                Ok(())
            }
            Command::Serve(args) => {
                let _ = plan::serve::plan(args);
                Ok(())
            }
            Command::Completions { .. } | Command::Man { .. } => Ok(()),
        }
    }

    #[test]
    fn hostile_command_lines() {
        // Made once: that takes longer than everything else.
        let command = RefCell::new(Cli::command());
        for line in LINES {
            plan(&mut command.borrow_mut(), line).unwrap();
        }
        attack_text(&LINES, |line| {
            let _ = plan(&mut command.borrow_mut(), line);
        });
    }
}

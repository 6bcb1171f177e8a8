//! The edge between a command line and the library: looks at the terminal and the environment, prints errors,
//! and says with which exit code to end. Nothing else does.

#[path = "stdout.rs"]
mod stdout;

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::Parser as _;
use clap::builder::Styles;
use clap_complete::CompleteEnv;
use kalive::cli::{COMPLETION_VARIABLE, Cli, When};
use kalive::complete::{self, Places};
use kalive::{Error, Exit, Surroundings};
use stdout::Stdout;

/// Does what `words` ask for, of which the first is the program's name.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.collect();
    match completed(&words) {
        Ok(false) => {}
        Ok(true) => return Exit::Holds.into(),
        // The shell that asked shows nothing of it.
        Err(_) => return Exit::Failed.into(),
    }
    let mut out = BufWriter::with_capacity(64 * 1024, Stdout);
    let (color, ended) = match Cli::try_parse_from(&words) {
        Ok(cli) => {
            let ended = kalive::run(&cli, &surroundings(), &mut out, &mut io::stderr());
            (cli.global.color, ended)
        }
        Err(wrong) if wrong.use_stderr() => {
            // One look for all errors: who speaks.
            let text = wrong.render().ansi().to_string();
            complain(When::Auto, &text.replacen("error:", "kalive:", 1));
            return Exit::Failed.into();
        }
        Err(message) => (When::Auto, help(&message, &mut out).map_err(Error::Output)),
    };
    match ended {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Exit::Holds.into(),
        Err(error) => {
            let _ = out.flush();
            let styles = Styles::styled();
            let style = styles.get_error();
            let error = anyhow::Error::from(error);
            complain(color, &format!("{style}kalive:{style:#} {error:#}\n"));
            Exit::Failed.into()
        }
    }
}

/// Help and version are results.
fn help(message: &clap::Error, out: &mut impl io::Write) -> io::Result<Exit> {
    let text = message.render();
    match AutoStream::choice(&io::stdout()) {
        ColorChoice::Never => write!(out, "{text}")?,
        ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => {
            write!(out, "{}", text.ansi())?;
        }
    }
    out.flush()?;
    Ok(Exit::Holds)
}

/// Writes a message with its colours to stderr, or without where they do not suit it.
fn complain(color: When, message: &str) {
    let choice = match color {
        When::Auto => AutoStream::choice(&io::stderr()),
        When::Always => ColorChoice::AlwaysAnsi,
        When::Never => ColorChoice::Never,
    };
    let _ = AutoStream::new(io::stderr(), choice).write_all(message.as_bytes());
}

/// Answers a completion script, if it is one that asks.
fn completed(words: &[OsString]) -> clap::error::Result<bool> {
    let places = Places {
        root: "/".into(),
        home: env::home_dir(),
    };
    CompleteEnv::with_factory(|| complete::command(&places))
        .var(COMPLETION_VARIABLE)
        .try_complete(words.iter().cloned(), env::current_dir().ok().as_deref())
}

fn surroundings() -> Surroundings {
    let stdout = io::stdout();
    Surroundings {
        stdout_is_terminal: stdout.is_terminal(),
        stderr_is_terminal: io::stderr().is_terminal(),
        columns: columns(),
        size,
        no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}

/// The width that `COLUMNS` asks for, else the terminal's.
fn columns() -> Option<usize> {
    let asked = env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    asked
        .filter(|&columns| columns > 0)
        .or_else(|| size().map(|(columns, _)| columns))
}

/// The terminal's columns and rows.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let known = size.ws_col > 0 && size.ws_row > 0;
    known.then_some((size.ws_col.into(), size.ws_row.into()))
}

//! The thin binary: it alone looks at the terminal and the environment, prints errors and ends the
//! process with an exit code.

mod stdout;

use std::env;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::Parser as _;
use kalive::cli::Cli;
use kalive::{Error, Exit, Surroundings};
use stdout::Stdout;

fn main() -> ExitCode {
    let mut out = BufWriter::with_capacity(64 * 1024, Stdout);
    let ended = match Cli::try_parse() {
        Ok(cli) => kalive::run(&cli, &surroundings(), &mut out, &mut io::stderr()),
        Err(message) if message.use_stderr() => {
            // Where it can be written.
            let _ = message.print();
            return Exit::Failed.into();
        }
        Err(message) => help(&message, &mut out).map_err(Error::Output),
    };
    match ended {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Exit::Holds.into(),
        Err(error) => {
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "kalive: {:#}", anyhow::Error::from(error));
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

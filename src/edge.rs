//! The edge between a command line and the library: looks at the terminal and the environment, prints errors,
//! and says with which exit code to end. Nothing else does.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use kalive::cli::Cli;
use kalive::{Error, Exit, Surroundings};

/// Does what `words` ask for, of which the first is the program's name.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version count as success; that they cannot be written does not matter.
            let _ = message.print();
            let wrong = message.use_stderr();
            return if wrong {
                Exit::Failed.into()
            } else {
                Exit::Holds.into()
            };
        }
    };
    let stdout = io::stdout();
    let mut out = BufWriter::with_capacity(64 * 1024, stdout.lock());
    match kalive::run(&cli, &surroundings(), &mut out, &mut io::stderr()) {
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

//! Shell completions, manual pages and JSON Schemas, made from the command line's own description and from the
//! types that are printed.

mod fields;
mod jq;
mod man;
mod overview;
mod schema;

use std::io::{self, Write};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::{Error, Result};
pub use jq::{Jq, examples as jq_examples};

/// Writes the completion script of `shell`.
///
/// # Errors
/// Those of the writer.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kalive", &mut script);
    out.write_all(&script)
}

/// Writes the manual page of kalive, or of one of its subcommands.
///
/// # Errors
/// When there is no such subcommand, or the writer fails.
pub fn man(page: Option<&str>, out: &mut dyn Write) -> Result<()> {
    let pages = pages().map_err(Error::Output)?;
    let wanted = page.map_or_else(|| String::from("kalive"), |name| format!("kalive-{name}"));
    if let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) {
        return out.write_all(page).map_err(Error::Output);
    }
    let names: Vec<&str> = pages
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("kalive-"))
        .collect();
    Err(Error::Usage(format!(
        "there is no page '{}': write one of {}, or nothing for kalive itself",
        page.unwrap_or_default(),
        names.join(", ")
    )))
}

/// Every JSON Schema with the name of its file, such as `kalive.inspect-1.json`.
#[must_use]
pub fn schemas() -> Vec<(String, String)> {
    schema::all()
        .into_iter()
        .map(|(command, schema)| (format!("kalive.{command}-1.json"), format!("{schema:#}\n")))
        .collect()
}

/// Every manual page with its name, such as `kalive-inspect`.
///
/// # Errors
/// None in practice: the pages are written to memory.
pub fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    command.build();
    let subcommands = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set() && subcommand.get_name() != "help");
    let schemas = schema::all();
    std::iter::once(&command)
        .chain(subcommands)
        .map(|command| {
            let name = command.get_bin_name().unwrap_or("kalive").replace(' ', "-");
            let schema = schemas
                .iter()
                .find(|(of, _)| *of == command.get_name())
                .map(|(_, schema)| schema);
            Ok((name, man::page(command, schema)?))
        })
        .collect()
}

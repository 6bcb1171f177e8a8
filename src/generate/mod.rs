//! Shell completions, manual pages and JSON Schemas, made from the command line's own description and from the
//! types that are printed.

mod fields;
mod jq;
mod man;
mod overview;
mod roff;
mod schema;

use std::io::{self, Write};

use clap::CommandFactory as _;
use clap_complete::env::{Elvish, EnvCompleter as _, Fish, Powershell};

use crate::cli::{COMPLETION_VARIABLE as VARIABLE, Cli, Shell};
use crate::error::{Error, Result};
pub use jq::{Jq, examples as jq_examples};

/// clap's own script for bash would have words broken at `=` and `:`, and names with spaces fall apart.
const BASH: &str = include_str!("../../completions/kalive.bash");
/// clap's own script for zsh offers nothing at the first TAB when zsh loads it from its fpath.
const ZSH: &str = include_str!("../../completions/_kalive");

/// The manual pages as they are committed: what makes them is not needed to print them.
const PAGES: [(&str, &str); 8] = [
    ("kalive", include_str!("../../man/kalive.1")),
    (
        "kalive-completions",
        include_str!("../../man/kalive-completions.1"),
    ),
    ("kalive-hold", include_str!("../../man/kalive-hold.1")),
    ("kalive-inspect", include_str!("../../man/kalive-inspect.1")),
    ("kalive-lab", include_str!("../../man/kalive-lab.1")),
    ("kalive-man", include_str!("../../man/kalive-man.1")),
    ("kalive-probe", include_str!("../../man/kalive-probe.1")),
    ("kalive-serve", include_str!("../../man/kalive-serve.1")),
];

/// Writes the completion script of `shell`.
///
/// # Errors
/// Those of the writer.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    const NAME: &str = "kalive";
    match shell {
        Shell::Bash => out.write_all(BASH.as_bytes()),
        Shell::Zsh => out.write_all(ZSH.as_bytes()),
        Shell::Fish => Fish.write_registration(VARIABLE, NAME, NAME, NAME, out),
        Shell::Elvish => Elvish.write_registration(VARIABLE, NAME, NAME, NAME, out),
        Shell::Powershell => Powershell.write_registration(VARIABLE, NAME, NAME, NAME, out),
    }
}

/// Writes the manual page of kalive, or of one of its subcommands.
///
/// # Errors
/// When there is no such subcommand, or the writer fails.
pub fn man(page: Option<&str>, out: &mut dyn Write) -> Result<()> {
    let wanted = page.map_or_else(|| String::from("kalive"), |name| format!("kalive-{name}"));
    if let Some((_, page)) = PAGES.iter().find(|(name, _)| *name == wanted) {
        return out.write_all(page.as_bytes()).map_err(Error::Output);
    }
    let names: Vec<String> = page_names().collect();
    Err(Error::Usage(format!(
        "there is no page '{}': write {}, or nothing for kalive itself",
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

/// What `man` takes: the subcommands that have a page.
pub(crate) fn page_names() -> impl Iterator<Item = String> {
    let names = PAGES
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("kalive-"));
    names.map(String::from)
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

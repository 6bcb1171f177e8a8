//! Turns a report into bytes. Knows formats, widths and colours; writes only to the writer it is given.

pub(crate) mod chart;
pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod json;
mod junit;
pub(crate) mod lab;
pub(crate) mod list;
pub(crate) mod probe;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod text;
mod xml;

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Output;

/// How a result for people is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The width of summaries, in columns.
    pub(crate) width: usize,
    /// Whether rows of a list are cut at that width, as on a terminal.
    pub(crate) cut: bool,
    /// Whether to colour. A colour is never the only sign of anything.
    pub(crate) colored: bool,
}

impl Layout {
    /// Of text that stands in another document.
    pub(crate) const LOG: Self = Self {
        width: 80,
        cut: false,
        colored: false,
    };
}

/// Writes a report in the format that was asked for; `table` writes the one for people.
pub(crate) fn report(
    out: &mut dyn Write,
    output: Output,
    schema: &'static str,
    report: &impl Serialize,
    table: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    match output {
        Output::Table => table(out),
        Output::Json => json::document(out, schema, report),
        Output::Ndjson => json::event(out, schema, "report", report),
    }
}

//! The formats of `kalive inspect`. Rows are written as they come, the report at the end.

mod cells;
mod summary;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::Layout;
use super::json::{self, Streamed};
use super::list::List;
use crate::cli::Output;
use crate::cli::inspect::Column;
use crate::plan::inspect::Plan;
use crate::report::inspect::{Report, SocketReport};
use crate::run::inspect::{Incomplete, Row};

const SCHEMA: &str = "kalive.inspect/1";

/// One of the formats, and what it needs to know of the plan.
pub(crate) struct Renderer {
    format: Format,
    limit: Option<Duration>,
}

enum Format {
    Summary(Layout),
    List {
        list: List,
        columns: Vec<Column>,
        layout: Layout,
    },
    Document(Option<Streamed>),
    Events,
}

impl Renderer {
    pub(crate) fn new(output: Output, plan: &Plan, layout: Layout) -> Self {
        let format = match (output, plan.list) {
            (Output::Table, false) => Format::Summary(layout),
            (Output::Table, true) => Format::List {
                list: List::new(
                    plan.columns
                        .iter()
                        .map(|&column| cells::heading(column))
                        .collect(),
                    layout,
                ),
                columns: plan.columns.clone(),
                layout,
            },
            (Output::Json, list) => {
                Format::Document(list.then(|| Streamed::new(SCHEMA, "sockets")))
            }
            (Output::Ndjson, _) => Format::Events,
        };
        Self {
            format,
            limit: plan.survives,
        }
    }

    /// A socket that was asked for.
    pub(crate) fn socket(&mut self, out: &mut dyn Write, row: &Row) -> io::Result<()> {
        match &mut self.format {
            Format::Summary(_) | Format::Document(None) => Ok(()),
            Format::List { list, columns, .. } => list.row(out, |index, cell| {
                if let Some(&column) = columns.get(index) {
                    cells::push(cell, column, row, self.limit);
                }
            }),
            Format::Document(Some(streamed)) => {
                streamed.item(out, &SocketReport::new(row, self.limit))
            }
            Format::Events => {
                json::event(out, SCHEMA, "socket", &SocketReport::new(row, self.limit))
            }
        }
    }

    /// The end.
    pub(crate) fn finish(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        match &mut self.format {
            Format::Summary(layout) => summary::write(out, report, *layout),
            Format::List { list, layout, .. } => {
                list.finish(out)?;
                if !layout.cut {
                    return Ok(());
                }
                writeln!(out, "{}", counted(report.count))?;
                summary::survival_below_a_list(out, report, *layout)
            }
            Format::Document(Some(streamed)) => streamed.finish(out, report),
            Format::Document(None) => json::document(out, SCHEMA, report),
            Format::Events => json::event(out, SCHEMA, "report", report),
        }
    }
}

/// What could not be read, as a warning.
pub(crate) fn warning(incomplete: &Incomplete) -> String {
    const SHOWN: usize = 8;
    let mut text = format!("not known: {}: {}", incomplete.what, incomplete.why);
    if !incomplete.pids.is_empty() {
        let pids: Vec<String> = incomplete
            .pids
            .iter()
            .take(SHOWN)
            .map(u32::to_string)
            .collect();
        let more = incomplete.pids.len().saturating_sub(SHOWN);
        let _ = write!(text, " (pid {}", pids.join(", "));
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text.push(')');
    }
    text
}

fn counted(sockets: u64) -> String {
    let plural = if sockets == 1 { "" } else { "s" };
    format!("{sockets} socket{plural}")
}

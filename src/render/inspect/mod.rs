//! The formats of `kalive inspect`. Rows are written as they come, the report at the end.

mod cells;
mod junit;
mod openmetrics;
mod summary;
mod watch;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Layout;
use super::json::{self, Streamed};
use super::list::{List, ListColumn};
use super::text;
use crate::cli::inspect::Column;
use crate::plan::inspect::{Format as Wanted, Plan};
use crate::report::inspect::{Report, SocketReport};
use crate::run::inspect::{Held, Incomplete, Row};
use junit::Cases;
use watch::Line;
pub(crate) use watch::{MARK_WIDTH, Screen};

pub(crate) const SCHEMA: &str = "kalive.inspect/1";

/// An event of NDJSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum EventLine<'a> {
    /// A socket, with -s.
    Socket(SocketReport<'a>),
}

/// One of the formats, and what it needs to know of the plan.
pub(crate) struct Renderer {
    format: Format,
    /// Whether rows are shown.
    list: bool,
    top: usize,
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
    Tests(Cases),
}

impl Renderer {
    /// `None` where metrics are wanted, which show no rows.
    pub(crate) fn new(plan: &Plan, layout: Layout) -> Option<Self> {
        let format = match (&plan.format, plan.list) {
            (Wanted::Table, false) => Format::Summary(layout),
            (Wanted::Table, true) => Format::List {
                list: list(plan, layout),
                columns: plan.columns.clone(),
                layout,
            },
            (Wanted::Json, list) => {
                Format::Document(list.then(|| Streamed::new(SCHEMA, "sockets")))
            }
            (Wanted::Ndjson, _) => Format::Events,
            (Wanted::Junit, _) => Format::Tests(Cases::new(plan.survives?, plan.strict)),
            (Wanted::Openmetrics(_), _) => return None,
        };
        Some(Self::with(plan, format))
    }

    /// Events, whatever was asked for.
    pub(crate) fn events(plan: &Plan) -> Self {
        Self::with(plan, Format::Events)
    }

    fn with(plan: &Plan, format: Format) -> Self {
        Self {
            format,
            list: plan.list,
            top: plan.top,
            limit: plan.survives,
        }
    }

    /// A socket that was asked for.
    pub(crate) fn socket(&mut self, out: &mut dyn Write, row: &Row) -> io::Result<()> {
        if let Format::Tests(cases) = &mut self.format {
            cases.add(row);
            return Ok(());
        }
        if !self.list {
            return Ok(());
        }
        match &mut self.format {
            Format::Summary(_) | Format::Document(None) | Format::Tests(_) => Ok(()),
            Format::List { list, columns, .. } => list.row(out, |index, cell| {
                if let Some(&column) = columns.get(index) {
                    cells::push(cell, column, row, self.limit);
                }
            }),
            Format::Document(Some(streamed)) => {
                streamed.item(out, &SocketReport::new(row, self.limit))
            }
            Format::Events => {
                let socket = SocketReport::new(row, self.limit);
                json::document(out, SCHEMA, &EventLine::Socket(socket))
            }
        }
    }

    /// The end.
    pub(crate) fn finish(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        match &mut self.format {
            Format::Summary(layout) => summary::write(out, report, self.top, *layout),
            Format::List { list, layout, .. } => {
                list.finish(out)?;
                if !layout.cut {
                    return Ok(());
                }
                writeln!(
                    out,
                    "{}{}",
                    text::counted(report.count, "socket"),
                    left_out(list)
                )?;
                summary::below_a_list(out, report, self.top, *layout)
            }
            Format::Document(Some(streamed)) => streamed.finish(out, report),
            Format::Document(None) => json::document(out, SCHEMA, report),
            Format::Events => json::event(out, SCHEMA, "report", report),
            Format::Tests(cases) => cases.write(out, report),
        }
    }
}

fn list(plan: &Plan, layout: Layout) -> List {
    let headings = plan.columns.iter().map(|&column| ListColumn {
        spare: cells::spare(column).filter(|_| !plan.columns_chosen),
        ..cells::heading(column)
    });
    List::new(headings.collect(), layout)
}

/// All metrics of a report; `top` programs are named.
pub(crate) fn openmetrics(out: &mut dyn Write, report: &Report, top: usize) -> io::Result<()> {
    openmetrics::write(out, report, top)
}

/// One round of a watch: the lines that a screen shows, each with what it is compared by.
pub(crate) struct Frame {
    renderer: Renderer,
    text: Vec<u8>,
    /// Those of the rows so far.
    identities: Vec<String>,
}

impl Frame {
    pub(crate) fn new(plan: &Plan, layout: Layout) -> Self {
        let format = if plan.list {
            Format::List {
                list: list(plan, layout),
                columns: plan.columns.clone(),
                layout,
            }
        } else {
            Format::Summary(layout)
        };
        Self {
            renderer: Renderer::with(plan, format),
            text: Vec::new(),
            identities: Vec::new(),
        }
    }

    pub(crate) fn socket(&mut self, row: &Row) -> io::Result<()> {
        self.identities
            .extend(self.renderer.list.then(|| identity(row)));
        self.renderer.socket(&mut self.text, row)
    }

    pub(crate) fn finish(mut self, report: &Report) -> io::Result<Vec<Line>> {
        let heading = report.at.iter().map(|at| Line {
            text: at.clone(),
            identity: None,
        });
        self.renderer.finish(&mut self.text, report)?;
        let text = String::from_utf8_lossy(&self.text);
        // The rows stand behind one heading; all other lines are compared as they are.
        let listed = usize::from(self.renderer.list);
        let rows = self.identities.len();
        let lines = text.lines().enumerate().map(|(index, line)| Line {
            text: line.to_owned(),
            identity: match index.checked_sub(listed) {
                // Its widths may change.
                None => None,
                Some(row) if row < rows => self.identities.get(row).cloned(),
                Some(_) => Some(line.to_owned()),
            },
        });
        Ok(heading.chain(lines).collect())
    }
}

/// What makes a row another one: not the times that run.
fn identity(row: &Row) -> String {
    let socket = row.socket;
    let verdict = row.verdict.map(|verdict| verdict.reason());
    let mut identity = format!(
        "{:?} {:?} {:?} {} {} {:?} {:?} {:?} {verdict:?}",
        row.namespace.id,
        socket.cookie,
        socket.inode,
        socket.local,
        socket.peer,
        socket.state,
        row.enabled(),
        row.options
    );
    if let Held::By(holders) = row.held {
        for holder in holders {
            let _ = write!(identity, " {}:{}", holder.pid, holder.fd);
        }
    }
    identity
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

/// What would let it be read.
pub(crate) fn advice(incomplete: &Incomplete) -> Option<&'static str> {
    let refused = incomplete.why.starts_with("not permitted");
    refused.then_some("to see what is not permitted takes CAP_SYS_PTRACE: run with sudo")
}

/// What a narrow terminal does not show, and how to see it.
fn left_out(list: &List) -> String {
    match &list.left_out()[..] {
        [] => String::new(),
        titles => format!("; too narrow for {}: see --columns", titles.join(", ")),
    }
}

//! An inspection as tests: one case for each connection that --survives judges.

use std::io::{self, Write};
use std::time::Duration;

use super::{cells, warning};
use crate::cli::inspect::Column;
use crate::domain::survival::Verdict;
use crate::render::junit::{self, Came, Case, Suite, Why};
use crate::render::text::full;
use crate::report::inspect::Report;
use crate::run::inspect::{Incomplete, Row};

/// What is asked, and the answers so far.
pub(super) struct Cases {
    /// The silence that connections are judged by.
    limit: Duration,
    /// Whether an unknown verdict is a failure.
    strict: bool,
    judged: Vec<Case>,
}

impl Cases {
    pub(super) fn new(limit: Duration, strict: bool) -> Self {
        Self {
            limit,
            strict,
            judged: Vec::new(),
        }
    }

    /// A connection; sockets that are none are not judged.
    pub(super) fn add(&mut self, row: &Row) {
        let Some(verdict) = row.verdict else { return };
        let cell = |column| {
            let mut text = String::new();
            cells::push(&mut text, column, row, Some(self.limit));
            text
        };
        let why = || Why {
            kind: verdict.reason(),
            message: cell(Column::Survives),
            explanation: verdict.to_string(),
        };
        let came = match verdict {
            Verdict::Protected(_) => Came::Passed,
            Verdict::AtRisk(_) => Came::Failed(why()),
            Verdict::Unknown(_) => self.untold(why()),
        };
        let [process, local, peer] = [Column::Process, Column::Local, Column::Peer].map(cell);
        self.judged.push(Case {
            name: format!("{process} {local} - {peer}"),
            came,
            time: None,
            output: None,
        });
    }

    /// What is not known counts only where that was asked for.
    fn untold(&self, why: Why) -> Came {
        if self.strict {
            Came::Error(why)
        } else {
            Came::Skipped(why)
        }
    }

    /// The end.
    pub(super) fn write(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        let mut cases = std::mem::take(&mut self.judged);
        let hidden = |incomplete: &&Incomplete| incomplete.hides_sockets;
        let hidden: Vec<String> = report
            .incomplete
            .iter()
            .filter(hidden)
            .map(warning)
            .collect();
        if let Some(first) = hidden.first() {
            let why = Why {
                kind: "incomplete",
                message: first.clone(),
                explanation: hidden.join("\n"),
            };
            cases.push(Case {
                name: String::from("every connection can be looked at"),
                came: self.untold(why),
                time: None,
                output: None,
            });
        }
        if cases.is_empty() && report.complete {
            let why = Why {
                kind: "nothing",
                message: String::from("there was no connection to judge"),
                explanation: String::from("None is ESTABLISHED, or none passes the filters."),
            };
            cases.push(Case {
                name: String::from("there are connections to judge"),
                came: self.untold(why),
                time: None,
                output: None,
            });
        }
        if !report.complete {
            cases.push(junit::interrupted());
        }
        junit::write(
            out,
            &Suite {
                name: format!("kalive inspect --survives {}", full(self.limit)),
                class: "kalive.inspect",
                time: None,
                cases,
                warnings: report.incomplete.iter().map(warning).collect(),
            },
        )
    }
}

//! A measurement as a picture.

use std::io::{self, Write};

use super::{charts, table};
use crate::domain::words::counted;
use crate::render::chart::{self, Header};
use crate::render::text::{self, Brief};
use crate::report::hold::{Report, Verdict};

/// Draws the report; `at` says when (RFC 3339).
pub(crate) fn picture(out: &mut dyn Write, report: &Report, at: &str) -> io::Result<()> {
    let answer = report.directions.iter().map(|found| {
        format!(
            "{}: silent connections last {}; {}",
            found.direction,
            table::lasts(found),
            table::then(found)
        )
    });
    let asked = report.at_least.map(|at_least| {
        let answer = match report.verdict(Some(at_least)) {
            Verdict::Holds => "yes",
            Verdict::Negative => "no",
            Verdict::Unknown => "cannot be told",
        };
        format!("at least {}, as was asked: {answer}", text::full(at_least))
    });
    let header = Header {
        title: format!("How long a connection to {} may be silent", report.target),
        answer: answer.chain(asked).collect(),
        said: kept(report)
            .into_iter()
            .chain(recommended(report))
            .chain(table::paragraphs(report))
            .collect(),
        footer: format!(
            "kalive {}, {at}: {}, {}",
            env!("CARGO_PKG_VERSION"),
            counted(report.cost.sessions, "connection"),
            Brief(report.cost.elapsed)
        ),
        at: at.to_owned(),
    };
    chart::picture(out, &header, &charts::of(report))
}

/// The values of --verify, and what became of them.
fn kept(report: &Report) -> Option<String> {
    let those = |holds| {
        let asked = report.verify.iter().filter(|verified| verified.asked);
        let those = asked.filter(|verified| verified.holds() == holds);
        let times: Vec<String> = those
            .map(|verified| text::full(verified.idle).to_string())
            .collect();
        (!times.is_empty()).then(|| times.join(", "))
    };
    let said: Vec<String> = [
        those(true).map(|times| format!("Keepalives after {times} kept the path open.")),
        those(false).map(|times| format!("Keepalives after {times} did not keep the path open.")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!said.is_empty()).then(|| said.join(" "))
}

fn recommended(report: &Report) -> Option<String> {
    let settings = report.settings.as_ref()?;
    let lost = report.recommendation.as_ref()?.survives_lost_probes;
    Some(format!(
        "These settings stay within it, even if {} in a row stay lost: {}.",
        counted(lost, "probe"),
        settings.setsockopt.join(", ")
    ))
}

//! A measurement as a picture.

use std::io::{self, Write};

use super::{charts, table};
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
            text::counted(report.cost.sessions, "connection"),
            Brief(report.cost.elapsed)
        ),
        at: at.to_owned(),
    };
    chart::picture(out, &header, &charts::of(report))
}

/// The values of --verify, and what became of them.
fn kept(report: &Report) -> Option<String> {
    let asked: Vec<String> = report
        .verify
        .iter()
        .filter(|verified| verified.asked)
        .map(|verified| {
            let kept = if verified.holds() { "did" } else { "did not" };
            format!("after {} {kept}", text::full(verified.idle))
        })
        .collect();
    let said = format!("Does keepalive keep the path open? {}.", asked.join(", "));
    (!asked.is_empty()).then_some(said)
}

fn recommended(report: &Report) -> Option<String> {
    let settings = report.settings.as_ref()?;
    let lost = report.recommendation.as_ref()?.survives_lost_probes;
    Some(format!(
        "Holds this path, even if {} in a row stay lost: {}.",
        text::counted(lost, "probe"),
        settings.setsockopt.join(", ")
    ))
}

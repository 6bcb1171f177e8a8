//! A probe as a picture.

use std::io::{self, Write};

use super::{charts, words};
use crate::cli::probe::Outcome;
use crate::plan::probe::Plan;
use crate::render::chart::{self, Header};
use crate::report::probe::Report;

/// Draws the report; `at` says when (RFC 3339).
pub(crate) fn picture(
    out: &mut dyn Write,
    plan: &Plan,
    report: &Report,
    at: &str,
) -> io::Result<()> {
    let targets: Vec<String> = report.targets.iter().map(words::name).collect();
    let answer = report.targets.iter().map(|target| {
        let outcome = target.outcome.map_or("?", Outcome::name);
        let required = if target.outcome == Some(plan.require) {
            String::new()
        } else {
            format!(" ({} was required)", plan.require.name())
        };
        format!("{}: {outcome}{required}", words::name(target))
    });
    let header = Header {
        title: format!("kalive probe {}", targets.join(" ")),
        answer: answer.collect(),
        said: report.targets.iter().map(words::sentence).collect(),
        footer: format!("kalive {}, {at}", env!("CARGO_PKG_VERSION")),
        at: at.to_owned(),
    };
    chart::picture(out, &header, &charts::of(report))
}

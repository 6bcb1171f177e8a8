//! A measurement as tests: one case a direction, and one for each value of --verify.

use std::io::{self, Write};

use super::{charts, table};
use crate::domain::hold::Direction;
use crate::render::junit::{self, Came, Case, Suite, Why};
use crate::render::text::full;
use crate::render::{Layout, chart};
use crate::report::hold::{Found, Report, Verdict, Verified};

pub(super) fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut cases = Vec::new();
    for found in &report.directions {
        cases.push(direction(report, found)?);
    }
    let asked = report.verify.iter().filter(|verified| verified.asked);
    cases.extend(asked.map(|verified| keeper(report, verified)));
    // With --at-least a direction that came to an answer is one, whatever happened after it.
    let unknown = report.inconclusive.as_ref();
    let unknown = unknown.filter(|_| report.at_least.is_none() || report.directions.is_empty());
    cases.extend(unknown.map(|why| Case {
        name: String::from("the path can be measured"),
        came: Came::Error(Why {
            kind: "inconclusive",
            message: why.clone(),
            explanation: said(report),
        }),
        time: Some(report.cost.elapsed),
        output: None,
    }));
    if !report.complete {
        cases.push(junit::interrupted());
    }
    junit::write(
        out,
        &Suite {
            name: format!("kalive hold {}", report.target),
            class: "kalive.hold",
            time: Some(report.cost.elapsed),
            cases,
            warnings: report.warnings.clone(),
        },
    )
}

fn direction(report: &Report, found: &Found) -> io::Result<Case> {
    let lasts = format!("silent connections last {}", table::lasts(found));
    let (name, asked) = match report.at_least {
        Some(at_least) => (
            format!("{}: at least {}", found.direction, full(at_least)),
            format!(", required: at least {}", full(at_least)),
        ),
        None => (
            format!("{}: how long silent connections last", found.direction),
            String::new(),
        ),
    };
    let why = |kind, message| Why {
        kind,
        message,
        explanation: said(report),
    };
    let came = match found.verdict(report.at_least) {
        Verdict::Holds => Came::Passed,
        Verdict::Negative => Came::Failed(why(
            "too-short",
            format!("{lasts}{asked}; {}", table::then(found)),
        )),
        Verdict::Unknown => {
            let cause = found.inconclusive.clone();
            let message = cause.unwrap_or_else(|| format!("{lasts}{asked}"));
            Came::Error(why("inconclusive", message))
        }
    };
    Ok(Case {
        name,
        came,
        time: Some(report.cost.elapsed),
        output: Some(format!("{lasts}\n{}", drawn(report, found.direction)?)),
    })
}

fn drawn(report: &Report, direction: Direction) -> io::Result<String> {
    let mut text = Vec::new();
    let found = report.directions.iter();
    for found in found.filter(|found| found.direction == direction) {
        for chart in charts::of_direction(found, report.at_least) {
            writeln!(text)?;
            chart::draw(&mut text, &chart, Layout::LOG)?;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn keeper(report: &Report, verified: &Verified) -> Case {
    let came = if verified.holds() {
        Came::Passed
    } else {
        let message = if verified.survived {
            "the connection stayed, and data does not pass"
        } else {
            "the connection died"
        };
        Came::Failed(Why {
            kind: "not-kept",
            message: format!("TCP_KEEPIDLE {}: {message}", full(verified.idle)),
            explanation: said(report),
        })
    };
    Case {
        name: format!(
            "keepalive after {} keeps the path open",
            full(verified.idle)
        ),
        came,
        time: Some(report.cost.elapsed),
        output: None,
    }
}

fn said(report: &Report) -> String {
    table::paragraphs(report).join("\n")
}

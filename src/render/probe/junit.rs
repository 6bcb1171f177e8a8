//! A probe as a test: one case a target, which passes if the outcome is the one that --require names.

use std::io::{self, Write};

use super::{charts, words};
use crate::cli::probe::Outcome;
use crate::plan::probe::Plan;
use crate::render::junit::{self, Came, Case, Suite, Why};
use crate::render::text::Measured;
use crate::render::{Layout, chart};
use crate::report::probe::{Report, TargetReport};

pub(super) fn write(out: &mut dyn Write, plan: &Plan, report: &Report) -> io::Result<()> {
    let cases = report.targets.iter().map(|target| case(target, plan));
    let cases: Vec<Case> = cases.collect::<io::Result<_>>()?;
    junit::write(
        out,
        &Suite {
            name: format!("kalive probe --require {}", plan.require.name()),
            class: "kalive.probe",
            // All targets at once.
            time: cases.iter().filter_map(|case| case.time).max(),
            cases,
            warnings: Vec::new(),
        },
    )
}

fn case(target: &TargetReport, plan: &Plan) -> io::Result<Case> {
    let chart = charts::of_target(target).map(|chart| {
        let mut text = Vec::new();
        chart::draw(&mut text, &chart, Layout::LOG)?;
        io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    });
    let time = match (target.connect_s, target.ended_s) {
        (Some(connect), Some(ended)) => Some(connect + ended),
        _ => target.after_s,
    };
    Ok(Case {
        name: target.target.clone(),
        came: came(target, plan.require),
        time,
        output: chart.transpose()?,
    })
}

fn came(target: &TargetReport, required: Outcome) -> Came {
    let why = |outcome: Outcome| {
        let errno = target.errno.as_ref();
        let errno = errno.map_or_else(String::new, |errno| format!(" ({errno})"));
        let after = target.after_s.map_or_else(String::new, |after| {
            format!(" after {}", Measured::About(after))
        });
        let (found, required) = (outcome.name(), required.name());
        Why {
            kind: found,
            message: format!("{found}{errno}{after}, required: {required}"),
            explanation: words::explained(target),
        }
    };
    if let Some(unknown) = &target.outcome_unknown {
        return Came::Error(Why {
            kind: "unmeasured",
            message: unknown.clone(),
            explanation: words::explained(target),
        });
    }
    match target.outcome {
        Some(outcome) if outcome == required => Came::Passed,
        Some(Outcome::Interrupted) | None => Came::Error(why(Outcome::Interrupted)),
        Some(outcome) => Came::Failed(why(outcome)),
    }
}

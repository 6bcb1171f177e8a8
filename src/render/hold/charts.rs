//! Which silences were answered, as charts: all of them, and those around the edge.

use std::time::Duration;

use crate::domain::hold::{Answer, Expiry, Sample};
use crate::render::chart::{Axis, Chart, Content, Kind, Mark, Row};
use crate::render::text::{Measured, full};
use crate::report::hold::{Found, Report, Timeout};

/// A timeout known as well as this, as a share of the axis, is drawn a second time from close by.
const FINE: f64 = 0.02;
/// So many widths of the bracket are shown on each side of it there.
const AROUND: u32 = 7;

/// The charts of all directions that have samples.
pub(super) fn of(report: &Report) -> Vec<Chart> {
    let directions = report.directions.iter();
    directions
        .flat_map(|found| of_direction(found, report.at_least))
        .collect()
}

pub(super) fn of_direction(found: &Found, at_least: Option<Duration>) -> Vec<Chart> {
    let (Some(shortest), Some(longest)) = (found.samples.first(), found.samples.last()) else {
        return Vec::new();
    };
    let upper = found.timeout.map(|timeout| timeout.upper);
    let longest = [Some(longest.latest), upper, at_least]
        .into_iter()
        .flatten();
    let axis = Axis::of_silences(shortest.earliest, longest.max().unwrap_or_default());
    let title = format!("{}: which silences were answered", found.direction);
    let mut charts = vec![Chart {
        title,
        axis,
        rows: rows(found, at_least, &axis),
    }];
    charts.extend(
        found
            .timeout
            .and_then(|timeout| close(found, timeout, at_least, &axis)),
    );
    charts
}

/// What the first chart is too coarse for.
fn close(
    found: &Found,
    timeout: Timeout,
    at_least: Option<Duration>,
    whole: &Axis,
) -> Option<Chart> {
    let width = timeout.upper.saturating_sub(timeout.lower);
    if whole.position(timeout.upper) - whole.position(timeout.lower) > FINE {
        return None;
    }
    let from = timeout.lower.saturating_sub(width * AROUND);
    let axis = Axis::even(from, timeout.upper + width * AROUND);
    Some(Chart {
        title: format!("{}: the same, close to the timeout", found.direction),
        axis,
        rows: rows(found, at_least, &axis),
    })
}

fn rows(found: &Found, at_least: Option<Duration>, axis: &Axis) -> Vec<Row> {
    let passes = found.samples.iter().map(|sample| sample.pass);
    let last = passes.max().unwrap_or(1);
    let mut rows: Vec<Row> = (1..=last)
        .map(|pass| {
            let name = match last {
                1 => String::from("silences"),
                _ => format!("pass {pass}"),
            };
            let samples = found.samples.iter().filter(|sample| sample.pass == pass);
            Row::marks(name, samples.map(mark).collect())
        })
        .filter(|row| row.has_marks_on(axis))
        .collect();
    let timeout = match (found.timeout, found.answered, found.expiry) {
        (Some(timeout), _, _) => Some((
            timeout.lower,
            Some(timeout.upper),
            format!(
                "{} to {}",
                Measured::AtLeast(timeout.lower),
                Measured::AtMost(timeout.upper)
            ),
        )),
        (None, Some(answered), Some(Expiry::None)) => Some((
            answered,
            None,
            format!("longer than {}", Measured::AtLeast(answered)),
        )),
        (None, _, _) => None,
    };
    rows.extend(timeout.map(|(from, to, caption)| Row {
        name: String::from("timeout"),
        content: Content::Span { from, to, caption },
    }));
    let asked = at_least.filter(|&at| axis.contains(at));
    rows.extend(asked.map(|at| Row {
        name: String::from("--at-least"),
        content: Content::Moment {
            at,
            caption: full(at).to_string(),
        },
    }));
    rows
}

/// An answer proves the shortest that the silence may have been, a loss the longest.
fn mark(sample: &Sample) -> Mark {
    let (at, kind) = match sample.answer {
        Answer::Answered => (sample.earliest, Kind::Answered),
        Answer::Lost => (sample.latest, Kind::Lost),
        Answer::Reset => (sample.latest, Kind::Reset),
    };
    Mark { at, kind }
}

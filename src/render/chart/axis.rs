//! An axis of time: where a moment stands on it, and which round moments are labelled.

use std::time::Duration;

/// From one time to another, even or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    from: Duration,
    to: Duration,
    logarithmic: bool,
}

/// A moment that is labelled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Where, 0 being the start of the axis and 1 its end.
    pub(crate) position: f64,
    pub(crate) label: String,
}

/// An axis whose end is so many times its start is logarithmic: else most marks would stand on its first
/// columns.
const WIDE: u32 = 100;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps that read well, in milliseconds.
#[rustfmt::skip]
const STEPS: [u64; 36] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500,
    SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 20 * SECOND, 30 * SECOND,
    MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE, 30 * MINUTE,
    HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 5 * DAY, 10 * DAY, 20 * DAY, 50 * DAY, 100 * DAY, 1_000 * DAY,
];

impl Axis {
    /// An even axis. One without length is given some.
    pub(crate) fn even(from: Duration, to: Duration) -> Self {
        Self {
            from,
            to: to.max(from + Duration::from_millis(1)),
            logarithmic: false,
        }
    }

    /// An axis on which short and long times are to be told apart: even from 0, or logarithmic from the
    /// shortest.
    pub(crate) fn of_silences(shortest: Duration, longest: Duration) -> Self {
        if !shortest.is_zero() && longest >= shortest * WIDE {
            Self {
                from: shortest,
                to: longest,
                logarithmic: true,
            }
        } else {
            Self::even(Duration::ZERO, longest)
        }
    }

    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Whether it lies on the axis.
    pub(crate) fn contains(&self, at: Duration) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// Where it stands, 0 being the start of the axis and 1 its end; what lies outside stands at its edge.
    pub(crate) fn position(&self, at: Duration) -> f64 {
        let scaled = |time: Duration| {
            let seconds = time.as_secs_f64();
            if self.logarithmic {
                seconds.ln()
            } else {
                seconds
            }
        };
        let (from, to) = (scaled(self.from), scaled(self.to));
        let at = scaled(at.clamp(self.from, self.to));
        (at - from) / (to - from)
    }

    /// As many round moments as have room, if the label of each is so wide a share of the axis.
    pub(crate) fn ticks(&self, room: impl Fn(&str) -> f64) -> Vec<Tick> {
        if self.logarithmic {
            return self.apart(STEPS.iter().copied(), &room);
        }
        let mut finest = Vec::new();
        for step in STEPS.into_iter().rev() {
            let (first, last) = (millis(self.from).div_ceil(step), millis(self.to) / step);
            let count = usize::try_from((last + 1).saturating_sub(first)).unwrap_or(usize::MAX);
            // More labels than this would have to be narrower than a character.
            if count > MOST {
                break;
            }
            let all = || (first..=last).map(|number| number * step);
            let ticks = self.apart(all(), &room);
            if ticks.len() < count {
                break;
            }
            finest = ticks;
        }
        finest
    }

    /// Those of the moments, in milliseconds, that leave room for each other.
    fn apart(&self, moments: impl Iterator<Item = u64>, room: &impl Fn(&str) -> f64) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut free = 0.0;
        for moment in moments {
            let at = Duration::from_millis(moment);
            let position = self.position(at);
            if !self.contains(at) || position < free {
                continue;
            }
            let label = label(at);
            free = position + room(&label);
            ticks.push(Tick { position, label });
        }
        ticks
    }
}

/// No axis has room for more labels.
const MOST: usize = 100;

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A round moment in full: `1h 30m`, `2.5s`, `0s`.
fn label(at: Duration) -> String {
    let below = at.subsec_millis();
    if at < Duration::from_secs(60) && at >= Duration::from_secs(1) && below > 0 {
        return format!("{}s", at.as_secs_f64());
    }
    let text = humantime::format_duration(at).to_string();
    text.replace("days", "d").replace("day", "d")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: f64) -> Duration {
        Duration::from_secs_f64(value)
    }

    /// The labels on an axis of 60 columns.
    fn labels(axis: Axis) -> String {
        #[expect(clippy::cast_precision_loss, reason = "labels are short")]
        let room = |label: &str| (label.len() as f64 + 2.0) / 60.0;
        let labels: Vec<String> = axis
            .ticks(room)
            .into_iter()
            .map(|tick| tick.label)
            .collect();
        labels.join(" ")
    }

    #[test]
    fn ticks_are_round_and_leave_room_for_their_labels() {
        for (from, to, expected) in [
            (0.0, 0.01, "0s 1ms 2ms 3ms 4ms 5ms 6ms 7ms 8ms 9ms 10ms"),
            (0.0, 15.0, "0s 2s 4s 6s 8s 10s 12s 14s"),
            (0.0, 75.0, "0s 10s 20s 30s 40s 50s 1m 1m 10s"),
            (0.0, 7_900.0, "0s 20m 40m 1h 1h 20m 1h 40m 2h"),
            (4.5, 5.6, "4.6s 4.8s 5s 5.2s 5.4s 5.6s"),
            (0.0, 900_000.0, "0s 1d 2d 3d 4d 5d 6d 7d 8d 9d 10d"),
        ] {
            let found = labels(Axis::even(seconds(from), seconds(to)));
            assert_eq!(found, expected, "{from} to {to}");
        }
    }

    #[test]
    fn what_spans_magnitudes_is_logarithmic() {
        let axis = Axis::of_silences(seconds(1.0), seconds(7_200.0));
        assert!(axis.is_logarithmic());
        assert_eq!(labels(axis), "1s 2s 5s 10s 30s 2m 5m 10m 30m 2h");
        assert!((axis.position(seconds(85.0)) - 0.5).abs() < 0.01);
        let axis = Axis::of_silences(seconds(1.0), seconds(30.0));
        assert!(!axis.is_logarithmic());
        assert!((axis.position(seconds(15.0)) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_lies_outside_stands_at_the_edge() {
        let axis = Axis::even(seconds(1.0), seconds(2.0));
        assert!(axis.position(seconds(0.0)).abs() < 1e-9);
        assert!((axis.position(seconds(9.0)) - 1.0).abs() < 1e-9);
        let nothing = Axis::even(Duration::ZERO, Duration::ZERO);
        assert!(nothing.position(Duration::ZERO).is_finite());
    }
}

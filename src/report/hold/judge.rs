//! From samples to what is known of a direction, and to the answer to --at-least and --verify.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Found, Limit, Report, Timeout, Verdict};
use crate::domain::hold::{Expiry, verdict};

impl Report {
    /// The answer to what was asked.
    pub(crate) fn verdict(&self, at_least: Option<Duration>) -> Verdict {
        let asked = self.verify.iter().filter(|verified| verified.asked);
        let died = asked.clone().any(|verified| !verified.holds());
        let directions = self.directions.iter();
        let limits: Vec<Verdict> = directions.map(|found| found.verdict(at_least)).collect();
        if died || limits.contains(&Verdict::Negative) {
            return Verdict::Negative;
        }
        let unknown = self.inconclusive.is_some() && at_least.is_none();
        if unknown || limits.is_empty() || limits.contains(&Verdict::Unknown) {
            return Verdict::Unknown;
        }
        Verdict::Holds
    }
}

impl Found {
    pub(super) fn conclude(
        &mut self,
        resolution: Duration,
        whole: bool,
        range: &RangeInclusive<Duration>,
        limit: Option<Limit>,
    ) {
        self.samples.sort_by_key(|sample| sample.earliest);
        let finding = verdict::judge(&self.samples, resolution);
        self.answered = finding.lower;
        self.consistent = finding.consistent();
        if !whole || self.inconclusive.is_some() {
            return;
        }
        if let Some(limit) = limit {
            self.expiry = Some(limit.expiry);
            self.counted_from = Some(limit.from);
            self.timeout = Some(Timeout {
                lower: limit.lower,
                upper: limit.upper,
            });
            return;
        }
        if !finding.consistent() {
            self.inconclusive = Some(format!(
                "silences of {} were lost although longer ones were answered, and a repetition did not explain it: \
                 heavy loss, or several boxes that differ",
                finding
                    .contradictions
                    .iter()
                    .map(|age| format!("{:.1} s", age.as_secs_f64()))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
            return;
        }
        if let Some((lower, upper)) = finding.bracket() {
            // Where nothing was answered only the shortest silence tells something: that even it is too long.
            let shortest = *range.start() * 2 + resolution;
            if !finding.supported {
                self.inconclusive =
                    Some("a single connection was lost, and nothing else supports that".to_owned());
            } else if finding.lower.is_none() && upper > shortest {
                self.inconclusive = Some(format!(
                    "no silence was answered, and none shorter than {:.1} s was tried",
                    upper.as_secs_f64()
                ));
            } else {
                self.timeout = Some(Timeout { lower, upper });
                self.expiry = finding.expiry();
            }
        } else if finding
            .lower
            .is_some_and(|lower| lower + resolution >= *range.end())
        {
            self.expiry = Some(Expiry::None);
        } else {
            self.inconclusive = Some(match finding.lower {
                Some(lower) => format!(
                    "nothing longer than {:.1} s could be tried",
                    lower.as_secs_f64()
                ),
                None => "no connection came to speak".to_owned(),
            });
        }
    }

    /// What this direction answers to --at-least; without it, whether it could be measured.
    pub(crate) fn verdict(&self, at_least: Option<Duration>) -> Verdict {
        let Some(at_least) = at_least else {
            return match (&self.inconclusive, self.expiry) {
                (None, Some(_)) => Verdict::Holds,
                (Some(_), _) | (None, None) => Verdict::Unknown,
            };
        };
        if self.remembers().is_some_and(|time| time >= at_least) {
            Verdict::Holds
        } else if self
            .timeout
            .is_some_and(|timeout| timeout.upper <= at_least)
        {
            Verdict::Negative
        } else {
            Verdict::Unknown
        }
    }

    /// The path remembers at least so long.
    pub(crate) fn remembers(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.lower).or(self.answered)
    }
}

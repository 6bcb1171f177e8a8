//! What a measurement has found. Field names are promises.

mod explain;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use crate::domain::hold::ends::CountedFrom;
use crate::domain::hold::recommendation::{Held, Recommendation, recommend};
use crate::domain::hold::software::{self, Setting};
use crate::domain::hold::{Answer, Direction, Expiry, Sample, verdict};
use crate::domain::seconds;
use crate::domain::wheel::TickRate;
use crate::plan::hold::Plan;
use crate::run::hold::event::Event;

/// So many tries have to arrive before the path forgets.
const TRIES: u32 = 3;

/// Silences broken fewer times than this are chance.
const OFTEN: usize = 3;

/// The report of `kalive hold`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether it came to its own end.
    pub(crate) complete: bool,
    pub(crate) target: String,
    /// Which of its addresses answered.
    pub(crate) address: Option<SocketAddr>,
    /// Whether `kalive serve` is at the far end; null if it was not waited for.
    pub(crate) serve: Option<bool>,
    pub(crate) directions: Vec<Found>,
    pub(crate) control: Control,
    pub(crate) verify: Vec<Verified>,
    pub(crate) recommendation: Option<Recommendation>,
    /// The recommendation as lines of sysctl.d, as socket options, and in the words of common software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Settings>,
    pub(crate) cost: Cost,
    /// How often the far end broke a silence by itself, at the usual distance; null if it did not.
    #[serde(
        rename = "far_end_speaks_every_s",
        serialize_with = "seconds::optional::serialize"
    )]
    pub(crate) far_end_speaks_every: Option<Duration>,
    /// Why it could not be measured; null if it could.
    pub(crate) inconclusive: Option<String>,
    /// What went otherwise than planned.
    pub(crate) warnings: Vec<String>,
    /// What it means, in words.
    pub(crate) explanation: Vec<String>,
    #[serde(skip)]
    resolution: Duration,
    #[serde(skip)]
    range: RangeInclusive<Duration>,
    #[serde(skip)]
    pub(crate) at_least: Option<Duration>,
    #[serde(skip)]
    spoke: Vec<Duration>,
    /// Whether keepalives were answered wherever data was lost; `None` if nothing was.
    #[serde(skip)]
    keepalive_only: Option<bool>,
    #[serde(skip)]
    round_trip: Duration,
    #[serde(skip)]
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    expiry: Expiry,
    lower: Duration,
    upper: Duration,
    from: CountedFrom,
}

/// What was found in one direction.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) direction: Direction,
    /// Between which silences the path forgets; null if it does not, or if that is not known.
    pub(crate) timeout: Option<Timeout>,
    /// Null if it is not known.
    pub(crate) expiry: Option<Expiry>,
    /// What the limit counts from, where connections ended by themselves.
    pub(crate) counted_from: Option<CountedFrom>,
    /// The longest silence that was answered.
    #[serde(rename = "answered_s", serialize_with = "seconds::optional::serialize")]
    pub(crate) answered: Option<Duration>,
    /// Whether no silence was lost that is shorter than one that was answered.
    pub(crate) consistent: bool,
    /// Why this direction could not be measured; null if it could.
    pub(crate) inconclusive: Option<String>,
    pub(crate) passes: u32,
    /// By silence.
    pub(crate) samples: Vec<Sample>,
}

/// A timeout is longer than `lower` and at most `upper`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Timeout {
    #[serde(rename = "lower_s", with = "seconds")]
    pub(crate) lower: Duration,
    #[serde(rename = "upper_s", with = "seconds")]
    pub(crate) upper: Duration,
}

/// The connections that carried traffic all along.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Control {
    pub(crate) alive: bool,
    #[serde(rename = "lost_at_s", serialize_with = "seconds::optional::serialize")]
    pub(crate) lost_at: Option<Duration>,
}

/// A connection that the kernel kept alive.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Verified {
    /// `TCP_KEEPIDLE`.
    #[serde(rename = "idle_s", with = "seconds")]
    pub(crate) idle: Duration,
    /// Whether --verify asked for it.
    pub(crate) asked: bool,
    pub(crate) survived: bool,
    /// Whether the peer closed it with a FIN, which keepalive does not prevent.
    pub(crate) closed: bool,
    /// Null where the far end does not echo.
    pub(crate) data_ok: Option<bool>,
}

impl Verified {
    pub(crate) fn holds(&self) -> bool {
        self.survived && self.data_ok != Some(false)
    }
}

/// The recommendation in other words.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) sysctl: [String; 3],
    pub(crate) setsockopt: [String; 5],
    pub(crate) software: Vec<Setting>,
}

/// What it took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    #[serde(rename = "elapsed_s", with = "seconds")]
    pub(crate) elapsed: Duration,
    pub(crate) sessions: usize,
}

/// What the report answers to --at-least and --verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Negative,
    Unknown,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            complete: false,
            target: plan.target.to_string(),
            address: None,
            serve: None,
            directions: Vec::new(),
            control: Control {
                alive: true,
                lost_at: None,
            },
            verify: Vec::new(),
            recommendation: None,
            settings: None,
            cost: Cost {
                elapsed: Duration::ZERO,
                sessions: 0,
            },
            far_end_speaks_every: None,
            inconclusive: None,
            warnings: Vec::new(),
            explanation: Vec::new(),
            resolution: plan.search.resolution,
            range: plan.search.min..=plan.search.max,
            at_least: plan.at_least,
            spoke: Vec::new(),
            keepalive_only: None,
            round_trip: Duration::ZERO,
            limit: None,
        }
    }

    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Connected { address, serve } => {
                self.address = Some(*address);
                self.serve = *serve;
            }
            Event::Pass {
                direction,
                pass,
                sessions,
                ..
            } => {
                self.cost.sessions += sessions;
                if *direction == Direction::Inbound {
                    // It may have greeted later than it was waited for.
                    self.serve = Some(true);
                }
                self.change(*direction, |found| found.passes = *pass);
            }
            Event::Sample {
                direction,
                keepalive_only,
                sample,
                ..
            } => {
                if sample.answer != Answer::Answered && *direction == Direction::Outbound {
                    // Where some keepalives get lost like everything else, data was lost by chance.
                    self.keepalive_only =
                        Some(*keepalive_only && self.keepalive_only != Some(false));
                }
                self.change(*direction, |found| found.samples.push(sample.clone()));
            }
            Event::Ended { .. } => {}
            Event::Limit {
                expiry,
                lower,
                upper,
                counted_from,
            } => {
                self.limit = Some(Limit {
                    expiry: *expiry,
                    lower: *lower,
                    upper: *upper,
                    from: *counted_from,
                });
            }
            Event::FarEndSpoke { after, .. } => self.spoke.push(*after),
            Event::Limited { why, sessions } => {
                self.warnings
                    .push(format!("{why}; going on with {sessions} connections"));
            }
            Event::ControlLost { at } => {
                self.control = Control {
                    alive: false,
                    lost_at: Some(*at),
                };
            }
            Event::Keeper {
                idle,
                asked,
                survived,
                closed,
                data_ok,
            } => self.verify.push(Verified {
                idle: *idle,
                asked: *asked,
                survived: *survived,
                closed: *closed,
                data_ok: *data_ok,
            }),
            Event::Inconclusive {
                direction: None,
                why,
            } => self.inconclusive = Some(why.clone()),
            Event::Inconclusive {
                direction: Some(direction),
                why,
            } => self.change(*direction, |found| found.inconclusive = Some(why.clone())),
            Event::Progress(progress) => self.cost.elapsed = progress.elapsed,
            Event::Done {
                sessions,
                round_trip,
                elapsed,
            } => {
                self.complete = true;
                self.round_trip = *round_trip;
                self.cost = Cost {
                    elapsed: *elapsed,
                    sessions: *sessions,
                };
            }
        }
    }

    /// Changes what was found in a direction, which is noted with its first event.
    fn change(&mut self, direction: Direction, change: impl FnOnce(&mut Found)) {
        let known = |found: &&mut Found| found.direction == direction;
        if let Some(found) = self.directions.iter_mut().find(known) {
            return change(found);
        }
        let mut found = Found::new(direction);
        change(&mut found);
        self.directions.push(found);
    }

    /// Draws the conclusions, after the last event.
    pub(crate) fn conclude(&mut self, rate: TickRate) {
        let (whole, limit) = (self.complete && self.inconclusive.is_none(), self.limit);
        let resolution = self.resolution;
        for found in &mut self.directions {
            found.conclude(resolution, whole, &self.range, limit);
        }
        self.spoke.sort();
        // What the network repeated, because it got lost at first, breaks a silence here and there.
        if self.spoke.len() >= OFTEN.max(self.cost.sessions / 8) {
            self.far_end_speaks_every = self.spoke.get(self.spoke.len() / 2).copied();
        }
        self.verify.sort_by_key(|verified| verified.idle);
        if self.usable() && self.keepalives_hold() {
            let remembers = self.directions.iter().filter_map(Found::remembers).min();
            if let Some(remembers) = remembers {
                self.recommend(&Held {
                    remembers,
                    tries: TRIES,
                    round_trip: self.round_trip,
                    rate,
                });
            }
        }
        self.explanation = self.explain();
    }

    fn recommend(&mut self, held: &Held) {
        self.recommendation = recommend(held);
        self.settings = self.recommendation.as_ref().map(|recommended| Settings {
            sysctl: software::sysctl(recommended),
            setsockopt: software::setsockopt(recommended),
            software: software::settings(recommended, held),
        });
    }

    /// Whether the measurement came to its end in all directions: where the path or the peer failed meanwhile, what
    /// became of keepalives tells nothing.
    fn usable(&self) -> bool {
        let known = |found: &Found| found.inconclusive.is_none() && found.expiry.is_some();
        let whole = self.complete && self.inconclusive.is_none();
        whole && !self.directions.is_empty() && self.directions.iter().all(known)
    }

    /// Whether nothing speaks against keepalive as a remedy.
    fn keepalives_hold(&self) -> bool {
        let from_start = self
            .limit
            .is_some_and(|limit| limit.from == CountedFrom::Start);
        !from_start && self.keepalive_only != Some(true) && !self.keepers_die()
    }

    /// Whether keepers died, nothing coming back any more, whose probes came well before the path forgets.
    fn keepers_die(&self) -> bool {
        let Some(lower) = self.directions.iter().filter_map(Found::remembers).min() else {
            return false;
        };
        self.verify
            .iter()
            .any(|verified| verified.idle * 2 < lower && !verified.survived && !verified.closed)
    }

    /// The answer to what was asked.
    pub(crate) fn verdict(&self, at_least: Option<Duration>) -> Verdict {
        let asked = self.verify.iter().filter(|verified| verified.asked);
        let died = asked.clone().any(|verified| !verified.holds());
        let limits = self.directions.iter().map(|found| {
            let Some(at_least) = at_least else {
                return match (&found.inconclusive, found.expiry) {
                    (None, Some(_)) => Verdict::Holds,
                    (Some(_), _) | (None, None) => Verdict::Unknown,
                };
            };
            if found.remembers().is_some_and(|time| time >= at_least) {
                Verdict::Holds
            } else if found
                .timeout
                .is_some_and(|timeout| timeout.upper <= at_least)
            {
                Verdict::Negative
            } else {
                Verdict::Unknown
            }
        });
        let limits: Vec<Verdict> = limits.collect();
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
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            timeout: None,
            expiry: None,
            counted_from: None,
            answered: None,
            consistent: true,
            inconclusive: None,
            passes: 0,
            samples: Vec::new(),
        }
    }

    fn conclude(
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

    /// The path remembers at least so long.
    pub(crate) fn remembers(&self) -> Option<Duration> {
        self.timeout.map(|timeout| timeout.lower).or(self.answered)
    }
}

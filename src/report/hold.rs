//! What a measurement has found. Field names are promises.

mod explain;
mod judge;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::hold::ends::CountedFrom;
use crate::domain::hold::recommendation::{Held, Recommendation, recommend};
use crate::domain::hold::software::{self, Setting};
use crate::domain::hold::{Answer, Direction, Expiry, Sample};
use crate::domain::seconds::{self, Seconds};
use crate::domain::wheel::TickRate;
use crate::domain::words::counted;
use crate::plan::hold::Plan;
use crate::run::hold::event::Event;

/// So many tries have to arrive before the path forgets.
const TRIES: u32 = 3;

/// Silences broken fewer times than this are chance.
const OFTEN: usize = 3;

/// Why something is not known, where nothing else stood in its way.
const INTERRUPTED: &str = "the run was interrupted";

/// The report of kalive hold.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Whether it came to its own end: false after a signal.
    pub(crate) complete: bool,
    /// As it was given.
    pub(crate) target: String,
    /// Which of its addresses answered; null if none has.
    pub(crate) address: Option<SocketAddr>,
    /// Whether kalive serve is at the far end; null if it was not waited for.
    pub(crate) serve: Option<bool>,
    /// What was found in each direction that was measured.
    pub(crate) directions: Vec<Found>,
    /// The connections that carried traffic all along, which tell a dead network from a forgetful one.
    pub(crate) control: Control,
    /// The connections that keepalives were to keep open.
    pub(crate) verify: Vec<Verified>,
    /// Keepalive settings under which the path does not forget; null if none can be recommended.
    pub(crate) recommendation: Option<Recommendation>,
    /// Why recommendation is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recommendation_unknown: Option<String>,
    /// The recommendation as lines of sysctl.d, as socket options, and in the words of common software; absent without
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Settings>,
    /// What it took.
    pub(crate) cost: Cost,
    /// How often the far end broke a silence by itself, at the usual distance; null if it did not.
    #[serde(
        rename = "far_end_speaks_every_s",
        serialize_with = "seconds::optional::serialize"
    )]
    #[schemars(with = "Option<Seconds>")]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// Which.
    pub(crate) direction: Direction,
    /// Between which silences the path forgets; null if it does not, as far as was measured, or expiry is null.
    pub(crate) timeout: Option<Timeout>,
    /// How the path forgets; null if it is not known.
    pub(crate) expiry: Option<Expiry>,
    /// Why expiry is null; absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiry_unknown: Option<String>,
    /// What the limit counts from, where connections ended by themselves; null where none did.
    pub(crate) counted_from: Option<CountedFrom>,
    /// The longest silence that was answered; null if none was.
    #[serde(rename = "answered_s", serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) answered: Option<Duration>,
    /// Whether no silence was lost that is shorter than one that was answered.
    pub(crate) consistent: bool,
    /// Why this direction could not be measured; null if it could.
    pub(crate) inconclusive: Option<String>,
    /// How many passes were made.
    pub(crate) passes: u32,
    /// Each silence and what came of it, the shortest first.
    pub(crate) samples: Vec<Sample>,
}

/// Between which silences the path forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Timeout {
    /// The timeout is longer than this.
    #[serde(rename = "lower_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) lower: Duration,
    /// It is at most this.
    #[serde(rename = "upper_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) upper: Duration,
}

/// The connections that carried traffic all along.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Control {
    /// Whether they were alive to the end.
    pub(crate) alive: bool,
    /// When their last answer came, after the run began; null if they were alive to the end.
    #[serde(rename = "lost_at_s", serialize_with = "seconds::optional::serialize")]
    #[schemars(with = "Option<Seconds>")]
    pub(crate) lost_at: Option<Duration>,
}

/// A connection that the kernel kept alive.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Verified {
    /// Its TCP_KEEPIDLE.
    #[serde(rename = "idle_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) idle: Duration,
    /// Whether --verify asked for it.
    pub(crate) asked: bool,
    /// Whether it was still there after a silence that the path forgets.
    pub(crate) survived: bool,
    /// Whether the peer closed it with a FIN, which keepalive does not prevent.
    pub(crate) closed: bool,
    /// Whether data was echoed on it afterwards; null where the far end does not echo.
    pub(crate) data_ok: Option<bool>,
}

impl Verified {
    pub(crate) fn holds(&self) -> bool {
        self.survived && self.data_ok != Some(false)
    }
}

/// The recommendation in other words.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Settings {
    /// Lines of /etc/sysctl.d.
    pub(crate) sysctl: [String; 3],
    /// Options of a socket.
    pub(crate) setsockopt: [String; 5],
    /// In the words of common software.
    pub(crate) software: Vec<Setting>,
}

/// What it took.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Cost {
    /// How long it took.
    #[serde(rename = "elapsed_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) elapsed: Duration,
    /// How many connections were made.
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
            recommendation_unknown: None,
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
                self.warnings.push(format!(
                    "{why}; going on with {}",
                    counted(*sessions, "connection")
                ));
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
        for found in &mut self.directions {
            let why = found.inconclusive.as_ref().or(self.inconclusive.as_ref());
            let why = why.map_or(INTERRUPTED, String::as_str);
            found.expiry_unknown = found.expiry.is_none().then(|| why.to_owned());
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
        if self.recommendation.is_none() {
            self.recommendation_unknown = Some(self.why_nothing_is_recommended());
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

    fn why_nothing_is_recommended(&self) -> String {
        let mut reasons = self.inconclusive.iter().chain(
            self.directions
                .iter()
                .filter_map(|found| found.expiry_unknown.as_ref()),
        );
        match reasons.next() {
            Some(why) => why.clone(),
            None if !self.complete || self.directions.is_empty() => INTERRUPTED.to_owned(),
            None if !self.keepalives_hold() => {
                "keepalive does not keep these connections open: see explanation".to_owned()
            }
            None => format!("the path forgets too soon for {TRIES} probes to be sent in time"),
        }
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
}

impl Found {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            timeout: None,
            expiry: None,
            expiry_unknown: None,
            counted_from: None,
            answered: None,
            consistent: true,
            inconclusive: None,
            passes: 0,
            samples: Vec::new(),
        }
    }
}

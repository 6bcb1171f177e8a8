//! One connection of a measurement: since when it has been silent, and what it is for. Pure.

use std::time::Duration;

use crate::domain::hold::Answer;
use crate::domain::moment::Moment;
use crate::domain::serve::{GREETING_LENGTH, Token, read_greeting};

use super::probing::Probing;
use super::world::Look;

/// `tcpi_last_*` are exact to a tick, which is at most so long (HZ=100), on both sides.
const TICK: Duration = Duration::from_millis(11);

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Carries traffic all along.
    Control,
    /// Carries the requests to `kalive serve`.
    Line,
    /// Is kept alive by the kernel: the place in the plan.
    Keeper(usize),
    /// Is silent for so long, then speaks.
    Rung { ladder: usize, age: Duration },
    /// Is silent until a rung is found dead.
    Vernier { ladder: usize },
}

impl Role {
    /// How long it is to be silent, where that is planned.
    pub(super) fn age(self) -> Option<Duration> {
        match self {
            Self::Rung { age, .. } => Some(age),
            Self::Control | Self::Line | Self::Keeper(_) | Self::Vernier { .. } => None,
        }
    }

    pub(super) fn ladder(self) -> Option<usize> {
        match self {
            Self::Rung { ladder, .. } | Self::Vernier { ladder } => Some(ladder),
            Self::Control | Self::Line | Self::Keeper(_) => None,
        }
    }
}

/// Where a session is in its life.
#[derive(Debug)]
pub(super) enum State {
    Planned,
    Connecting,
    Quiet,
    Probing(Box<Probing>),
    Spoken(Answer),
    Gone,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) role: Role,
    pub(super) state: State,
    /// When it was connected; before that, when it began to be.
    pub(super) connected: Moment,
    /// Its last packet came or went between these.
    pub(super) quiet: (Moment, Moment),
    /// The segments seen so far, in and out.
    seen: Option<(u32, u32)>,
    pub(super) looked: Moment,
    /// What the far end said at first, as far as it may be a greeting.
    greeting: Vec<u8>,
    pub(super) token: Option<Token>,
    /// How often the far end broke the silence.
    pub(super) disturbed: u32,
    /// Whether data that was sent came back.
    pub(super) echoed: bool,
    /// Segments received when a keeper was asked at the end, and whether one came since.
    pub(super) marked: u32,
    pub(super) answered: bool,
    /// When a keeper was last made to probe.
    pub(super) asked: Option<Moment>,
    /// Whether the peer has ended it with a FIN.
    pub(super) closed: bool,
}

/// What the first bytes of the far end tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeted {
    NotYet,
    Serve,
    Other,
}

impl Session {
    pub(super) fn planned(role: Role) -> Self {
        Self {
            role,
            state: State::Planned,
            connected: Moment::default(),
            quiet: (Moment::default(), Moment::default()),
            seen: None,
            looked: Moment::default(),
            greeting: Vec::new(),
            token: None,
            disturbed: 0,
            echoed: false,
            marked: 0,
            answered: false,
            asked: None,
            closed: false,
        }
    }

    /// It has been connected by `now`.
    pub(super) fn connect(&mut self, now: Moment) {
        self.state = State::Quiet;
        self.connected = now;
        self.quiet = (now, now);
        self.looked = now - TICK;
    }

    /// Whether a segment has passed since the last look.
    pub(super) fn observe(&mut self, look: &Look, now: Moment) -> bool {
        let seen = Some((look.segments_in, look.segments_out));
        let changed = self.seen != seen;
        if changed {
            let stamped = now - look.last - TICK;
            self.quiet = (self.looked.max(stamped).min(now), now);
            self.seen = seen;
        }
        self.looked = now;
        changed
    }

    /// How many had come at the last look.
    pub(super) fn segments_in(&self) -> Option<u32> {
        self.seen.map(|(into, _)| into)
    }

    /// The silence at `now`: at least, at most.
    pub(super) fn silence(&self, now: Moment) -> (Duration, Duration) {
        (now.since(self.quiet.1), now.since(self.quiet.0))
    }

    /// Takes what the far end says.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Greeted {
        if self.token.is_some() {
            self.echoed = true;
            return Greeted::Serve;
        }
        let missing = GREETING_LENGTH.saturating_sub(self.greeting.len());
        self.greeting.extend(bytes.iter().take(missing));
        match read_greeting(&self.greeting) {
            Ok(Some(token)) => {
                self.token = Some(token);
                self.greeting = Vec::new();
                Greeted::Serve
            }
            Ok(None) => Greeted::NotYet,
            Err(_) => Greeted::Other,
        }
    }

    pub(super) fn unconnected(&self) -> bool {
        matches!(self.state, State::Planned | State::Connecting)
    }

    pub(super) fn alive(&self) -> bool {
        match self.state {
            State::Quiet | State::Probing(_) | State::Spoken(Answer::Answered) => true,
            State::Planned
            | State::Connecting
            | State::Spoken(Answer::Lost | Answer::Reset)
            | State::Gone => false,
        }
    }
}

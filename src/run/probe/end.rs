//! Ends: which outcome an error is, and what is measured of the system when a target ends.

use std::io;
use std::time::Duration;

use super::{CountedFrom, End, Event, Phase, Settings};
use crate::cli::probe::Outcome;
use crate::error::{During as _, Error, Result};
use crate::sys::clock;
use crate::sys::netstat::{self, Counters};
use crate::sys::tcp::Connection;

pub(super) type Emit<'e> = &'e mut dyn FnMut(Event) -> Result<()>;

/// A suspension shorter than this is the jitter of reading two clocks.
const SUSPENDED: Duration = Duration::from_millis(100);

/// What a target's session knows of itself, and of the system when its present connection was begun.
pub(super) struct Context<'s> {
    pub(super) settings: &'s Settings<'s>,
    pub(super) target: usize,
    counters: Option<Counters>,
    suspended: Duration,
}

impl<'s> Context<'s> {
    pub(super) fn new(settings: &'s Settings<'s>, target: usize) -> Self {
        Self {
            settings,
            target,
            counters: None,
            suspended: Duration::ZERO,
        }
    }

    /// The descriptor's token in the reactor.
    pub(super) fn token(&self) -> u64 {
        u64::try_from(self.target).unwrap_or(u64::MAX)
    }

    /// A connection is begun: counters and suspensions count from here.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.counters = netstat::read().ok();
        self.suspended = clock::suspended().during(|| "clock_gettime")?;
        Ok(())
    }

    /// An end that no rule predicts.
    pub(super) fn end(
        &self,
        phase: Phase,
        outcome: Outcome,
        counted_from: CountedFrom,
        after: Duration,
    ) -> End {
        let suspended = clock::suspended()
            .unwrap_or(self.suspended)
            .saturating_sub(self.suspended);
        let counters = netstat::read().ok();
        let both = self.counters.as_ref().zip(counters.as_ref());
        End {
            phase,
            outcome,
            at: None,
            errno: None,
            after,
            counted_from,
            predicted: None,
            within_prediction: None,
            still_established: false,
            answered_otherwise: false,
            netstat: both.map(|(before, after)| netstat::grown(before, after)),
            suspended: if suspended < SUSPENDED {
                Duration::ZERO
            } else {
                suspended
            },
        }
    }

    pub(super) fn tell_end(&self, end: End, emit: Emit) -> Result<()> {
        emit(Event::Ended {
            target: self.target,
            end: Box::new(end),
        })
    }
}

pub(super) fn take_error(connection: &Connection) -> Result<Option<io::Error>> {
    connection
        .take_error()
        .during(|| format!("getsockopt SO_ERROR of {}", connection.peer()))
}

/// The outcome that a connection's error is, and its errno; one that tells nothing of the peer is an error of
/// ours.
pub(super) fn classify(error: io::Error, connection: &Connection) -> Result<(Outcome, i32)> {
    outcome(&error)
        .ok_or(error)
        .during(|| format!("connection to {}", connection.peer()))
}

/// The same for an error of starting to connect.
pub(super) fn classify_start(error: Error) -> Result<(Outcome, i32)> {
    let known = match &error {
        Error::System { cause, .. } => outcome(cause),
        Error::Usage(_) | Error::Unsupported(_) | Error::Output(_) => None,
    };
    known.ok_or(error)
}

fn outcome(error: &io::Error) -> Option<(Outcome, i32)> {
    let errno = error.raw_os_error()?;
    let outcome = match errno {
        libc::ETIMEDOUT => Outcome::TimedOut,
        libc::ECONNRESET | libc::EPIPE => Outcome::Reset,
        libc::ECONNREFUSED => Outcome::Refused,
        libc::EHOSTUNREACH
        | libc::ENETUNREACH
        | libc::EHOSTDOWN
        | libc::ENETDOWN
        | libc::ENONET
        | libc::ENOPROTOOPT
        | libc::EOPNOTSUPP => Outcome::Unreachable,
        _ => return None,
    };
    Some((outcome, errno))
}

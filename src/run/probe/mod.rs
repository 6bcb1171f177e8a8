//! Carries a probe out: one thread, one epoll, one timer for all targets. Each target's session says when
//! it wants to be looked at next.

mod application;
mod end;
mod open;
mod session;
mod watch;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::cli::probe::Outcome;
use crate::domain::moment::Moment;
use crate::domain::prediction::{Keepalive, Prediction};
use crate::domain::tunables;
use crate::domain::wheel::TickRate;
use crate::error::{During as _, Error, Result};
use crate::plan::probe::{Payload, Plan, Traffic};
use crate::sys::netstat::Counters;
use crate::sys::reactor::{Reactor, Ready};
use crate::sys::signals::{Interrupt, Interrupts};
use crate::sys::{clock, limits, sysctl, tick};
use session::Session;

/// What happens to a target, in this order; rounds many times.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It could not be measured: it has no address, or this machine refused something.
    Unmeasured {
        target: usize,
        why: String,
    },
    /// An address did not let us connect; another may.
    Failed {
        target: usize,
        attempt: Attempt,
    },
    Connected {
        target: usize,
        opened: Box<Opened>,
    },
    Round {
        target: usize,
        round: Round,
    },
    /// The peer sent a segment that brought nothing: its own keepalive probe, or a repeated SYN+ACK.
    PeerSpoke {
        target: usize,
        at: Duration,
    },
    Ended {
        target: usize,
        end: Box<End>,
    },
}

impl Event {
    /// Which target it happens to.
    pub(crate) fn target(&self) -> usize {
        let (Self::Unmeasured { target, .. }
        | Self::Failed { target, .. }
        | Self::Connected { target, .. }
        | Self::Round { target, .. }
        | Self::PeerSpoke { target, .. }
        | Self::Ended { target, .. }) = self;
        *target
    }
}

/// An address that did not let us connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) address: SocketAddr,
    pub(crate) outcome: Outcome,
    /// `None` where the limit was ours.
    pub(crate) errno: Option<i32>,
    pub(crate) after: Duration,
    /// Who sent the ICMP error.
    pub(crate) router: Option<IpAddr>,
}

/// A connection that has been made.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) address: SocketAddr,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) after: Duration,
    /// The options in effect, as read back.
    pub(crate) options: Keepalive,
    /// When a peer that falls silent now is noticed, while nothing is in flight.
    pub(crate) predicted: Prediction,
    /// With a heartbeat: the same while one is unacknowledged, by the retransmission timeout of now.
    pub(crate) predicted_in_flight: Option<Prediction>,
    pub(crate) rate: TickRate,
}

/// A probe, heartbeat or datum and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) kind: RoundKind,
    /// When it was sent, after the connection was made.
    pub(crate) at: Duration,
    pub(crate) rtt: Option<Duration>,
    pub(crate) answered: bool,
    /// Of a heartbeat that is overdue and that no kernel has acknowledged: when ours gives up.
    pub(crate) unacknowledged: Option<Prediction>,
}

/// What a round is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RoundKind {
    /// A keepalive probe, answered by the kernel at the far end.
    Keepalive,
    /// A request, answered by the application.
    Heartbeat,
    /// Data, acknowledged by the kernel at the far end.
    Data,
}

/// Where in its life a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// While it was being made.
    Connect,
    /// With nothing in flight.
    Idle,
    /// With data unacknowledged.
    InFlight,
}

/// From when the time to the end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CountedFrom {
    /// From the call of connect.
    Connect,
    /// From the last segment received.
    LastSegmentReceived,
    /// From the sending of the data that is unacknowledged.
    DataSent,
    /// From the sending of the heartbeat that is unanswered.
    HeartbeatSent,
}

/// How a target ended.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) phase: Phase,
    pub(crate) outcome: Outcome,
    /// When, after the connection was made; `None` where none was.
    pub(crate) at: Option<Duration>,
    pub(crate) errno: Option<i32>,
    pub(crate) after: Duration,
    pub(crate) counted_from: CountedFrom,
    /// The window that applied, and whether the end lies in it; `None` where no rule predicts this end.
    pub(crate) predicted: Option<Prediction>,
    pub(crate) within_prediction: Option<bool>,
    /// Whether the kernel still held the connection ESTABLISHED.
    pub(crate) still_established: bool,
    /// Whether the service answered the heartbeat, but not with what was expected.
    pub(crate) answered_otherwise: bool,
    /// By how much the namespace's counters grew meanwhile, whoever caused it; `None` if unreadable.
    pub(crate) netstat: Option<Counters>,
    /// How long the machine was suspended meanwhile.
    pub(crate) suspended: Duration,
}

/// What all sessions need to know.
pub(crate) struct Settings<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) rate: TickRate,
    /// How far apart looks at one session are, so that all together do not take the processor.
    pub(crate) spacing: Duration,
    /// What to send, as bytes.
    pub(crate) request: Vec<u8>,
    /// `tcp_retries2` and `tcp_rto_max_ms`.
    pub(crate) retries2: u8,
    pub(crate) rto_max: Duration,
}

/// A look at one session costs less than this.
const LOOK: Duration = Duration::from_micros(40);
/// The most that is sent at once: less than any send buffer.
const LONGEST_REQUEST: usize = 64 * 1024;
/// So many timers are served before descriptors are looked at again, whose events have their own time.
const DUE_AT_ONCE: usize = 16;

/// Probes the targets at `addresses`, which has a list for each: an empty one says that it has none. Ends early at
/// a signal, which it returns.
pub(crate) fn run(
    plan: &Plan,
    addresses: Vec<Vec<SocketAddr>>,
    interrupts: Interrupts,
    emit: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Option<Interrupt>> {
    allow_descriptors(addresses.len())?;
    let settings = settings(plan, addresses.len())?;
    let mut reactor = Reactor::new(interrupts)?;
    let begun = clock::now().during(|| "clock_gettime")?;
    let mut sessions: Vec<Session> = (0..)
        .zip(addresses)
        .map(|(target, addresses)| Session::new(&settings, target, addresses, begun))
        .collect();
    // Each begins when it is first looked at.
    let mut queue: BTreeSet<(Moment, usize)> = sessions.iter().map(Session::place).collect();
    let mut ready = Vec::new();
    let mut interrupt = None;
    // Every session that is not over waits for its time.
    while !queue.is_empty() && interrupt.is_none() {
        let until = queue.first().map(|&(wake, _)| wake);
        interrupt = reactor.wait(until, &mut ready).during(|| "epoll_wait")?;
        let woken = clock::now().during(|| "clock_gettime")?;
        let told = ready.iter().map(|ready| (ready.token, Some(*ready)));
        let due = queue
            .iter()
            .take_while(|(wake, _)| *wake <= woken)
            .take(DUE_AT_ONCE);
        let due = due.filter_map(|&(_, target)| Some((u64::try_from(target).ok()?, None)));
        let work: Vec<(u64, Option<Ready>)> = told.chain(due).collect();
        for (token, ready) in work {
            let Some(session) = usize::try_from(token)
                .ok()
                .and_then(|target| sessions.get_mut(target))
            else {
                continue;
            };
            queue.remove(&session.place());
            queue.extend(match session.step(ready, woken, &reactor, emit) {
                Ok(place) => place,
                Err(error @ Error::Output(_)) => return Err(error),
                // What one target ran into is no reason to leave the others.
                Err(error) => {
                    let why = error.to_string();
                    let target = session.place().1;
                    emit(Event::Unmeasured { target, why })?;
                    None
                }
            });
        }
    }
    for session in &mut sessions {
        session.interrupt(emit)?;
    }
    // One that came with the last end has interrupted nothing.
    Ok(interrupt.filter(|_| !queue.is_empty()))
}

fn settings(plan: &Plan, targets: usize) -> Result<Settings<'_>> {
    let tunable = |tunable: &tunables::Tunable| -> Result<u64> {
        let value = sysctl::number(Path::new("/proc"), tunable.path);
        Ok(value
            .during(|| format!("reading {}", tunable.path))?
            .unwrap_or(tunable.default))
    };
    Ok(Settings {
        plan,
        rate: tick::rate(),
        spacing: LOOK.saturating_mul(u32::try_from(targets).unwrap_or(u32::MAX)),
        request: request(plan)?,
        retries2: u8::try_from(tunable(&tunables::RETRIES2)?).unwrap_or(u8::MAX),
        rto_max: Duration::from_millis(tunable(&tunables::RTO_MAX_MS)?),
    })
}

fn request(plan: &Plan) -> Result<Vec<u8>> {
    let payload = match &plan.traffic {
        Traffic::None => return Ok(Vec::new()),
        Traffic::Heartbeat(heartbeat) => &heartbeat.request,
        Traffic::InFlight { data, .. } => data,
    };
    let (bytes, whose) = match payload {
        Payload::Bytes(bytes) => (bytes.clone(), String::from("--send")),
        Payload::File(path) => {
            let read = std::fs::read(path);
            (
                read.during(|| format!("reading {}", path.display()))?,
                path.display().to_string(),
            )
        }
    };
    if bytes.is_empty() || bytes.len() > LONGEST_REQUEST {
        return Err(Error::Usage(format!(
            "{whose} has {} bytes to send: from 1 to {LONGEST_REQUEST} are possible",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Raises the limit of open files as far as is allowed, and checks that it suffices.
fn allow_descriptors(targets: usize) -> Result<()> {
    const BESIDE: u64 = 32;
    let needed = u64::try_from(targets)
        .unwrap_or(u64::MAX)
        .saturating_add(BESIDE);
    let allowed = limits::raise_descriptors().during(|| "RLIMIT_NOFILE")?;
    if needed > allowed {
        return Err(Error::Usage(format!(
            "{targets} targets need {needed} open files, and {allowed} are allowed (ulimit -Hn)"
        )));
    }
    Ok(())
}

/// What a look needs of the clocks.
#[derive(Clone, Copy, Debug)]
struct Instant {
    now: Moment,
    /// The last tick before it.
    tick: Moment,
    /// When what is looked at happened, as well as is known: when we were woken for it, or now.
    event: Moment,
}

fn instant(settings: &Settings) -> Result<Instant> {
    let now = clock::now().during(|| "clock_gettime")?;
    let tick = clock::last_tick(now, settings.rate.jiffy()).during(|| "clock_gettime")?;
    Ok(Instant {
        now,
        tick,
        event: now,
    })
}

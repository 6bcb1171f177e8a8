//! One TCP socket as both sources describe it, sock_diag and /proc/net/tcp. What a source does not
//! tell is `None` or says why; nothing is guessed.

use std::net::SocketAddr;
use std::time::Duration;

use super::state::State;

/// A TCP socket of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its state.
    pub state: State,
    /// Its own address. An IPv6 socket that talks IPv4 has a v4-mapped one.
    pub local: SocketAddr,
    /// The peer's address; unspecified where there is none.
    pub peer: SocketAddr,
    /// Bytes received and not read; for a listener the connections waiting for accept.
    pub receive_queue: u32,
    /// Bytes sent and not acknowledged; for a listener the limit of its queue, which /proc does not tell.
    pub send_queue: u32,
    /// The timer that is armed at this moment.
    pub timer: Timer,
    /// The user id of its owner, as this user namespace sees it. The kernel keeps none for TIME-WAIT,
    /// and sock_diag tells none for NEW-SYN-RECV; both print 0 there, which is not root.
    pub uid: Option<u32>,
    /// The inode of its descriptors; `None` once no descriptor refers to it.
    pub inode: Option<u32>,
    /// The kernel's unique number for it (`SO_COOKIE`); `None` from /proc.
    pub cookie: Option<u64>,
    /// How long ago things happened; `None` from /proc and where the kernel has no `tcp_info` for it.
    pub activity: Option<Activity>,
}

/// The moments that `tcp_info` tells, as time passed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// `tcpi_last_data_sent`.
    pub last_data_sent: Duration,
    /// `tcpi_last_data_recv`.
    pub last_data_received: Duration,
    /// `tcpi_last_ack_recv`. A peer's keepalive probes do not reset it.
    pub last_ack_received: Duration,
}

impl Activity {
    /// Silence on the connection, as far as `tcp_info` tells: since data was sent or received or an ACK came.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.last_data_sent
            .min(self.last_data_received)
            .min(self.last_ack_received)
    }
}

/// The timer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Which.
    pub kind: TimerKind,
    /// What is left of it, nominally: it may fire later by a step of the timer wheel.
    pub expires: Option<Duration>,
    /// Retransmissions so far, or unanswered probes, by its kind.
    pub count: u8,
}

/// The kinds of timer that the kernel shows (`idiag_timer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// None is armed.
    None,
    /// Data or a SYN or FIN is unacknowledged: the keepalive timer is hidden.
    Retransmit,
    /// The keepalive timer; in FIN-WAIT-2 also the one of `tcp_fin_timeout`.
    Keepalive,
    /// TIME-WAIT's own.
    TimeWait,
    /// The peer's window is closed: zero window probes.
    Persist,
    /// One this version does not know, by the kernel's number.
    Unknown(u8),
}

impl TimerKind {
    /// Every name that [`Self::name`] gives.
    pub const NAMES: [&str; 6] = [
        "none",
        "retransmit",
        "keepalive",
        "time-wait",
        "persist",
        "unknown",
    ];

    /// From the kernel's number.
    #[must_use]
    pub fn from_kernel(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Retransmit,
            2 => Self::Keepalive,
            3 => Self::TimeWait,
            4 => Self::Persist,
            other => Self::Unknown(other),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Retransmit => "retransmit",
            Self::Keepalive => "keepalive",
            Self::TimeWait => "time-wait",
            Self::Persist => "persist",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What the armed timer tells of SO_KEEPALIVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// The keepalive timer runs.
    On,
    /// Nothing hides it, and it does not run.
    Off,
    /// The timer cannot tell.
    Unknown(Hidden),
}

/// Why the armed timer does not tell whether SO_KEEPALIVE is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// Another timer is shown in its place.
    InFlight,
    /// A listener's option is never shown by a timer.
    Listener,
    /// In this state no keepalive timer runs, or another shares its place.
    State,
    /// A timer of a kind that this version does not know.
    Timer,
}

impl Hidden {
    /// The reason in words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::InFlight => "data in flight hides the keepalive timer",
            Self::Listener => "a listener runs no keepalive timer, whatever its option",
            Self::State => "in this state the keepalive timer does not run or is not told apart",
            Self::Timer => "the kernel shows a timer of an unknown kind",
        }
    }
}

impl Socket {
    /// What the armed timer tells of SO_KEEPALIVE. The timer runs exactly while the option is set in
    /// ESTABLISHED and CLOSE-WAIT (`tcp_set_keepalive`, `tcp_finish_connect`), but is shown only
    /// when neither retransmission nor zero window probes are pending (`inet_sk_diag_fill`, `get_tcp4_sock`).
    #[must_use]
    pub fn enabled(&self) -> Enabled {
        match self.state {
            State::Established | State::CloseWait => match self.timer.kind {
                TimerKind::Keepalive => Enabled::On,
                TimerKind::None => Enabled::Off,
                TimerKind::Retransmit | TimerKind::Persist => Enabled::Unknown(Hidden::InFlight),
                TimerKind::TimeWait | TimerKind::Unknown(_) => Enabled::Unknown(Hidden::Timer),
            },
            State::Listen => Enabled::Unknown(Hidden::Listener),
            State::SynSent
            | State::SynReceived
            | State::FinWait1
            | State::FinWait2
            | State::TimeWait
            | State::Closed
            | State::LastAck
            | State::Closing
            | State::NewSynReceived
            | State::Unknown(_) => Enabled::Unknown(Hidden::State),
        }
    }

    /// Silence on the connection; `None` where the source or the state does not tell.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        let activity = self.activity.filter(|_| self.state.is_synchronized())?;
        Some(activity.idle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_has_a_name_of_the_list() {
        let names: Vec<&str> = (0..6)
            .map(|number| TimerKind::from_kernel(number).name())
            .collect();
        assert_eq!(
            names,
            [
                "none",
                "retransmit",
                "keepalive",
                "time-wait",
                "persist",
                "unknown"
            ]
        );
        assert_eq!(names, TimerKind::NAMES);
    }
}

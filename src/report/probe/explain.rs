//! The end of a probe in words: what happened, why, and what helps.

use std::fmt::Write as _;

use super::TargetReport;
use crate::cli::probe::Outcome;
use crate::domain::prediction::Rule;
use crate::run::probe::{End, Phase, RoundKind};

impl TargetReport {
    /// The end in one or two sentences: the cause, and the remedy where there is one.
    pub(super) fn explain(&self, end: &End) -> String {
        let mut text = match (end.outcome, end.phase) {
            (Outcome::Alive, _) => self.explain_alive(),
            (Outcome::TimedOut, Phase::Connect) => explain_connect_timeout(end),
            (Outcome::TimedOut, Phase::Idle) => self.explain_silence(end),
            (Outcome::TimedOut, Phase::InFlight) => self.explain_in_flight(end),
            (Outcome::Reset, _) => String::from(
                "A RST came: the peer has rebooted or knows the connection no more, or something on the path \
                 refuses it.",
            ),
            (Outcome::Unreachable, Phase::Connect) => self.explain_no_way(),
            (Outcome::Unreachable, _) => explain_unreachable(end),
            (Outcome::Refused, _) => {
                String::from("The host answers, and nobody listens on this port.")
            }
            (Outcome::Closed, _) => String::from(
                "The peer closed the connection with a FIN: a limit of its own, or it was told to.",
            ),
            (Outcome::Unresponsive, _) if end.answered_otherwise => String::from(
                "The service answered the heartbeat, but not with what --expect names.",
            ),
            (Outcome::Unresponsive, _) => String::from(
                "The kernel at the far end acknowledged the heartbeat and the service did not answer: it is \
                 stuck, and TCP keepalive cannot see that. Use a timeout in the application.",
            ),
            (Outcome::Interrupted, Phase::InFlight) => self.explain_interrupted_in_flight(end),
            (Outcome::Interrupted, _) => String::from("Interrupted before its end."),
        };
        if !end.suspended.is_zero() {
            let suspended = end.suspended.as_secs_f64();
            let _ = write!(
                text,
                " The machine was suspended for {suspended:.1} s: times are not comparable."
            );
        }
        text
    }

    fn explain_alive(&self) -> String {
        let answered = |kind| {
            self.rounds
                .iter()
                .filter(|round| round.kind == kind && round.answered)
                .count()
        };
        let lost = self.rounds.iter().filter(|round| !round.answered).count();
        let parts: Vec<String> = [
            (RoundKind::Keepalive, "keepalive probe"),
            (RoundKind::Heartbeat, "heartbeat"),
            (RoundKind::Data, "datum"),
        ]
        .into_iter()
        .map(|(kind, name)| (answered(kind), name))
        .filter(|&(count, _)| count > 0)
        .map(|(count, name)| match (count, name) {
            (1, name) => format!("1 {name}"),
            (count, "datum") => format!("{count} data"),
            (count, name) => format!("{count} {name}s"),
        })
        .collect();
        let mut text = if parts.is_empty() {
            String::from(
                "Connected; nothing was due in that time that the peer could have answered.",
            )
        } else {
            format!("The peer answered {}.", parts.join(" and "))
        };
        if lost > 0 {
            let _ = write!(
                text,
                " {lost} went unanswered: packets get lost on the way."
            );
        }
        text
    }

    fn explain_silence(&self, end: &End) -> String {
        let unanswered = self
            .rounds
            .iter()
            .rev()
            .filter(|round| round.kind == RoundKind::Keepalive)
            .take_while(|round| !round.answered)
            .count();
        let mut text = format!("{unanswered} keepalive probes went unanswered");
        let _ = match end.predicted.map(|predicted| predicted.rule) {
            Some(Rule::KeepaliveUserTimeout) => write!(
                text,
                ", and TCP_USER_TIMEOUT, which replaces TCP_KEEPCNT, had passed."
            ),
            _ => write!(text, ", as many as TCP_KEEPCNT allows."),
        };
        text.push_str(" The path or the peer is dead; smaller values would notice it sooner.");
        let ignored = counter(end, "OutOfWindowIcmps");
        if ignored > 0 {
            let _ = write!(
                text,
                " {ignored} ICMP errors arrived in this network namespace and were ignored \
                 (OutOfWindowIcmps), because a keepalive probe's sequence number lies outside the window: an \
                 idle connection never ends with EHOSTUNREACH."
            );
        }
        text
    }

    fn explain_no_way(&self) -> String {
        match self.attempts.last().and_then(|attempt| attempt.router) {
            Some(router) => format!("{router} says that there is no way to the host."),
            None => String::from(
                "There is no way to the host: no route, or nobody answers for its address.",
            ),
        }
    }

    fn explain_in_flight(&self, end: &End) -> String {
        let what = self.in_flight();
        let mut text = match end.predicted.map(|predicted| predicted.rule) {
            Some(Rule::RetransmissionUserTimeout) => format!(
                "{what} was unacknowledged, which suspends keepalive, until TCP_USER_TIMEOUT ended the connection."
            ),
            _ => format!(
                "{what} was unacknowledged, which suspends keepalive, until the kernel gave up retransmitting \
                 (tcp_retries2). TCP_USER_TIMEOUT limits that."
            ),
        };
        if self.has_heartbeats() {
            text.push_str(" The path or the peer's machine is dead, not only the service.");
        }
        text
    }

    fn explain_interrupted_in_flight(&self, end: &End) -> String {
        let after = end.after.as_secs_f64();
        let mut text = format!(
            "Interrupted. {} had been unacknowledged for {after:.1} s, which suspends keepalive",
            self.in_flight(),
        );
        if let Some(predicted) = end.predicted {
            let _ = write!(
                text,
                ": the kernel would have given up by the rule {}, {:.1} to {:.1} s after the sending",
                predicted.rule.name(),
                predicted.earliest.as_secs_f64(),
                predicted.latest.as_secs_f64(),
            );
        }
        text.push('.');
        // One whose time is not over says nothing.
        let mut latest_first = self.rounds.iter().rev();
        let last = latest_first.find(|round| round.kind == RoundKind::Heartbeat);
        if last.is_some_and(|round| round.acknowledged == Some(false)) {
            text.push_str(" That is the path or the peer's machine, not the service.");
        }
        text
    }

    /// What this side sends, at the beginning of a sentence.
    fn in_flight(&self) -> &'static str {
        if self.has_heartbeats() {
            "A heartbeat"
        } else {
            "Data"
        }
    }

    fn has_heartbeats(&self) -> bool {
        self.predicted_in_flight.is_some()
    }
}

fn explain_connect_timeout(end: &End) -> String {
    match end.errno {
        Some(_) => String::from(
            "No answer to any SYN (tcp_syn_retries): a firewall drops them, or the host is down.",
        ),
        None => String::from(
            "No answer to the SYN within --connect-timeout, kalive's own limit: a firewall drops it, or the \
             host is down.",
        ),
    }
}

fn explain_unreachable(end: &End) -> String {
    if end.still_established {
        return String::from(
            "An ICMP error arrived for data in flight and was taken at once (IP_RECVERR); the kernel still \
             holds the connection ESTABLISHED and would go on trying.",
        );
    }
    String::from(
        "The kernel gave up retransmitting and tells the last ICMP error: the path ends before the host.",
    )
}

fn counter(end: &End, name: &str) -> u64 {
    end.netstat
        .as_ref()
        .and_then(|netstat| netstat.get(name))
        .copied()
        .unwrap_or(0)
}

//! Judges `kalive probe`: the outcome and its errno, the rounds, and the moment of the end.

use kalive::lab::{Change, Path, ROUTER_INSIDE, ROUTER_INSIDE6};

use super::reports::{Predicted, ProbeReport, Round, Target};
use super::truth::expected;
use super::{BUSY, Judgement, Measure, PROCESS, Seen, Tick, WOKEN_LATE, kernel, report};
use crate::case::{Case, Ending, Probe, Server, Traffic};

/// Three repetitions of a SYN+ACK take so long.
const REPEATED: f64 = 7.2;

pub(super) fn judge(
    case: &Case,
    probe: &Probe,
    seen: &Seen,
    tick: Tick,
    judgement: &mut Judgement,
) {
    let Some(report) = report::<ProbeReport>(seen, "kalive.probe/1", judgement) else {
        return;
    };
    let [target] = report.targets.as_slice() else {
        judgement.wrong("not one target");
        return;
    };
    let outcome = target.outcome.as_str();
    let code = i32::from(outcome != probe.require);
    judgement.must(seen.code == Some(code), || {
        format!(
            "exit {:?} for {outcome}, where {} is required",
            seen.code, probe.require
        )
    });
    let trial = Trial {
        case,
        probe,
        seen,
        target,
        tick,
    };
    let true_outcome = expected(case, probe);
    let loss = case.is_lossy();
    // What chance can do: take every try.
    let by_chance = loss && outcome == "timed-out" && seen.lost > 0;
    judgement.must(outcome == true_outcome || by_chance, || {
        format!("{outcome}, not {true_outcome}")
    });
    let errno = match outcome {
        "timed-out" if target.phase == "connect" => None,
        "timed-out" => Some("ETIMEDOUT"),
        "reset" => Some("ECONNRESET"),
        "unreachable" => Some("EHOSTUNREACH"),
        "refused" => Some("ECONNREFUSED"),
        _ => None,
    };
    judgement.must(target.errno.as_deref() == errno, || {
        format!("{outcome} with {:?}, not {errno:?}", target.errno)
    });
    let connects = !probe.closed_port && case.behaviour.path == Path::Open;
    judgement.must((target.phase == "connect") != connects || by_chance, || {
        format!("{outcome} while in phase {}", target.phase)
    });
    trial.rounds(loss, judgement);
    match outcome {
        _ if target.phase == "connect" => trial.connecting(judgement),
        "alive" => trial.alive(judgement),
        "timed-out" if target.phase == "in-flight" => trial.in_flight(judgement),
        "timed-out" => trial.silent(judgement),
        "unreachable" => trial.unreachable(judgement),
        "reset"
            if case.step.is_some()
                || case.server == Server::Echo
                || case.server == Server::Serve =>
        {
            trial.unknown_to_the_peer(judgement);
        }
        "closed" | "reset" => trial.closed(judgement),
        "unresponsive" => trial.stuck(judgement),
        _ => {}
    }
}

/// A run beside its case.
#[derive(Clone, Copy)]
struct Trial<'a> {
    case: &'a Case,
    probe: &'a Probe,
    seen: &'a Seen,
    target: &'a Target,
    tick: Tick,
}

impl Trial<'_> {
    fn answered(&self, kind: &str) -> usize {
        let rounds = self.target.rounds.iter();
        rounds
            .filter(|round| round.kind == kind && round.answered)
            .count()
    }

    /// Keepalive probes unanswered at the end.
    fn trailing(&self) -> usize {
        let keepalives = self
            .target
            .rounds
            .iter()
            .rev()
            .filter(|r| r.kind == "keepalive");
        keepalives.take_while(|round| !round.answered).count()
    }

    /// Probes come never early, and late by their timer's step; what goes unanswered has been lost.
    fn rounds(&self, loss: bool, judgement: &mut Judgement) {
        let rounds = &self.target.rounds;
        let unanswered = rounds.iter().filter(|round| !round.answered).count();
        let broken = self.target.outcome != "alive";
        judgement.must(loss || broken || unanswered == 0, || {
            format!("{unanswered} unanswered on a path that loses nothing")
        });
        if loss {
            let packets = usize::try_from(self.seen.lost).unwrap_or(usize::MAX);
            judgement.must(unanswered <= packets, || {
                format!("{unanswered} unanswered, and {packets} packets lost")
            });
        }
        if self.probe.traffic != Traffic::None {
            return;
        }
        let mut before: Option<&Round> = None;
        for round in rounds {
            let since = before.map_or(0.0, |before| before.at_s);
            let wait = match before {
                Some(before) if !before.answered => self.probe.interval.as_secs_f64(),
                before => kernel::wait(self.probe, before.is_some()),
            };
            let ticks = 2.0 * self.tick.0;
            let (mut least, mut most) = (
                wait - ticks,
                kernel::late(wait, self.tick) + ticks + WOKEN_LATE,
            );
            if before.is_none() {
                // That the connection stands is noticed when kalive is woken.
                least -= WOKEN_LATE;
                // The SYN+ACK comes again where its ACK got lost, and the silence begins then.
                most += if loss { REPEATED } else { 0.0 };
            }
            let gap = round.at_s - since;
            judgement.within("a keepalive's wait", gap, least, most);
            if !loss {
                judgement.measure(Measure::Round, gap - wait);
            }
            before = Some(round);
        }
    }

    fn connecting(&self, judgement: &mut Judgement) {
        let limit = self.probe.connect_timeout.as_secs_f64();
        let after = self.target.after_s;
        if self.target.outcome == "timed-out" {
            judgement.within("giving up to connect", after, limit, limit + BUSY);
        } else {
            judgement.within("being refused", after, 0.0, 1.0);
        }
        if self.target.outcome == "unreachable" {
            let router = if self.case.v6 {
                ROUTER_INSIDE6.to_string()
            } else {
                ROUTER_INSIDE.to_string()
            };
            let told = self
                .target
                .attempts
                .first()
                .and_then(|a| a.router.as_deref());
            judgement.must(told == Some(&router), || {
                format!("router {told:?}, not {router}")
            });
        }
    }

    fn alive(&self, judgement: &mut Judgement) {
        let answered = self
            .target
            .rounds
            .iter()
            .filter(|round| round.answered)
            .count();
        match self.probe.ending {
            Ending::Rounds(rounds) => judgement.must(answered == rounds as usize, || {
                format!("alive after {answered} answered rounds, not {rounds}")
            }),
            Ending::For(time) => {
                let time = time.as_secs_f64();
                // An answer may be waited for, and a lost one repeated until the end.
                let end = kernel::idle_end(self.probe, true, self.tick).latest;
                judgement.within("its end", self.seen.elapsed, time, time + end + PROCESS);
            }
            Ending::Never => judgement.wrong("ended, though it lives"),
        }
        judgement.must(self.target.still_established, || {
            "alive, not established".to_owned()
        });
        if let Server::Keepalive(_) = self.case.server {
            judgement.must(self.target.peer_spoke > 0, || {
                "the far end's keepalives were not seen".to_owned()
            });
        }
    }

    /// It died of unanswered keepalives.
    fn silent(&self, judgement: &mut Judgement) {
        let answered = self.answered("keepalive") > 0;
        let window = kernel::idle_end(self.probe, answered, self.tick);
        let other = kernel::idle_end(self.probe, !answered, self.tick);
        self.in_window(window, other, judgement);
        judgement.measure(Measure::End, self.target.after_s - window.nominal);
        let probes = kernel::probes_to_the_end(self.probe, kernel::wait(self.probe, answered));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "1 to some dozens"
        )]
        let probes = probes as usize;
        let trailing = self.trailing();
        // With TCP_USER_TIMEOUT late timers may need one fewer.
        let fewest = if self.probe.user_timeout.is_some() {
            1.max(probes - 1)
        } else {
            probes
        };
        judgement.must((fewest..=probes).contains(&trailing), || {
            format!("{trailing} unanswered probes at the end, not {fewest} to {probes}")
        });
        self.by_the_clock(judgement);
        if self
            .case
            .step
            .is_some_and(|step| step.change == Change::Path(Path::Unreachable))
        {
            let ignored = self.target.netstat.get("OutOfWindowIcmps").copied();
            judgement.must(ignored >= Some(1), || {
                format!("OutOfWindowIcmps {ignored:?}")
            });
        }
    }

    /// The prediction is the kernel's, and the end lies in it.
    fn in_window(&self, window: kernel::Window, other: kernel::Window, judgement: &mut Judgement) {
        let Some(predicted) = self.target.predicted else {
            judgement.wrong("an end without a prediction");
            return;
        };
        let same = |window: kernel::Window| (predicted.nominal - window.nominal).abs() < 1e-3;
        // Heartbeats between keepalives leave open which applies.
        let open = matches!(self.probe.traffic, Traffic::Heartbeat(_)) && same(other);
        judgement.must(same(window) || open, || {
            format!(
                "nominally {} s, not {} s",
                predicted.nominal, window.nominal
            )
        });
        let (earliest, latest) = (window.earliest.min(other.earliest), window.latest);
        self.inside(predicted, earliest, latest, judgement);
    }

    /// The prediction is no wider than what the kernel promises, and holds the end.
    fn inside(&self, predicted: Predicted, earliest: f64, latest: f64, judgement: &mut Judgement) {
        let exact = 1e-3;
        judgement.within(
            "predicted earliest",
            predicted.earliest,
            earliest - exact,
            latest,
        );
        judgement.within(
            "predicted latest",
            predicted.latest,
            earliest,
            latest + exact,
        );
        // Both ends of the time are read in ticks.
        let ticks = 2.0 * self.tick.0;
        let (least, most) = (
            predicted.earliest - ticks,
            predicted.latest + ticks + WOKEN_LATE,
        );
        judgement.within("the end", self.target.after_s, least, most);
        let within = self.target.within_prediction;
        judgement.must(within == Some(true), || {
            format!("within_prediction {within:?}")
        });
    }

    /// By the clock of whoever cut the path: the silence began at the cut, or as long before as it was the
    /// last one's time.
    fn by_the_clock(&self, judgement: &mut Judgement) {
        let Some((began, done)) = self.seen.stepped else {
            return;
        };
        let pause = kernel::late(kernel::wait(self.probe, true), self.tick) + WOKEN_LATE;
        let (least, most) = (began - pause, done + PROCESS);
        let silent_since = self.seen.elapsed - self.target.after_s;
        judgement.within("the beginning of the silence", silent_since, least, most);
    }

    fn in_flight(&self, judgement: &mut Judgement) {
        let (Some(limit), Some(predicted)) = (self.probe.user_timeout, self.target.predicted)
        else {
            judgement.wrong("data in flight was given up within minutes, without TCP_USER_TIMEOUT");
            return;
        };
        let window = kernel::in_flight_end(limit, self.tick);
        self.inside(predicted, window.earliest, window.latest, judgement);
        judgement.measure(
            Measure::EndInFlight,
            self.target.after_s - limit.as_secs_f64(),
        );
        let Some((began, done)) = self.seen.stepped else {
            return;
        };
        // Sent before the cut and not acknowledged, or after it: data every second, or a heartbeat.
        let pause = match self.probe.traffic {
            Traffic::Heartbeat(every) => every.as_secs_f64(),
            Traffic::InFlight { .. } | Traffic::None => 1.0,
        };
        let sent = self.seen.elapsed - self.target.after_s;
        let (least, most) = (began - WOKEN_LATE, done + pause + PROCESS);
        judgement.within("the sending of what was lost", sent, least, most);
    }

    fn unreachable(&self, judgement: &mut Judgement) {
        judgement.must(self.target.phase == "in-flight", || {
            format!("EHOSTUNREACH while {}", self.target.phase)
        });
        if self.probe.traffic == (Traffic::InFlight { icmp_errors: true }) {
            judgement.must(self.target.still_established, || {
                "not established".to_owned()
            });
            // Every retransmission is answered, the first of them after the timeout.
            judgement.within("being told", self.target.after_s, 0.0, 1.7);
        } else {
            self.in_flight(judgement);
        }
    }

    /// A RST answered a probe: of a peer that rebooted, or of a NAT that has forgotten.
    fn unknown_to_the_peer(&self, judgement: &mut Judgement) {
        let after = self.target.after_s;
        if self.probe.traffic != Traffic::None {
            // Data goes every second, and again if it met the reboot itself.
            judgement.within("the reset", after, 0.0, 1.0 + kernel::late(1.0, self.tick));
            return;
        }
        let answered = self.answered("keepalive") > 0;
        let interval = self.probe.interval.as_secs_f64();
        let lost = self.trailing().saturating_sub(1);
        // A probe may fall into the moment of the reboot itself, in which the peer is deaf.
        let deaf = self
            .seen
            .stepped
            .map_or(0.0, |(began, done)| done - began + WOKEN_LATE);
        let most_lost = if self.seen.stepped.is_some() {
            1.0 + deaf / interval
        } else {
            0.0
        };
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let lost = lost as f64;
        judgement.must(lost <= most_lost, || {
            format!("{lost} probes lost before the RST")
        });
        let first = kernel::wait(self.probe, answered);
        let nominal = first + lost * interval;
        let latest = kernel::late(first, self.tick) + lost * kernel::late(interval, self.tick);
        let ticks = 2.0 * self.tick.0;
        judgement.within(
            "the reset",
            after,
            nominal - ticks,
            latest + ticks + WOKEN_LATE,
        );
        self.by_the_clock(judgement);
    }

    fn closed(&self, judgement: &mut Judgement) {
        let (Server::ServeAge(age) | Server::Closing { age, .. }) = self.case.server else {
            judgement.wrong(format!(
                "{} by a server that closes nothing",
                self.target.outcome
            ));
            return;
        };
        let age = age.as_secs_f64();
        judgement.within(
            "its life",
            self.seen.elapsed,
            age,
            age + self.seen.closed_late + PROCESS,
        );
        judgement.measure(Measure::Closed, self.seen.elapsed - age);
        let pause = kernel::late(kernel::wait(self.probe, true), self.tick) + WOKEN_LATE;
        judgement.within("its last silence", self.target.after_s, 0.0, pause);
    }

    fn stuck(&self, judgement: &mut Judgement) {
        let (Traffic::Heartbeat(every), Server::Stuck { answers }) =
            (self.probe.traffic, self.case.server)
        else {
            judgement.wrong("a service that answers is called stuck");
            return;
        };
        let every = every.as_secs_f64();
        judgement.within("its patience", self.target.after_s, every, every + BUSY);
        let answered = self.answered("heartbeat");
        judgement.must(answered == answers as usize, || {
            format!("{answered} heartbeats answered, not {answers}")
        });
        let least = every * f64::from(answers + 1);
        judgement.within("its end", self.seen.elapsed, least, least + PROCESS);
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;

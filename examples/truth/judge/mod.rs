//! Says whether kalive was right: from a case, whose truth is known, and what was seen of its run. Pure, and
//! independent of kalive's own arithmetic: what the kernel promises is written down here once more.

mod hold;
mod inspect;
mod kernel;
mod probe;
mod reports;
pub(crate) mod truth;

use std::fmt;

use serde::de::DeserializeOwned;

use crate::case::{Case, Tool};

/// One tick of the kernel, in seconds. Whatever it counts, conntrack's timeouts among it, it counts in ticks,
/// and the tick in which a silence began counts as whole: a NAT of 10 s forgets after 9.996 to 10 s at HZ=250.
/// So a bracket may miss the nominal truth by so much, and no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick(pub(crate) f64);

/// On a busy machine whoever waits is woken so much later than the event, at times.
const WOKEN_LATE: f64 = 0.05;
/// The same where the waiting is kalive's own, and no rule of the kernel's is at stake.
const BUSY: f64 = 0.25;
/// Starting a process, and ending it, on a busy machine.
const PROCESS: f64 = 1.5;

/// What was seen of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The exit code; `None` if it was ended by a signal, as it is when it hangs.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Seconds from its start to its end.
    pub(crate) elapsed: f64,
    /// When the step of the case was begun and done, in seconds from its start.
    pub(crate) stepped: Option<(f64, f64)>,
    /// Packets that the router lost at random.
    pub(crate) lost: u64,
    /// By how much the far end closed a connection late, at most.
    pub(crate) closed_late: f64,
    /// The sockets of `inspect`: address, and whether data still came back after the silence.
    pub(crate) sockets: Vec<(String, bool)>,
}

/// The judgement, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Right,
    /// Honestly no answer, or one that is too vague.
    Inconclusive,
    Wrong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Right => "right",
            Self::Inconclusive => "inconclusive",
            Self::Wrong => "WRONG",
        })
    }
}

/// What is measured of right answers, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    Width,
    WidthWithLoss,
    Outside,
    Noticed,
    Recommended,
    End,
    EndInFlight,
    Round,
    Closed,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Width => "hold: width of the bracket beyond --resolution",
            Self::WidthWithLoss => "the same with loss",
            Self::Outside => "hold: distance of the truth from the bracket",
            Self::Noticed => "hold: last sign of life before the path failed",
            Self::Recommended => {
                "hold: last useful try of the recommendation before the NAT forgets"
            }
            Self::End => "probe: idle end, after the nominal moment",
            Self::EndInFlight => "probe: end in flight, after TCP_USER_TIMEOUT",
            Self::Round => "probe: keepalive rounds, after their nominal moment",
            Self::Closed => "probe: close by the server, after its age",
        })
    }
}

/// What is said about a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    wrong: Vec<String>,
    inconclusive: Vec<String>,
    pub(crate) measured: Vec<(Measure, f64)>,
}

impl Judgement {
    pub(crate) fn verdict(&self) -> Verdict {
        if !self.wrong.is_empty() {
            Verdict::Wrong
        } else if self.inconclusive.is_empty() {
            Verdict::Right
        } else {
            Verdict::Inconclusive
        }
    }

    /// Why it is not right.
    pub(crate) fn why(&self) -> String {
        let all: Vec<&str> = self
            .wrong
            .iter()
            .chain(&self.inconclusive)
            .map(String::as_str)
            .collect();
        all.join("; ")
    }

    pub(crate) fn wrong(&mut self, why: impl Into<String>) {
        self.wrong.push(why.into());
    }

    fn inconclusive(&mut self, why: impl Into<String>) {
        self.inconclusive.push(why.into());
    }

    fn measure(&mut self, measure: Measure, seconds: f64) {
        self.measured.push((measure, seconds));
    }

    /// Wrong unless `holds`.
    fn must(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }

    /// Wrong unless `least <= value <= most`.
    fn within(&mut self, name: &str, value: f64, least: f64, most: f64) {
        self.must(least <= value && value <= most, || {
            format!("{name} is {value:.3} s, not {least:.3} to {most:.3} s")
        });
    }
}

/// Judges a run.
pub(crate) fn judge(case: &Case, seen: &Seen, tick: Tick) -> Judgement {
    let mut judgement = Judgement::default();
    if seen.code.is_none() {
        judgement.wrong(format!("it crashed or hung: {}", seen.stderr.trim()));
        return judgement;
    }
    judgement.must(!seen.stderr.contains("panicked"), || seen.stderr.clone());
    match &case.tool {
        Tool::Hold(hold) => hold::judge(case, hold, seen, tick, &mut judgement),
        Tool::Probe(probe) => probe::judge(case, probe, seen, tick, &mut judgement),
        Tool::Inspect(inspect) => inspect::judge(inspect, seen, tick, &mut judgement),
    }
    judgement
}

/// The document on stdout, if it is what it should be.
fn report<T: DeserializeOwned>(seen: &Seen, schema: &str, judgement: &mut Judgement) -> Option<T> {
    let document: serde_json::Value = match serde_json::from_str(&seen.stdout) {
        Ok(document) => document,
        Err(error) => {
            judgement.wrong(format!(
                "no JSON document ({error}), exit {:?}: {}",
                seen.code,
                seen.stderr.trim()
            ));
            return None;
        }
    };
    let found = document.get("schema").and_then(serde_json::Value::as_str);
    judgement.must(found == Some(schema), || format!("schema {found:?}"));
    // `inspect` has no end to come to.
    let complete = document
        .get("complete")
        .is_none_or(|complete| complete == true);
    judgement.must(complete, || "not complete, without a signal".to_owned());
    match serde_json::from_value(document) {
        Ok(report) => Some(report),
        Err(error) => {
            judgement.wrong(format!("a document that is not as promised: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(number: u32, seen: &Seen) -> Judgement {
        judge(&crate::generate::case(1, number), seen, Tick(0.004))
    }

    #[test]
    fn whatever_the_case_crashes_and_bad_documents_are_wrong() {
        for number in 0..60 {
            let good = r#"{"schema": "kalive.other/1", "complete": true}"#;
            for (code, stdout) in [
                (None, good),
                (Some(0), ""),
                (Some(2), ""),
                (Some(0), "{"),
                (Some(0), good),
                (Some(101), good),
            ] {
                let seen = Seen {
                    code,
                    stdout: stdout.to_owned(),
                    ..Seen::default()
                };
                assert_eq!(
                    judged(number, &seen).verdict(),
                    Verdict::Wrong,
                    "{number} {code:?}"
                );
            }
        }
    }

    #[test]
    fn the_worst_counts() {
        let mut judgement = Judgement::default();
        assert_eq!(judgement.verdict(), Verdict::Right);
        judgement.inconclusive("vague");
        assert_eq!(judgement.verdict(), Verdict::Inconclusive);
        judgement.within("end", 2.0, 2.0, 3.0);
        assert_eq!(judgement.verdict(), Verdict::Inconclusive);
        judgement.within("end", 1.9, 2.0, 3.0);
        assert_eq!(judgement.verdict(), Verdict::Wrong);
        assert_eq!(
            judgement.why(),
            "end is 1.900 s, not 2.000 to 3.000 s; vague"
        );
    }
}

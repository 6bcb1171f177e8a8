//! The proof as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::case::{Case, Kind};
use crate::judge::{Judgement, Measure, Verdict};

/// A case that has been run and judged.
pub(crate) struct Judged {
    pub(crate) case: Case,
    pub(crate) judgement: Judgement,
    pub(crate) elapsed: Duration,
}

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) right: usize,
    pub(crate) inconclusive: usize,
    pub(crate) wrong: usize,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Right => self.right += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Wrong => self.wrong += 1,
        }
    }

    fn runs(self) -> usize {
        self.right + self.inconclusive + self.wrong
    }

    /// Nothing wrong, and fewer than one in twenty inconclusive.
    pub(crate) fn hold(self) -> bool {
        self.wrong == 0 && self.inconclusive * 20 < self.runs()
    }
}

pub(crate) fn count(all: &[Judged]) -> Counts {
    let mut counts = Counts::default();
    for judged in all {
        counts.add(judged.judgement.verdict());
    }
    counts
}

/// Two tables, and every case that is not right with the line that repeats it.
pub(crate) fn markdown(all: &[Judged], seed: u64, elapsed: Duration) -> String {
    let mut text = String::new();
    by_kind(&mut text, all);
    errors(&mut text, all);
    let _ = writeln!(
        text,
        "\nSeed {seed}, {} runs in {:.0} s.",
        all.len(),
        elapsed.as_secs_f64()
    );
    for judged in all {
        let verdict = judged.judgement.verdict();
        if verdict != Verdict::Right {
            let _ = writeln!(
                text,
                "\n- {verdict}: {}: {}\n  `cargo run --release --example truth -- --seed {seed} --only {}`",
                judged.case.kind,
                judged.judgement.why(),
                judged.case.number
            );
        }
    }
    text
}

fn by_kind(text: &mut String, all: &[Judged]) {
    let mut kinds: BTreeMap<Kind, (Counts, Vec<f64>)> = BTreeMap::new();
    for judged in all {
        let (counts, times) = kinds.entry(judged.case.kind).or_default();
        counts.add(judged.judgement.verdict());
        times.push(judged.elapsed.as_secs_f64());
    }
    *text += "| case | runs | right | inconclusive | wrong | median s |\n|---|---:|---:|---:|---:|---:|\n";
    let mut row = |name: &str, counts: Counts, time: String| {
        let Counts {
            right,
            inconclusive,
            wrong,
        } = counts;
        let _ = writeln!(
            text,
            "| {name} | {} | {right} | {inconclusive} | {wrong} | {time} |",
            counts.runs()
        );
    };
    for (kind, (counts, mut times)) in kinds {
        times.sort_by(f64::total_cmp);
        let median = quantile(&times, 0.5).map_or(String::new(), |time| format!("{time:.1}"));
        row(&kind.to_string(), counts, median);
    }
    row("**all**", count(all), String::new());
}

fn errors(text: &mut String, all: &[Judged]) {
    let mut measured: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
    for (measure, seconds) in all.iter().flat_map(|judged| &judged.judgement.measured) {
        measured.entry(*measure).or_default().push(*seconds);
    }
    *text += "\n| error, s | n | min | p10 | median | p90 | max |\n|---|---:|---:|---:|---:|---:|---:|\n";
    for (measure, mut values) in measured {
        values.sort_by(f64::total_cmp);
        let _ = write!(text, "| {measure} | {} |", values.len());
        for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let value = quantile(&values, share).unwrap_or(f64::NAN);
            let _ = write!(text, " {value:.3} |");
        }
        text.push('\n');
    }
}

/// Of sorted values, the nearest.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of some thousands"
    )]
    let place = (share * last as f64).round() as usize;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(number: u32, wrong: &[&str]) -> Judged {
        let mut judgement = Judgement::default();
        for why in wrong {
            judgement.wrong(*why);
        }
        judgement.measured = vec![(Measure::End, f64::from(number))];
        Judged {
            case: crate::generate::case(9, number),
            judgement,
            elapsed: Duration::from_secs(number.into()),
        }
    }

    #[test]
    fn every_case_that_is_not_right_can_be_repeated() {
        let all = [
            judged(0, &[]),
            judged(1, &["late", "mute"]),
            judged(24, &[]),
        ];
        let text = markdown(&all, 9, Duration::from_secs(60));
        for line in [
            "| probe: path cut while idle | 2 | 1 | 0 | 1 | 24.0 |",
            "| **all** | 3 | 2 | 0 | 1 |  |",
            "| probe: idle end, after the nominal moment | 3 | 0.000 | 0.000 | 1.000 | 24.000 | 24.000 |",
            "Seed 9, 3 runs in 60 s.",
            "- WRONG: probe: path cut while idle: late; mute",
            "  `cargo run --release --example truth -- --seed 9 --only 1`",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn one_wrong_is_too_much_and_so_is_one_inconclusive_in_twenty() {
        for (right, inconclusive, wrong, holds) in [
            (200, 0, 0, true),
            (199, 0, 1, false),
            (191, 9, 0, true),
            (190, 10, 0, false),
            (1, 0, 0, true),
            (0, 0, 0, false),
        ] {
            let counts = Counts {
                right,
                inconclusive,
                wrong,
            };
            assert_eq!(counts.hold(), holds, "{counts:?}");
        }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(
            [0.0, 0.5, 1.0].map(|share| quantile(&values, share)),
            [Some(1.0), Some(4.0), Some(8.0)]
        );
        assert_eq!(quantile(&[], 0.5), None);
    }
}

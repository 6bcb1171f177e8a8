//! From samples to what they carry. An answer is absolute. A loss may be chance: it counts as long as no
//! longer silence was answered, and otherwise is a contradiction that only a repetition can resolve.

use std::time::Duration;

use super::{Answer, Expiry, Sample};

/// How often a contradicted age has to be answered in a later pass to count as lost by chance.
const REPETITIONS: usize = 2;

/// What a set of samples carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The longest silence that was answered.
    pub(crate) lower: Option<Duration>,
    /// The shortest silence above `lower` that was not.
    pub(crate) upper: Option<Duration>,
    /// How the connection at `upper` ended.
    pub(crate) answer: Option<Answer>,
    /// Whether the upper bound rests on more than one loss, or on a RST.
    pub(crate) supported: bool,
    /// Silences that were lost although a longer one was answered, and that no repetition explains.
    pub(crate) contradictions: Vec<Duration>,
}

impl Finding {
    /// Between which silences the memory ends, where the samples carry that. Nothing answered at all
    /// says that it ends below the shortest silence tried.
    pub(crate) fn bracket(&self) -> Option<(Duration, Duration)> {
        let upper = self.upper.filter(|_| self.consistent())?;
        Some((self.lower.unwrap_or_default(), upper))
    }

    pub(crate) fn consistent(&self) -> bool {
        self.contradictions.is_empty()
    }

    pub(crate) fn expiry(&self) -> Option<Expiry> {
        match self.answer {
            Some(Answer::Reset) => Some(Expiry::ResetOnProbe),
            Some(Answer::Lost) => Some(Expiry::Silent),
            Some(Answer::Answered) | None => self.lower.map(|_| Expiry::None),
        }
    }
}

/// What `samples` carry. Repetitions within `resolution` of a contradicted age resolve it.
pub(crate) fn judge(samples: &[Sample], resolution: Duration) -> Finding {
    let lower = answered(samples).map(|sample| sample.earliest).max();
    let reached = lower.unwrap_or_default();
    let (below, above): (Vec<&Sample>, Vec<&Sample>) = samples
        .iter()
        .filter(|sample| sample.answer != Answer::Answered)
        .partition(|sample| sample.latest <= reached);
    let edge = [reset(&above), lost(&above, reached)];
    let edge = edge.into_iter().flatten().min_by_key(|(at, _)| *at);
    Finding {
        lower,
        upper: edge.map(|(at, _)| at),
        answer: edge.map(|(_, answer)| answer),
        supported: above.len() > 1 || edge.is_some_and(|(_, answer)| answer == Answer::Reset),
        contradictions: below
            .into_iter()
            .filter(|lost| !resolved(lost, samples, resolution))
            .map(|lost| lost.latest)
            .collect(),
    }
}

/// A RST leaves no doubt.
fn reset(above: &[&Sample]) -> Option<(Duration, Answer)> {
    let reset = above.iter().filter(|sample| sample.answer == Answer::Reset);
    let first = reset.map(|sample| sample.latest).min()?;
    Some((first, Answer::Reset))
}

/// All tries beyond the longest silence that was answered were lost, whichever connection they were made on: that
/// is no chance any more at the silence at which there have been enough of them.
fn lost(above: &[&Sample], reached: Duration) -> Option<(Duration, Answer)> {
    let lost = || above.iter().filter(|sample| sample.answer == Answer::Lost);
    let decisive = lost().map(|sample| sample.decisive).max()?;
    let mut tried: Vec<Duration> = lost()
        .flat_map(|sample| sample.tried.iter().copied())
        .filter(|at| *at > reached)
        .collect();
    tried.sort();
    let enough = usize::try_from(decisive).unwrap_or(usize::MAX);
    let at = tried.get(enough.saturating_sub(1)).or(tried.last());
    at.map(|&at| (at, Answer::Lost))
}

fn answered(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples
        .iter()
        .filter(|sample| sample.answer == Answer::Answered)
}

fn resolved(lost: &Sample, samples: &[Sample], resolution: Duration) -> bool {
    let near = |sample: &&Sample| {
        sample.pass > lost.pass && sample.earliest.abs_diff(lost.earliest) <= resolution
    };
    let (good, bad): (Vec<&Sample>, Vec<&Sample>) = samples
        .iter()
        .filter(near)
        .partition(|sample| sample.answer == Answer::Answered);
    bad.is_empty() && good.len() >= REPETITIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: f64) -> Duration {
        Duration::from_secs_f64(value)
    }

    /// `3+` answered after 3 s, `4-` lost, `4r` reset; `|` begins the next pass.
    fn samples(text: &str) -> Vec<Sample> {
        let mut pass = 1;
        let mut samples = Vec::new();
        for word in text.split_whitespace() {
            if word == "|" {
                pass += 1;
                continue;
            }
            let (age, sign) = word.split_at(word.len() - 1);
            let age = seconds(age.parse().unwrap());
            let latest = age + Duration::from_millis(5);
            samples.push(Sample {
                earliest: age,
                latest,
                answer: match sign {
                    "+" => Answer::Answered,
                    "-" => Answer::Lost,
                    "r" => Answer::Reset,
                    _ => panic!("{word}"),
                },
                tries: 1,
                pass,
                tried: vec![latest],
                decisive: 1,
            });
        }
        samples
    }

    fn bracket(text: &str) -> Option<(f64, f64)> {
        let finding = judge(&samples(text), seconds(0.5));
        finding
            .bracket()
            .map(|(lower, upper)| (lower.as_secs_f64(), upper.as_secs_f64()))
    }

    #[test]
    fn brackets() {
        for (text, expected) in [
            ("", None),
            ("1+ 2+", None),
            ("1+ 2+ 3-", Some((2.0, 3.005))),
            ("3- 1+ 2+ 4- 2.5+", Some((2.5, 3.005))),
            ("1-", Some((0.0, 1.005))),
            ("1+ 2r 3r", Some((1.0, 2.005))),
            // A longer silence lived: no bracket, although a loss stands above.
            ("1+ 2- 3+ 4-", None),
            // Tested again it lived, twice: it was chance.
            ("1+ 2- 3+ 4- | 2+ 2+", Some((3.0, 4.005))),
            ("1+ 2- 3+ 4- | 2+", None),
            ("1+ 2- 3+ 4- | 2+ 2+ 2-", None),
            // Repetitions of the same pass or of another age say nothing.
            ("1+ 2- 2+ 2+ 3+ 4-", None),
            ("1+ 2- 3+ 4- | 2.6+ 2.6+", None),
        ] {
            assert_eq!(bracket(text), expected, "{text}");
        }
    }

    /// Where every other packet gets lost, say, one lost try tells nothing, and three of them do: of one
    /// connection or of several.
    #[test]
    fn lost_tries_of_all_connections_count_together() {
        let upper = |text: &str, tries: u32| {
            let mut samples = samples(text);
            for sample in &mut samples {
                let first = sample.latest;
                sample.decisive = 3;
                sample.tried = (0..tries).map(|n| first + seconds(0.5) * n).collect();
                sample.latest = sample.tried.last().copied().unwrap();
            }
            let upper = judge(&samples, seconds(0.5)).upper;
            upper.map(|upper| upper.as_secs_f64())
        };
        assert_eq!(upper("1+ 4-", 5), Some(5.005));
        assert_eq!(upper("1+ 4- 4.1- 4.2-", 5), Some(4.205));
        // What was lost at silences that are answered was chance.
        assert_eq!(upper("1+ 4- 4.3+ 4.4- 4.5- 4.6-", 5), Some(4.505));
        assert_eq!(upper("1+ 4- 4.1-", 1), Some(4.105), "there are no more");
        assert_eq!(upper("1+ 4r 4.1-", 1), Some(4.005), "a RST leaves no doubt");
    }

    #[test]
    fn one_loss_alone_is_weak_and_a_reset_is_not() {
        let judged = |text| judge(&samples(text), seconds(0.5));
        assert!(!judged("1+ 2-").supported);
        assert!(judged("1+ 2- 3-").supported);
        assert!(judged("1+ 2r").supported);
    }

    #[test]
    fn expiry_is_that_of_the_edge() {
        let expiry = |text| judge(&samples(text), seconds(0.5)).expiry();
        assert_eq!(expiry("1+ 2- 3r"), Some(Expiry::Silent));
        assert_eq!(expiry("1+ 2r 3-"), Some(Expiry::ResetOnProbe));
        assert_eq!(expiry("1+"), Some(Expiry::None));
        assert_eq!(expiry(""), None);
    }

    proptest::proptest! {
        /// Whatever the samples: in a bracket every answered silence is at or below the lower bound, and
        /// some loss stands exactly at the upper.
        #[test]
        fn a_bracket_is_carried(ages in proptest::collection::vec((1_u64..100, 0_u8..3, 1_u32..3), 0..40)) {
            let samples: Vec<Sample> = ages
                .into_iter()
                .map(|(age, kind, pass)| Sample {
                    earliest: Duration::from_secs(age),
                    latest: Duration::from_secs(age) + Duration::from_millis(1),
                    answer: [Answer::Answered, Answer::Lost, Answer::Reset][usize::from(kind)],
                    tries: 1,
                    pass,
                    tried: vec![Duration::from_secs(age) + Duration::from_millis(1)],
                    decisive: 1,
                })
                .collect();
            let finding = judge(&samples, Duration::from_secs(1));
            if let Some((lower, upper)) = finding.bracket() {
                proptest::prop_assert!(lower < upper);
                proptest::prop_assert!(answered(&samples).all(|sample| sample.earliest <= lower));
                proptest::prop_assert!(samples.iter().any(|sample| sample.latest == upper && sample.answer != Answer::Answered));
            }
        }
    }
}

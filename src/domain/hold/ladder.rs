//! At which silences to speak: a pure function from what is asked to a ladder of rungs with a vernier.
//!
//! Rungs are opened together and each probed once at its own age. The vernier's sessions are opened one
//! step after the other: at the moment when a rung is found dead their ages fill the gap below it.

use std::time::Duration;

/// From here on a keepalive probe can be sent at will (`TCP_KEEPIDLE` takes no less).
pub(crate) const SHORTEST: Duration = Duration::from_secs(1);
/// `TCP_KEEPIDLE` takes no more than 32767 s, and until then no probe must go out by itself.
pub(crate) const LONGEST: Duration = Duration::from_secs(32_700);
/// The finest that the tick of the kernel and a busy machine allow.
pub(crate) const FINEST: Duration = Duration::from_millis(20);
/// How long it takes, at most, to find a rung dead: probes, and the control's answer.
pub(crate) const VERDICT: Duration = Duration::from_millis(1_600);
/// Rungs lie no further apart than one in so many parts of their age.
const TENTH: u32 = 10;

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// The shortest silence to try.
    pub(crate) min: Duration,
    /// The longest.
    pub(crate) max: Duration,
    /// How wide the bracket may be.
    pub(crate) resolution: Duration,
    /// How many sessions may be open at once.
    pub(crate) sessions: usize,
}

/// One pass of measuring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// The ages at which rungs are probed, ascending; some twice.
    pub(crate) rungs: Vec<Duration>,
    pub(crate) vernier: Vernier,
}

/// Sessions that are opened one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vernier {
    pub(crate) count: usize,
    pub(crate) step: Duration,
}

impl Ladder {
    pub(crate) fn sessions(&self) -> usize {
        self.rungs.len() + self.vernier.count
    }

    /// The widest gap that this pass alone may leave.
    fn resolves(&self) -> Duration {
        let gap = self
            .rungs
            .iter()
            .zip(self.rungs.iter().skip(1))
            .map(|(short, long)| long.saturating_sub(*short))
            .max()
            .unwrap_or_default();
        if self.vernier.count == 0 {
            gap
        } else {
            self.vernier.step.min(gap)
        }
    }
}

/// The first pass, and whether a second will be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) first: Ladder,
    /// How many passes the resolution takes.
    pub(crate) passes: u32,
}

impl Search {
    /// Sessions a step apart leave brackets of the resolution even when they open a bit unevenly.
    fn step(resolution: Duration) -> Duration {
        resolution.saturating_sub((resolution / 5).min(Duration::from_millis(100)))
    }

    /// The ladder with the fewest sessions that finds the edge in one pass; a coarser one where the
    /// limit does not allow that. `None` if not even two sessions are allowed.
    pub(crate) fn plan(&self) -> Option<Planned> {
        let mut coarse = self.resolution;
        loop {
            if let Some(first) = self.one_pass(coarse) {
                let left = first.resolves().as_nanos().max(1);
                let step = Self::step(self.resolution).as_nanos().max(1);
                let passes = if coarse == self.resolution {
                    1
                } else {
                    // Each further pass divides what is left by nearly as many as it has sessions.
                    let mut passes = 1;
                    let mut gap = left;
                    while gap > step && passes < 9 {
                        gap /= self.sessions.max(2) as u128;
                        passes += 1;
                    }
                    passes
                };
                return Some(Planned { first, passes });
            }
            coarse = coarse * 5 / 4;
            if coarse > self.max {
                return self.coarsest();
            }
        }
    }

    fn one_pass(&self, resolution: Duration) -> Option<Ladder> {
        let step = Self::step(resolution);
        // Each number as far as it matters, then every so many.
        std::iter::successors(Some(0), |filled| Some(filled + 1 + filled / 256))
            .take_while(|&filled| filled <= self.sessions)
            .filter_map(|filled| {
                let gap = step * u32::try_from(filled + 1).unwrap_or(u32::MAX);
                let rungs = self.rungs(gap, resolution)?;
                // Where the rungs themselves are as close as that, none is needed.
                let count = if filled == 0 {
                    0
                } else {
                    filled + VERDICT.as_nanos().div_ceil(step.as_nanos()) as usize
                };
                let vernier = Vernier { count, step };
                Some(Ladder { rungs, vernier })
            })
            .filter(|ladder| ladder.sessions() <= self.sessions)
            .min_by_key(Ladder::sessions)
    }

    /// Ages from min to max, no further apart than `gap` or a tenth; `None` if there are too many.
    fn rungs(&self, gap: Duration, resolution: Duration) -> Option<Vec<Duration>> {
        let mut rungs = Vec::new();
        let mut age = self.min;
        while age < self.max {
            rungs.push(age);
            if rungs.len() >= self.sessions {
                return None;
            }
            age += gap.min((age / TENTH).max(Self::step(resolution)));
        }
        rungs.push(self.max);
        Some(rungs)
    }

    /// As many rungs as there may be, in the same proportion.
    fn coarsest(&self) -> Option<Planned> {
        let rungs = spread(self.min, self.max, self.sessions)?;
        let step = Self::step(self.resolution);
        let first = Ladder {
            rungs,
            vernier: Vernier { count: 0, step },
        };
        Some(Planned { first, passes: 4 })
    }

    /// Another pass, where the bracket is too wide or rests on too little, or ages contradict each other.
    /// Every rung is an age to be tried; there is no vernier. Where it takes `decisive` lost tries to take chance
    /// out, rungs are so much closer, and closer still since some below the edge get lost too.
    pub(crate) fn again(
        &self,
        bracket: Option<(Duration, Duration)>,
        contradictions: &[Duration],
        decisive: u32,
    ) -> Option<Ladder> {
        let step = Self::step(self.resolution) / (decisive + decisive / 2).max(1);
        let mut rungs: Vec<Duration> = contradictions
            .iter()
            .take(self.sessions / 6)
            .flat_map(|&age| [age, age, age])
            .collect();
        if let Some((lower, upper)) = bracket {
            let lower = lower.max(SHORTEST);
            let room = self.sessions.saturating_sub(rungs.len() + 1).max(1);
            let width = upper.saturating_sub(lower);
            let wanted = width.as_nanos().div_ceil(step.as_nanos().max(1)).max(1);
            let parts = wanted.min(room as u128);
            let part = width / u32::try_from(parts).unwrap_or(u32::MAX);
            let mut age = lower + part;
            while age < upper && rungs.len() < self.sessions.saturating_sub(1) {
                rungs.push(age);
                age += part.max(Duration::from_millis(1));
            }
            // The edge rests on two losses then.
            rungs.push(upper);
        }
        rungs.retain(|&age| age >= SHORTEST);
        rungs.sort();
        let vernier = Vernier { count: 0, step };
        (!rungs.is_empty()).then_some(Ladder { rungs, vernier })
    }
}

/// `count` ages from min to max, each longer than the last by the same factor.
pub(crate) fn spread(min: Duration, max: Duration, count: usize) -> Option<Vec<Duration>> {
    let last = u32::try_from(count.checked_sub(1)?)
        .ok()
        .filter(|&n| n > 0)?;
    let ratio = max.as_secs_f64() / min.as_secs_f64();
    let mut ages: Vec<Duration> = (0..last)
        .map(|n| min.mul_f64(ratio.powf(f64::from(n) / f64::from(last))))
        .collect();
    ages.push(max);
    Some(ages)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn search(max_s: u64, resolution_ms: u64, sessions: usize) -> Search {
        Search {
            min: ms(1_000),
            max: Duration::from_secs(max_s),
            resolution: ms(resolution_ms),
            sessions,
        }
    }

    #[test]
    fn a_whole_plan() {
        let planned = search(5, 1_000, 256).plan().unwrap();
        let expected = Planned {
            first: Ladder {
                rungs: [1_000, 1_900, 2_800, 3_700, 4_600, 5_000].map(ms).to_vec(),
                vernier: Vernier {
                    count: 0,
                    step: ms(900),
                },
            },
            passes: 1,
        };
        assert_eq!(planned, expected);
    }

    #[test]
    fn a_whole_plan_with_a_vernier() {
        let planned = search(8, 100, 40).plan().unwrap();
        let rungs = [
            1_000, 1_100, 1_210, 1_331, 1_464, 1_610, 1_771, 1_948, 2_143, 2_357, 2_593, 2_853,
            3_138, 3_452, 3_797, 4_117, 4_437, 4_757, 5_077, 5_397, 5_717, 6_037, 6_357, 6_677,
            6_997, 7_317, 7_637, 7_957, 8_000,
        ];
        let rounded: Vec<u128> = planned
            .first
            .rungs
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(
            rounded.len() + planned.first.vernier.count,
            planned.first.sessions()
        );
        assert!(planned.first.sessions() <= 40, "{planned:?}");
        let _ = rungs;
    }

    #[test]
    fn two_hours_to_a_second_fit_in_one_pass() {
        let planned = search(7_200, 1_000, 240).plan().unwrap();
        assert_eq!(planned.passes, 1);
        assert!(planned.first.sessions() <= 240);
        // About 2 * sqrt(max / resolution), and the close rungs at the short end.
        assert!(planned.first.sessions() >= 169);
    }

    #[test]
    fn a_limit_costs_passes_and_never_sessions() {
        for (sessions, passes) in [(240, 1), (100, 2), (20, 2), (4, 4)] {
            let planned = search(7_200, 1_000, sessions).plan().unwrap();
            assert!(planned.first.sessions() <= sessions, "{sessions}");
            assert!(planned.passes >= passes, "{sessions}: {}", planned.passes);
        }
        assert_eq!(search(7_200, 1_000, 1).plan(), None);
        assert_eq!(search(7_200, 1_000, 0).plan(), None);
    }

    #[test]
    fn the_vernier_fills_every_gap_when_a_rung_is_found_dead() {
        for (max, resolution, sessions) in [(7_200, 1_000, 256), (30, 100, 256), (15, 20, 256)] {
            let first = search(max, resolution, sessions).plan().unwrap().first;
            let Vernier { count, step } = first.vernier;
            let span = step * u32::try_from(count).unwrap();
            for pair in first.rungs.windows(2) {
                let gap = pair[1].saturating_sub(pair[0]);
                // The youngest session is no older than the last good rung and a step.
                assert!(
                    gap <= step || gap + VERDICT <= span + step,
                    "{pair:?} {step:?}"
                );
            }
        }
    }

    #[test]
    fn another_pass_divides_the_bracket_and_repeats_what_contradicts() {
        let search = search(100, 1_000, 256);
        let again = |bracket, contradictions: &[Duration]| {
            search
                .again(bracket, contradictions, 1)
                .map(|ladder| ladder.rungs)
        };
        assert_eq!(
            again(Some((ms(10_000), ms(13_000))), &[]),
            Some([10_750, 11_500, 12_250, 13_000].map(ms).to_vec())
        );
        assert_eq!(
            again(Some((ms(10_000), ms(10_500))), &[ms(7_000)]),
            Some([7_000, 7_000, 7_000, 10_500].map(ms).to_vec())
        );
        assert_eq!(again(None, &[]), None);
        assert_eq!(again(Some((ms(0), ms(900))), &[]), None);
        let with_loss = search
            .again(Some((ms(10_000), ms(13_000))), &[], 3)
            .unwrap();
        assert_eq!(with_loss.rungs.len(), 15, "four times as many");
    }

    proptest::proptest! {
        #[test]
        fn every_plan_climbs_to_the_end_within_its_limit(
            max in 2_u64..32_700, resolution in 20_u64..60_000, sessions in 2_usize..400,
        ) {
            let search = search(max, resolution, sessions);
            let first = search.plan().unwrap().first;
            proptest::prop_assert!(first.sessions() <= sessions);
            proptest::prop_assert!(first.rungs.is_sorted());
            proptest::prop_assert_eq!(first.rungs.first(), Some(&search.min));
            proptest::prop_assert_eq!(first.rungs.last(), Some(&search.max));
        }
    }
}

//! How many probes a loss needs before it counts, from the share of probes that chance has taken so far.

/// A wrong loss in so many verdicts is accepted: the neighbours contradict it then.
const WRONG: f64 = 1e-6;
/// The same for the silence that a loss is said to have had.
const WRONG_AGE: f64 = 1e-4;
/// Never fewer and never more probes (`TCP_KEEPCNT` takes 127).
const FEWEST: u32 = 4;
const MOST: u32 = 24;

/// Probes so far whose connection turned out to be alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    sent: u32,
    lost: u32,
}

impl Tries {
    /// A connection that lives answered the last of so many probes.
    pub(crate) fn answered_after(&mut self, tries: u32) {
        self.sent += tries;
        self.lost += tries.saturating_sub(1);
    }

    /// So many packets of a connection that lives were sent again.
    pub(crate) fn repeated(&mut self, packets: u32) {
        self.sent += packets;
        self.lost += packets;
    }

    /// Whether anything was lost by chance.
    pub(crate) fn lossy(self) -> bool {
        self.lost > 0
    }

    /// The share that is lost, on the safe side: one in ten until more is known.
    fn loss(self) -> f64 {
        (f64::from(self.lost) + 1.0) / (f64::from(self.sent) + 10.0)
    }

    /// How many unanswered probes make a loss.
    pub(crate) fn needed(self) -> u32 {
        tries(WRONG, self.loss()).clamp(FEWEST, MOST)
    }

    /// The first of those before which the path may, by chance, have seen nothing of the others: a lost
    /// silence is at most as long as it was then.
    pub(crate) fn decisive(self) -> u32 {
        if self.lost == 0 {
            return 1;
        }
        tries(WRONG_AGE, self.loss()).clamp(2, self.needed())
    }
}

fn tries(wrong: f64, loss: f64) -> u32 {
    let exact = (wrong.ln() / loss.min(0.9).ln()).ceil();
    // From 1 to some hundred.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive: both logarithms are negative"
    )]
    let whole = exact as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sent: u32, lost: u32) -> Tries {
        Tries { sent, lost }
    }

    #[test]
    fn more_loss_needs_more_tries() {
        for (tries, needed, decisive) in [
            (after(0, 0), 6, 1),
            (after(100, 0), 4, 1),
            (after(100, 10), 6, 4),
            (after(100, 36), 13, 9),
            (after(100, 99), 24, 24),
        ] {
            assert_eq!(
                (tries.needed(), tries.decisive()),
                (needed, decisive),
                "{tries:?}"
            );
        }
    }

    #[test]
    fn only_the_probes_before_the_answer_were_lost() {
        let mut tries = Tries::default();
        tries.answered_after(1);
        assert_eq!(tries, after(1, 0));
        tries.answered_after(3);
        assert_eq!(tries, after(4, 2));
    }
}

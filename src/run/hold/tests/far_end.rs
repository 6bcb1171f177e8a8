//! A far end that speaks, honestly or not.

use super::*;
use crate::domain::hold::Direction;
use crate::domain::serve::{Outcome, REQUEST, Reply, Request, Token, greeting};
use crate::hostile::Mutator;

/// `kalive serve`, and whoever changes what it says on the way.
pub(super) struct FarEnd {
    pub(super) said: Vec<Vec<u8>>,
    changes: Changes,
}

type Changes = Box<dyn FnMut(&mut Vec<u8>)>;

impl Fake {
    fn with_far_end(mut self, changes: impl FnMut(&mut Vec<u8>) + 'static) -> Self {
        self.far_end = Some(FarEnd {
            said: Vec::new(),
            changes: Box::new(changes),
        });
        self
    }

    fn say(&mut self, id: Id, text: &str) {
        let Some(far_end) = &mut self.far_end else {
            return;
        };
        let mut bytes = text.as_bytes().to_vec();
        (far_end.changes)(&mut bytes);
        let place = far_end.said.len();
        far_end.said.push(bytes);
        self.come(ROUND_TRIP * 2, id, Coming::Data(place));
    }

    /// The token of a session is its number.
    pub(super) fn greet(&mut self, id: Id) {
        self.say(id, &greeting(Token(id.try_into().unwrap())));
    }

    /// Answers every request in what was sent. It speaks at once and is always acknowledged.
    pub(super) fn hear(&mut self, id: Id, bytes: &[u8]) {
        if self.far_end.is_none() {
            return;
        }
        for line in bytes.chunks(REQUEST) {
            let reply = match Request::parse(line) {
                Ok(Request::Ping { number }) => Reply::Pong { number },
                Ok(Request::Speak { token, .. }) => self.speak(token),
                Err(_) => continue,
            };
            self.say(id, &reply.encode());
        }
    }

    fn speak(&mut self, token: Token) -> Reply {
        let session = Id::try_from(token.0).unwrap();
        let Some(made) = self.connections.get_mut(&session) else {
            return Reply::NoSession { token };
        };
        let silence = self.now.saturating_sub(made.last);
        made.segments_in += 1;
        made.segments_out += 1;
        made.last = self.now;
        Reply::Spoken {
            token,
            outcome: Outcome::Acknowledged,
            silence,
            bytes: 1,
        }
    }
}

const MAX: Duration = Duration::from_secs(60);

fn inbound(report: &Report) -> Option<&crate::report::hold::Found> {
    report
        .directions
        .iter()
        .find(|direction| direction.direction == Direction::Inbound)
}

#[test]
fn an_honest_far_end_tells_of_the_way_back() {
    let fake = forgets_after(1_000, Fate::Vanishes).with_far_end(|_| {});
    let report = measured("--max 60s --sessions 60", fake);
    let inbound = inbound(&report).unwrap();
    assert_eq!(inbound.expiry, Some(Expiry::None), "{report:?}");
    assert_eq!(report.verdict(Some(MAX)), Verdict::Holds);
}

/// The run ends in time whatever is said, and no silence is believed that cannot have been.
#[test]
fn hostile_far_ends() {
    let captures: [&[u8]; 3] = [
        b"acknowledged 0000000000000007 18446744073709551615 1\n",
        b"reset 0000000000000009 99999999 10\nunknown 0000000000000003\n",
        b"pong 1\nkalive-serve/1 0123456789abcdef\n",
    ];
    for seed in 0..60 {
        let captures: &'static [&'static [u8]] = Box::leak(Box::new(captures));
        let mut mutator = Mutator::new(captures, seed);
        let mut spared = seed % 20;
        let fake = forgets_after(1_000, Fate::Vanishes).with_far_end(move |bytes| {
            if spared > 0 {
                spared -= 1;
            } else {
                mutator.damage(bytes);
            }
        });
        let report = measured("--max 60s --sessions 60", fake);
        assert!(
            report.cost.elapsed < MAX * 3,
            "seed {seed}: {:?}",
            report.cost
        );
        for direction in &report.directions {
            for sample in &direction.samples {
                assert!(
                    sample.earliest <= report.cost.elapsed,
                    "seed {seed}: {sample:?}"
                );
            }
        }
    }
}

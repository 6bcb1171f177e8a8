//! Compares a look with the two that were taken before and after it: what it tells must be what both tell,
//! or, where time moved on, must lie between.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::look::{Look, Row};

/// Three looks at the same sockets, one after the other.
pub(crate) struct Bracket<'a> {
    pub(crate) before: &'a Look,
    pub(crate) between: &'a Look,
    pub(crate) after: &'a Look,
    /// What the kernel's clock of timers counts in.
    pub(crate) tick: Duration,
}

/// How much was compared of one state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compared {
    pub(crate) sockets: usize,
    /// Timers that were the same one as before or after, with a deadline to compare.
    pub(crate) timers: usize,
    /// Timers that ran anew at least twice meanwhile, so that only their kind and count could be compared.
    pub(crate) moved: usize,
    pub(crate) ages: usize,
    /// Timers that lost what the ages gained, to a tick.
    pub(crate) exact: usize,
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sockets,
            timers,
            moved,
            ages,
            exact,
        } = self;
        write!(
            f,
            "{sockets:6} sockets, {timers:6} timers ({exact} to a tick; {moved} more ran anew twice), {ages:6} ages"
        )
    }
}

/// When something happened or will, as an earliest and a latest millisecond.
type Span = (i64, i64);

impl Bracket<'_> {
    /// Compares all sockets; gives what was compared by state, and what does not agree.
    pub(crate) fn compare(&self) -> (BTreeMap<String, Compared>, Vec<String>) {
        let mut compared = BTreeMap::<String, Compared>::new();
        let mut wrong = Vec::new();
        for (cookie, between) in &self.between.rows {
            let (Some(before), Some(after)) =
                (self.before.rows.get(cookie), self.after.rows.get(cookie))
            else {
                wrong.push(format!("kalive does not know {between:?}"));
                continue;
            };
            let counts = compared.entry(between.fixed.state.clone()).or_default();
            match self.socket([before, between, after], counts) {
                Ok(()) => counts.sockets += 1,
                Err(what) => wrong.push(format!(
                    "{what} of {cookie}:\n  {before:?}\n  {between:?}\n  {after:?}"
                )),
            }
        }
        (compared, wrong)
    }

    fn socket(&self, rows: [&Row; 3], counts: &mut Compared) -> Result<(), &'static str> {
        let [before, between, after] = rows;
        let mut fixed = between.fixed.clone();
        if fixed.holders.is_none() {
            fixed.holders.clone_from(&before.fixed.holders);
        }
        if before.fixed != fixed || after.fixed != fixed {
            return Err("the row");
        }
        let [first, timer, last] = rows.map(|row| &row.timer);
        let steady = !self.may_fire(before);
        if timer.kind != first.kind && (steady || timer.kind != last.kind) {
            return Err("the timer");
        }
        // A window probe counts until it is answered; everything else only grows.
        let probed = timer.kind == "persist" && !steady;
        if first.kind == last.kind && !probed && !(first.count..=last.count).contains(&timer.count)
        {
            return Err("the timer's count");
        }
        match [first, timer, last].map(|timer| timer.left.clone()) {
            [None, None, None] => {}
            [Some(first), Some(left), Some(last)] => {
                if self.moment(&[first, left, last], Runs::Down, steady)? {
                    counts.timers += 1;
                } else {
                    counts.moved += 1;
                }
            }
            _ if steady => return Err("the timer's time"),
            _ => counts.moved += 1,
        }
        // The peer of one in CLOSING sends its FIN again and again.
        let undisturbed = steady && before.fixed.state != "CLOSING";
        match rows.map(|row| row.since) {
            [None, None, None] => {}
            [Some(first), Some(since), Some(last)] => {
                for ((first, since), last) in first.into_iter().zip(since).zip(last) {
                    let spans = [first, since, last].map(|age| age..=age);
                    counts.ages += usize::from(self.moment(&spans, Runs::Up, undisturbed)?);
                }
            }
            _ => return Err("the times since"),
        }
        if undisturbed && let Some(apart) = apart(before, between) {
            if apart > milliseconds(self.tick) + 1 {
                return Err("what passed by the timer and by the ages");
            }
            counts.exact += 1;
        }
        Ok(())
    }

    /// Whether the timer may fire before the last look ends. It never does early.
    fn may_fire(&self, before: &Row) -> bool {
        let all = milliseconds(self.after.ended - self.before.began);
        let left = before.timer.left.as_ref();
        left.is_some_and(|left| i64::try_from(*left.start()).unwrap() <= all)
    }

    /// Whether the value between is of the same moment as one of the others; an error if it is not and nothing
    /// could have moved it.
    fn moment(
        &self,
        values: &[RangeInclusive<u64>; 3],
        runs: Runs,
        steady: bool,
    ) -> Result<bool, &'static str> {
        let looks = [self.before, self.between, self.after];
        let mut spans = looks
            .into_iter()
            .zip(values)
            .map(|(look, value)| self.span(look, value, runs));
        let (Some(before), Some(between), Some(after)) = (spans.next(), spans.next(), spans.next())
        else {
            unreachable!("three of each");
        };
        let of_before = self.same(before, between);
        let of_after = self.same(between, after);
        if !steady {
            return Ok(of_before || of_after);
        }
        let [first, value, last] = values;
        let in_order = match runs {
            Runs::Down => first.end() >= value.start() && value.end() >= last.start(),
            Runs::Up => first.start() <= value.end() && value.start() <= last.end(),
        };
        match (in_order, of_before && of_after) {
            (true, true) => Ok(true),
            (false, _) => Err("the order of a time"),
            (true, false) => Err("a time"),
        }
    }

    fn span(&self, look: &Look, value: &RangeInclusive<u64>, runs: Runs) -> Span {
        let at = |moment: Instant| milliseconds(moment - self.before.began);
        let [least, most] =
            [value.start(), value.end()].map(|value| i64::try_from(*value).unwrap());
        match runs {
            Runs::Down => (at(look.began) + least, at(look.ended) + most),
            Runs::Up => (at(look.began) - most, at(look.ended) - least),
        }
    }

    /// Whether two may be one moment.
    fn same(&self, one: Span, other: Span) -> bool {
        let tick = milliseconds(self.tick) + 1;
        one.0 <= other.1 + tick && other.0 <= one.1 + tick
    }
}

/// By how much a timer lost less or more than the age of the last ACK gained: both were told at one moment.
fn apart(before: &Row, between: &Row) -> Option<i64> {
    let signed = |value: u64| i64::try_from(value).unwrap();
    let (first, left) = (before.timer.left.as_ref()?, between.timer.left.as_ref()?);
    let (young, old) = (before.since?[2], between.since?[2]);
    let passed = signed(old) - signed(young);
    let least = signed(*first.start()) - signed(*left.end());
    let most = signed(*first.end()) - signed(*left.start());
    Some((least - passed).max(passed - most).max(0))
}

/// Whether a value tells what is left or what has passed.
#[derive(Clone, Copy)]
enum Runs {
    Down,
    Up,
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

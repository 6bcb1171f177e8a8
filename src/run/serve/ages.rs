//! When sessions become too old. They end in the order in which they came, most of them by themselves long
//! before: what is kept of those that have ended is no more than of those that live.

use std::collections::VecDeque;

use super::slot::Slot;
use super::table::Table;
use crate::domain::moment::Moment;

/// Forgetting takes a look at all, and is not worth it below so many.
const FEW: usize = 1024;

/// The sessions by age.
#[derive(Debug, Default)]
pub(super) struct Ages(VecDeque<(Moment, Slot)>);

impl Ages {
    /// Adds the youngest session, which becomes too old at this moment.
    pub(super) fn add(&mut self, at: Moment, slot: Slot, table: &Table) {
        self.0.push_back((at, slot));
        let living = usize::try_from(table.len()).unwrap_or(usize::MAX);
        if self.0.len() > FEW.max(living.saturating_mul(2)) {
            self.0.retain(|(_, slot)| table.get(*slot).is_some());
        }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Moment> {
        self.0.front().map(|(at, _)| *at)
    }

    /// A session that has become too old by now, or has ended.
    pub(super) fn take(&mut self, now: Moment) -> Option<Slot> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_front().map(|(_, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::super::session::Session;
    use super::*;
    use crate::domain::serve::Token;

    /// A flood of sessions that end at once, beside one that lives on.
    #[test]
    fn sessions_that_have_ended_are_forgotten() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).unwrap();
        let (mut table, mut ages) = (Table::default(), Ages::default());
        let moment = |number| Moment::after_start(Duration::from_millis(number));
        let mut come = |table: &mut Table, number| {
            let stream = stream.try_clone().unwrap();
            let session = Session::new(stream, peer, Token(number), Moment::default());
            let slot = table.insert(session);
            ages.add(moment(number), slot, table);
            slot
        };
        let lives = come(&mut table, 0);
        for number in 1..10 * FEW as u64 {
            let ended = come(&mut table, number);
            table.remove(ended);
        }
        assert!(ages.0.len() <= FEW, "{}", ages.0.len());
        assert_eq!(ages.next(), Some(moment(0)));
        assert_eq!(ages.take(moment(0)), Some(lives));
        assert_eq!(ages.take(moment(0)), None);
    }
}

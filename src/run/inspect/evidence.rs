//! Adds to a row what its options say, and the verdict that follows from all that is known of it.

use std::collections::BTreeMap;
use std::thread::available_parallelism;
use std::time::Duration;

use super::batch::Batch;
use super::{Incomplete, Options, Row};
use crate::domain::live_options::Unread;
use crate::domain::state::State;
use crate::domain::survival;
use crate::plan::inspect::Plan;
use crate::sys::live_options::Reader;

/// More threads than this do not pay.
const MOST_READERS: usize = 4;

/// Reads options and judges.
pub(super) struct Evidence {
    /// Each for a thread of its own; none if options were not asked for.
    readers: Vec<Reader>,
    limit: Option<Duration>,
    /// How many sockets have options that could not be read, by the reason.
    unread: BTreeMap<Unread, u64>,
}

impl Evidence {
    pub(super) fn new(plan: &Plan) -> Self {
        let threads = available_parallelism().map_or(1, |cores| cores.get().min(MOST_READERS));
        let readers = if plan.read.options { threads } else { 0 };
        Self {
            readers: (0..readers).map(|_| Reader::default()).collect(),
            limit: plan.survives,
            unread: BTreeMap::new(),
        }
    }

    /// Reads the options of a batch, if they were asked for.
    pub(super) fn read(&mut self, batch: &mut Batch) {
        if self.readers.is_empty() {
            return;
        }
        batch.read_options(&mut self.readers, |reader, socket, holders| {
            let read = match socket.inode {
                None => Err(Unread::NoDescriptor),
                Some(_) => reader.read(socket, holders),
            };
            read.map_or_else(Options::Unknown, Options::Read)
        });
    }

    /// Judges a row by all that is known of it.
    pub(super) fn judge<'a>(&mut self, mut row: Row<'a>) -> Row<'a> {
        if let Options::Unknown(why) = row.options {
            *self.unread.entry(why).or_default() += 1;
        }
        row.verdict = self
            .limit
            .filter(|_| row.socket.state == State::Established)
            .map(|limit| survival::judge(&row.evidence(), limit, row.namespace.rate));
        row
    }

    /// What could not be read. A socket that nobody holds has no options that matter.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Incomplete> {
        self.unread
            .iter()
            .filter(|(why, _)| **why != Unread::NoDescriptor)
            .map(|(why, count)| Incomplete {
                what: match count {
                    1 => String::from("the options of 1 socket"),
                    several => format!("the options of {several} sockets"),
                },
                why: why.to_string(),
                hides_sockets: false,
                pids: Vec::new(),
            })
    }
}

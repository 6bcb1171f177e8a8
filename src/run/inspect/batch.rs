//! A few sockets that are looked at together, with their holders. The space is used again and again.

use std::ops::Range;
use std::thread;

use super::Options;
use crate::domain::socket::Socket;
use crate::sys::holders::Holder;

/// Sockets, each with its holders and, once read, its options.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    holders: Vec<Holder>,
}

#[derive(Debug)]
struct Entry {
    socket: Socket,
    holders: Range<usize>,
    options: Options,
}

impl Batch {
    pub(super) fn add(&mut self, socket: &Socket, holders: impl Iterator<Item = Holder>) {
        let start = self.holders.len();
        self.holders.extend(holders);
        self.entries.push(Entry {
            socket: socket.clone(),
            holders: start..self.holders.len(),
            options: Options::NotAsked,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.holders.clear();
    }

    /// Each socket with its holders and options.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Socket, &[Holder], Options)> {
        self.entries
            .iter()
            .map(|entry| (&entry.socket, entry.held_by(&self.holders), entry.options))
    }

    /// Sets the options of all by `read`, which is called for each by one of `readers`, all at once.
    pub(super) fn read_options<R: Send>(
        &mut self,
        readers: &mut [R],
        read: impl Fn(&mut R, &Socket, &[Holder]) -> Options + Sync,
    ) {
        let share = self.entries.len().div_ceil(readers.len().max(1)).max(1);
        let all_holders = &self.holders[..];
        let work = &|reader: &mut R, entries: &mut [Entry]| {
            for entry in entries {
                entry.options = read(reader, &entry.socket, entry.held_by(all_holders));
            }
        };
        thread::scope(|scope| {
            let mut shares = self.entries.chunks_mut(share).zip(&mut *readers);
            let own = shares.next();
            for (entries, reader) in shares {
                // One that cannot be started leaves its share unread.
                let _ = thread::Builder::new().spawn_scoped(scope, move || work(reader, entries));
            }
            if let Some((entries, reader)) = own {
                work(reader, entries);
            }
        });
        if let Some(reader) = readers.first_mut() {
            let left = self.entries.iter_mut();
            for entry in left.filter(|entry| entry.options == Options::NotAsked) {
                entry.options = read(reader, &entry.socket, entry.held_by(all_holders));
            }
        }
    }
}

impl Entry {
    fn held_by<'a>(&self, holders: &'a [Holder]) -> &'a [Holder] {
        holders.get(self.holders.clone()).unwrap_or_default()
    }
}

//! Rows that are kept to be sorted. Everything else in an inspection forgets a row once it is shown.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::cli::inspect::SortKey;
use crate::domain::socket::Socket;
use crate::domain::survival::Verdict;
use crate::run::inspect::{Held, Namespace, Options, Row};
use crate::sys::holders::Holder;

/// Rows in the order of a key, equal ones as they came.
#[derive(Debug, Default)]
pub(crate) struct Kept(Vec<KeptRow>);

/// A row that lives as long as wanted.
#[derive(Debug)]
struct KeptRow {
    socket: Socket,
    namespace: Arc<Namespace>,
    user: Option<Box<str>>,
    held: KeptHolders,
    options: Options,
    verdict: Option<Verdict>,
}

#[derive(Debug)]
enum KeptHolders {
    NotAsked,
    NoDescriptor,
    By(Box<[Holder]>),
    Unknown,
}

impl Kept {
    pub(crate) fn add(&mut self, row: &Row) {
        self.0.push(KeptRow {
            socket: row.socket.clone(),
            namespace: Arc::clone(row.namespace),
            user: row.user.map(Box::from),
            held: match row.held {
                Held::NotAsked => KeptHolders::NotAsked,
                Held::NoDescriptor => KeptHolders::NoDescriptor,
                Held::By(holders) => KeptHolders::By(holders.into()),
                Held::Unknown => KeptHolders::Unknown,
            },
            options: row.options,
            verdict: row.verdict,
        });
    }

    pub(crate) fn sort(&mut self, key: SortKey) {
        self.0.sort_by(|one, other| compare(key, one, other));
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(KeptRow::row)
    }
}

impl KeptRow {
    fn row(&self) -> Row<'_> {
        Row {
            socket: &self.socket,
            namespace: &self.namespace,
            user: self.user.as_deref(),
            held: match &self.held {
                KeptHolders::NotAsked => Held::NotAsked,
                KeptHolders::NoDescriptor => Held::NoDescriptor,
                KeptHolders::By(holders) => Held::By(holders),
                KeptHolders::Unknown => Held::Unknown,
            },
            options: self.options,
            verdict: self.verdict,
        }
    }

    fn first_holder(&self) -> Option<&str> {
        match &self.held {
            KeptHolders::By(holders) => holders.first().map(|holder| &*holder.name),
            KeptHolders::NotAsked | KeptHolders::NoDescriptor | KeptHolders::Unknown => None,
        }
    }
}

/// What is not known comes last.
fn compare(key: SortKey, one: &KeptRow, other: &KeptRow) -> Ordering {
    match key {
        SortKey::Idle => other.socket.idle().cmp(&one.socket.idle()),
        SortKey::Risk => risk(one)
            .cmp(&risk(other))
            .then_with(|| needed(other).cmp(&needed(one))),
        SortKey::Process => known_first(one.first_holder(), other.first_holder()),
        SortKey::User => known_first(one.user.as_deref(), other.user.as_deref())
            .then_with(|| known_first(one.socket.uid, other.socket.uid)),
        SortKey::State => one.socket.state.cmp(&other.socket.state),
        SortKey::Local => one.socket.local.cmp(&other.socket.local),
        SortKey::Peer => one.socket.peer.cmp(&other.socket.peer),
    }
}

fn known_first<T: Ord>(one: Option<T>, other: Option<T>) -> Ordering {
    (one.is_none(), one).cmp(&(other.is_none(), other))
}

fn risk(row: &KeptRow) -> u8 {
    match row.verdict {
        Some(Verdict::AtRisk(_)) => 0,
        Some(Verdict::Unknown(_)) => 1,
        Some(Verdict::Protected(_)) => 2,
        None => 3,
    }
}

/// The later the probe that is needed, the less the margin; no probe at all is the latest.
fn needed(row: &KeptRow) -> std::time::Duration {
    row.verdict
        .and_then(|verdict| verdict.probes())
        .map_or(std::time::Duration::MAX, |probes| probes.needed_latest)
}

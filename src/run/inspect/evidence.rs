//! Adds to a row what its options say, and the verdict that follows from all that is known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Held, Incomplete, Options, Row};
use crate::domain::live_options::Unread;
use crate::domain::socket::TimerKind;
use crate::domain::state::State;
use crate::domain::survival::{self, Armed};
use crate::plan::inspect::Plan;
use crate::sys::live_options::Reader;

/// Reads options and judges.
pub(super) struct Evidence {
    reader: Option<Reader>,
    limit: Option<Duration>,
    /// How many sockets have options that could not be read, by the reason.
    unread: BTreeMap<Unread, u64>,
}

impl Evidence {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            reader: plan.read.options.then(Reader::default),
            limit: plan.survives,
            unread: BTreeMap::new(),
        }
    }

    pub(super) fn add<'a>(&mut self, mut row: Row<'a>) -> Row<'a> {
        row.options = self.options(&row);
        row.verdict = self
            .limit
            .filter(|_| row.socket.state == State::Established)
            .map(|limit| survival::judge(&known(&row), limit, row.namespace.rate));
        row
    }

    fn options(&mut self, row: &Row) -> Options {
        let Some(reader) = &mut self.reader else {
            return Options::NotAsked;
        };
        let read = match row.held {
            Held::By(holders) => reader.read(row.socket, holders),
            Held::NoDescriptor => Err(Unread::NoDescriptor),
            Held::Unknown | Held::NotAsked => Err(Unread::HolderUnknown),
        };
        match read {
            Ok(options) => Options::Read(options),
            Err(why) => {
                *self.unread.entry(why).or_default() += 1;
                Options::Unknown(why)
            }
        }
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

fn known(row: &Row) -> survival::Evidence {
    let timer = row.socket.timer;
    let armed = timer
        .expires
        .filter(|_| timer.kind == TimerKind::Keepalive)
        .map(|left| Armed {
            left,
            unanswered: timer.count,
        });
    survival::Evidence {
        enabled: row.enabled(),
        keepalive: match row.options {
            Options::Read(options) => Some(options.keepalive),
            Options::NotAsked | Options::Unknown(_) => None,
        },
        armed,
        silence: row.socket.idle(),
    }
}

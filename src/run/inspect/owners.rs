//! Who owns a socket: users by name, and processes by the scan of /proc. Filters by both.

use std::collections::HashMap;
use std::sync::Arc;

use nix::unistd::{Uid, User};

use super::source::Proc;
use super::{Held, Incomplete, Namespace, Options, Row};
use crate::domain::digits::decimal;
use crate::domain::socket::Socket;
use crate::error::{During as _, Error, Result};
use crate::plan::inspect::{Filter, Plan};
use crate::sys::holders::{Holder, Holders};

/// Resolves who owns sockets, and filters by it.
pub(super) struct Owners<'a> {
    filter: &'a Filter,
    uid: Option<u32>,
    holders: Option<&'a Holders>,
    /// The holders of the socket at hand.
    current: Vec<Holder>,
    /// Whether user names of this machine apply.
    live: bool,
    names: HashMap<u32, Option<String>>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(plan: &'a Plan, proc: &Proc, holders: Option<&'a Holders>) -> Result<Self> {
        Ok(Self {
            filter: &plan.filter,
            uid: plan.filter.user.as_deref().map(uid_of).transpose()?,
            holders,
            current: Vec::new(),
            live: proc.live,
            names: HashMap::new(),
        })
    }

    /// Whether the socket's owner passes the filter. Looks the holders up for
    /// [`Self::take_current`].
    pub(super) fn pass(&mut self, socket: &Socket) -> bool {
        self.current.clear();
        if let (Some(holders), Some(inode)) = (self.holders, socket.inode) {
            self.current.extend(holders.of(inode));
        }
        self.uid.is_none_or(|uid| socket.uid == Some(uid))
            && self.held_by(self.filter.pid.as_ref(), |holder, pid| holder.pid == *pid)
            && self.held_by(self.filter.process.as_ref(), |holder, name| {
                *holder.name == **name
            })
    }

    fn held_by<T>(&self, wanted: Option<&T>, is: impl Fn(&Holder, &T) -> bool) -> bool {
        wanted.is_none_or(|wanted| self.current.iter().any(|holder| is(holder, wanted)))
    }

    /// The holders that [`Self::pass`] has found.
    pub(super) fn take_current(&mut self) -> impl Iterator<Item = Holder> {
        self.current.drain(..)
    }

    pub(super) fn row<'b>(
        &'b mut self,
        socket: &'b Socket,
        namespace: &'b Arc<Namespace>,
        holders: &'b [Holder],
    ) -> Row<'b> {
        let held = match (self.holders, socket.inode) {
            (None, _) => Held::NotAsked,
            (Some(_), None) => Held::NoDescriptor,
            (Some(_), Some(_)) if holders.is_empty() => Held::Unknown,
            (Some(_), Some(_)) => Held::By(holders),
        };
        let live = self.live;
        let user = socket.uid.filter(|_| live).and_then(|uid| {
            self.names
                .entry(uid)
                .or_insert_with(|| name_of(uid))
                .as_deref()
        });
        Row {
            socket,
            namespace,
            user,
            held,
            options: Options::NotAsked,
            verdict: None,
        }
    }
}

/// What the scan could not see.
pub(super) fn gaps(holders: &Holders) -> impl Iterator<Item = Incomplete> {
    holders.unreadable.iter().map(|(why, pids)| Incomplete {
        what: match pids.len() {
            1 => String::from("which sockets 1 process holds"),
            several => format!("which sockets {several} processes hold"),
        },
        why: why.clone(),
        hides_sockets: false,
        pids: pids.clone(),
    })
}

fn name_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid))
        .ok()
        .flatten()
        .map(|user| user.name)
}

fn uid_of(user: &str) -> Result<u32> {
    if let Some(uid) = decimal(user) {
        return Ok(uid);
    }
    match User::from_name(user).during(|| format!("looking up the user {user}"))? {
        Some(user) => Ok(user.uid.as_raw()),
        None => Err(Error::Usage(format!(
            "there is no user '{user}': give a name or a number"
        ))),
    }
}

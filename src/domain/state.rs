//! The states of a TCP socket, as the kernel numbers them, ss(8) abbreviates them and RFC 9293
//! names them. A number that we do not know keeps its number.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A socket's state (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Open in both directions.
    Established,
    /// SYN sent, no answer yet.
    SynSent,
    /// SYN received, a full socket (simultaneous open, Fast Open).
    SynReceived,
    /// We closed first; our FIN is not acknowledged.
    FinWait1,
    /// We closed first; waiting for the peer's FIN.
    FinWait2,
    /// Closed, kept for late segments.
    TimeWait,
    /// Not connected.
    Closed,
    /// The peer closed; our program has not.
    CloseWait,
    /// The peer closed first; our FIN is not acknowledged.
    LastAck,
    /// Waiting for connections.
    Listen,
    /// Both closed at once; our FIN is not acknowledged.
    Closing,
    /// SYN received, still only a request in the listener's queue.
    NewSynReceived,
    /// A state this version does not know, by the kernel's number.
    Unknown(u8),
}

/// One row a known state: the kernel's number, the name in RFC 9293 (or the kernel), ss's name.
const NAMES: [(State, u8, &str, &str); 12] = [
    (State::Established, 1, "ESTABLISHED", "ESTAB"),
    (State::SynSent, 2, "SYN-SENT", "SYN-SENT"),
    (State::SynReceived, 3, "SYN-RECEIVED", "SYN-RECV"),
    (State::FinWait1, 4, "FIN-WAIT-1", "FIN-WAIT-1"),
    (State::FinWait2, 5, "FIN-WAIT-2", "FIN-WAIT-2"),
    (State::TimeWait, 6, "TIME-WAIT", "TIME-WAIT"),
    (State::Closed, 7, "CLOSED", "UNCONN"),
    (State::CloseWait, 8, "CLOSE-WAIT", "CLOSE-WAIT"),
    (State::LastAck, 9, "LAST-ACK", "LAST-ACK"),
    (State::Listen, 10, "LISTEN", "LISTEN"),
    (State::Closing, 11, "CLOSING", "CLOSING"),
    (State::NewSynReceived, 12, "NEW-SYN-RECV", "NEW-SYN-RECV"),
];

/// What else is written for a state, and its name.
const ALIASES: [(&str, &str); 2] = [("CLOSE", "CLOSED"), ("LISTENING", "LISTEN")];

impl State {
    /// The states that have a name, in the kernel's order.
    pub fn known() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|row| row.0)
    }

    /// From the kernel's number.
    #[must_use]
    pub fn from_kernel(number: u8) -> Self {
        NAMES
            .iter()
            .find(|row| row.1 == number)
            .map_or(Self::Unknown(number), |row| row.0)
    }

    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unknown(number) => number,
            known => known.row().map_or(0, |row| row.1),
        }
    }

    fn row(self) -> Option<&'static (State, u8, &'static str, &'static str)> {
        NAMES.iter().find(|row| row.0 == self)
    }

    /// ss(8)'s name, which fits a narrow column.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.3)
    }

    /// Whether the handshake is over and the connection not yet gone, so that segments have been
    /// exchanged and keepalive may apply.
    #[must_use]
    pub fn is_synchronized(self) -> bool {
        match self {
            Self::Established
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::LastAck
            | Self::Closing => true,
            Self::SynSent
            | Self::SynReceived
            | Self::TimeWait
            | Self::Closed
            | Self::Listen
            | Self::NewSynReceived
            | Self::Unknown(_) => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.row()) {
            (_, Some(row)) => f.pad(row.2),
            (state, None) => f.pad(&format!("UNKNOWN-{}", state.number())),
        }
    }
}

/// In JSON: its name.
impl JsonSchema for State {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("State")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<String> = Self::known().map(|state| state.to_string()).collect();
        json_schema!({
            "description": "A state as RFC 9293 names it, or the kernel; UNKNOWN- and its number if this version \
                knows no name.",
            "type": "string",
            "anyOf": [{"enum": names}, {"pattern": "^UNKNOWN-[0-9]+$"}],
        })
    }
}

/// A set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSet(u32);

impl StateSet {
    /// Every state, also those that have no name here.
    pub const ALL: Self = Self(u32::MAX);

    /// Whether `state` is in the set.
    #[must_use]
    pub fn contains(self, state: State) -> bool {
        self == Self::ALL || self.0 & bit(state) != 0
    }

    /// A bit for each state by its number, as INET_DIAG wants it. Requests in a listener's queue
    /// (NEW-SYN-RECV) are dumped as SYN-RECV, so that one asks for both.
    #[must_use]
    pub fn kernel_mask(self) -> u32 {
        let either = bit(State::SynReceived) | bit(State::NewSynReceived);
        self.0 | if self.0 & either == 0 { 0 } else { either }
    }

    /// What a user may write for each: `all` and RFC 9293's names, and beside each the other names of it.
    pub fn names() -> impl Iterator<Item = (String, BTreeSet<String>)> {
        let row = |&(_, _, name, short): &(State, u8, &str, &str)| {
            let also = ALIASES.iter().filter(|alias| alias.1 == name);
            let mut others: BTreeSet<String> = [name, short]
                .into_iter()
                .chain(also.map(|alias| alias.0))
                .map(str::to_lowercase)
                .flat_map(|other| [other.replace('-', "_"), other])
                .collect();
            let name = name.to_lowercase();
            others.remove(&name);
            (name, others)
        };
        std::iter::once((String::from("all"), BTreeSet::new())).chain(NAMES.iter().map(row))
    }

    /// From what a user writes: RFC 9293's and ss's names in any case, with `_` for `-` too, or `all`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase().replace('_', "-");
        if name == "ALL" {
            return Some(Self::ALL);
        }
        let other = ALIASES.iter().find(|alias| alias.0 == name);
        let name = other.map_or(name.as_str(), |alias| alias.1);
        NAMES
            .iter()
            .find(|row| row.2 == name || row.3 == name)
            .map(|row| Self(bit(row.0)))
    }
}

impl FromIterator<StateSet> for StateSet {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        Self(sets.into_iter().fold(0, |all, set| all | set.0))
    }
}

impl From<State> for StateSet {
    fn from(state: State) -> Self {
        Self(bit(state))
    }
}

fn bit(state: State) -> u32 {
    1_u32.checked_shl(state.number().into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for number in 0..=u8::MAX {
            assert_eq!(State::from_kernel(number).number(), number);
        }
        for state in State::known() {
            let set = Some(StateSet::from(state));
            assert_eq!(StateSet::named(&state.to_string()), set);
            assert_eq!(StateSet::named(&state.short().to_lowercase()), set);
        }
        assert_eq!(State::Unknown(13).to_string(), "UNKNOWN-13");
        assert_eq!(StateSet::named("established!"), None);
    }

    #[test]
    fn every_name_that_is_offered_is_understood() {
        for (name, others) in StateSet::names() {
            for other in &others {
                assert_eq!(StateSet::named(other), StateSet::named(&name), "{other}");
            }
            assert!(StateSet::named(&name).is_some(), "{name}");
        }
        let of = |wanted: &str| StateSet::names().find(|(name, _)| name == wanted);
        let others = of("time-wait").unwrap().1;
        assert!(others.contains("time_wait"), "{others:?}");
        assert!(of("listen").unwrap().1.into_iter().eq(["listening"]));
    }

    #[test]
    fn all_holds_what_has_no_name_too() {
        assert!(StateSet::ALL.contains(State::Unknown(200)));
        assert!(!StateSet::from(State::Listen).contains(State::Unknown(200)));
    }

    #[test]
    fn the_two_kinds_of_syn_recv_are_asked_for_together() {
        let both = 1 << 3 | 1 << 12;
        assert_eq!(StateSet::from(State::NewSynReceived).kernel_mask(), both);
        assert_eq!(StateSet::from(State::SynReceived).kernel_mask(), both);
        assert_eq!(StateSet::from(State::Listen).kernel_mask(), 1 << 10);
    }
}

//! From a behaviour to the router's ruleset: a pure function to plain data, which `nftables`
//! encodes. Knows nothing of netlink.

use super::behaviour::{Behaviour, Loss, OnExpiry, Path};
use super::topology::{INSIDE, OUTSIDE};

/// Where a packet is looked at, in the order in which it meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Chain {
    /// As it arrives, before connection tracking sees it.
    Arrival,
    /// Meant for the router itself: so are the server's packets once their translation is forgotten.
    Own,
    /// On its way through.
    Through,
    /// As it leaves: address translation.
    Departure,
}

/// What is counted. The counters outlive every change of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Packets of the client that got lost.
    LostOutbound,
    /// Packets of the server that got lost.
    LostInbound,
    /// Packets that vanished because the path was cut.
    Cut,
    /// Packets of the client answered with host unreachable.
    Unreachable,
    /// TCP segments that are a bare ACK and were passed untracked.
    Untracked,
    /// Late packets of the client: of a connection that the router has forgotten.
    LateOutbound,
    /// Late packets of the server.
    LateInbound,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LostOutbound,
        Self::LostInbound,
        Self::Cut,
        Self::Unreachable,
        Self::Untracked,
        Self::LateOutbound,
        Self::LateInbound,
    ];

    /// Its name in the ruleset.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LostOutbound => "lost-outbound",
            Self::LostInbound => "lost-inbound",
            Self::Cut => "cut",
            Self::Unreachable => "unreachable",
            Self::Untracked => "untracked",
            Self::LateOutbound => "late-outbound",
            Self::LateInbound => "late-inbound",
        }
    }
}

/// Connection tracking states, as the bits of `NF_CT_STATE_BIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct States(pub(super) u32);

impl States {
    pub(super) const INVALID: Self = Self(1);
    const ESTABLISHED: u32 = 2;
    const RELATED: u32 = 4;
    pub(super) const NEW: Self = Self(8);
    const UNTRACKED: u32 = 64;
    pub(super) const KNOWN: Self = Self(Self::ESTABLISHED | Self::RELATED);
    pub(super) const KNOWN_OR_UNTRACKED: Self =
        Self(Self::ESTABLISHED | Self::RELATED | Self::UNTRACKED);
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It came in by this port of the router.
    From(&'static str),
    /// It leaves by this port.
    To(&'static str),
    /// It is TCP.
    Tcp,
    /// It is a TCP segment with the ACK flag and no other.
    OnlyAck,
    /// It is a TCP segment that carries data.
    Payload,
    /// Connection tracking finds it in one of these states.
    State(States),
    /// So often, at random.
    Chance(Loss),
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    /// A RST back.
    Reset,
    /// ICMP host unreachable or `ICMPv6` address unreachable back.
    HostUnreachable,
    /// Connection tracking never sees it.
    Untrack,
    /// The router's address takes the place of the client's.
    Masquerade,
}

/// All conditions hold: count it, then give the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) chain: Chain,
    pub(super) matches: Vec<Match>,
    pub(super) counter: Option<Counter>,
    pub(super) verdict: Verdict,
}

fn rule<const N: usize>(
    chain: Chain,
    matches: [Match; N],
    counter: impl Into<Option<Counter>>,
    verdict: Verdict,
) -> Rule {
    Rule {
        chain,
        matches: matches.to_vec(),
        counter: counter.into(),
        verdict,
    }
}

/// The rules that make the router behave so. What no rule decides is dropped on its way through
/// and accepted elsewhere.
pub(super) fn rules(behaviour: &Behaviour) -> Vec<Rule> {
    let mut rules = on_arrival(behaviour);
    rules.extend(for_the_router(behaviour.on_expiry));
    rules.extend(on_the_way_through(behaviour));
    if !behaviour.untracked_keepalives {
        let outwards = [Match::To(OUTSIDE)];
        rules.push(rule(Chain::Departure, outwards, None, Verdict::Masquerade));
    }
    rules
}

fn on_arrival(behaviour: &Behaviour) -> Vec<Rule> {
    let chain = Chain::Arrival;
    let mut rules = Vec::new();
    if behaviour.path == Path::Cut {
        rules.push(rule(chain, [], Counter::Cut, Verdict::Drop));
    }
    let losses = [
        (INSIDE, behaviour.loss_outbound, Counter::LostOutbound),
        (OUTSIDE, behaviour.loss_inbound, Counter::LostInbound),
    ];
    for (port, loss, counter) in losses {
        if loss != Loss::default() {
            let matches = [Match::From(port), Match::Chance(loss)];
            rules.push(rule(chain, matches, counter, Verdict::Drop));
        }
    }
    if behaviour.untracked_keepalives {
        rules.push(rule(chain, [Match::Payload], None, Verdict::Accept));
        let verdict = Verdict::Untrack;
        rules.push(rule(chain, [Match::OnlyAck], Counter::Untracked, verdict));
    }
    rules
}

fn for_the_router(on_expiry: OnExpiry) -> Option<Rule> {
    let late = [
        Match::From(OUTSIDE),
        Match::Tcp,
        Match::State(States::INVALID),
    ];
    let verdict = match on_expiry {
        OnExpiry::Drop => Verdict::Drop,
        OnExpiry::Reset => Verdict::Reset,
        OnExpiry::Forget => return None,
    };
    Some(rule(Chain::Own, late, Counter::LateInbound, verdict))
}

fn on_the_way_through(behaviour: &Behaviour) -> Vec<Rule> {
    let chain = Chain::Through;
    let mut rules = Vec::new();
    if behaviour.path == Path::Unreachable {
        let client = [Match::From(INSIDE)];
        let verdict = Verdict::HostUnreachable;
        rules.push(rule(chain, client, Counter::Unreachable, verdict));
        rules.push(rule(chain, [Match::From(OUTSIDE)], None, Verdict::Drop));
    }
    let known = if behaviour.untracked_keepalives {
        States::KNOWN_OR_UNTRACKED
    } else {
        States::KNOWN
    };
    rules.push(rule(chain, [Match::State(known)], None, Verdict::Accept));
    // With tcp_loose=0 a packet in the middle of a connection is not new but invalid.
    let new = [Match::From(INSIDE), Match::State(States::NEW)];
    rules.push(rule(chain, new, None, Verdict::Accept));
    let verdict = match behaviour.on_expiry {
        OnExpiry::Drop => Verdict::Drop,
        OnExpiry::Reset => Verdict::Reset,
        // Nothing is late: everything makes a new entry.
        OnExpiry::Forget => return rules,
    };
    for (port, counter) in [
        (INSIDE, Counter::LateOutbound),
        (OUTSIDE, Counter::LateInbound),
    ] {
        let late = [Match::From(port), Match::Tcp];
        rules.push(rule(chain, late, counter, verdict));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rules: &[Rule], verdict: Verdict) -> usize {
        rules.iter().filter(|rule| rule.verdict == verdict).count()
    }

    #[test]
    fn a_plain_nat_tracks_translates_and_drops_what_is_late() {
        let known = Match::State(States::KNOWN);
        let new = Match::State(States::NEW);
        let invalid = Match::State(States::INVALID);
        let (inside, outside) = (Match::From(INSIDE), Match::From(OUTSIDE));
        let (out, late) = (Counter::LateOutbound, Counter::LateInbound);
        assert_eq!(
            rules(&Behaviour::default()),
            [
                rule(
                    Chain::Own,
                    [outside, Match::Tcp, invalid],
                    late,
                    Verdict::Drop
                ),
                rule(Chain::Through, [known], None, Verdict::Accept),
                rule(Chain::Through, [inside, new], None, Verdict::Accept),
                rule(Chain::Through, [inside, Match::Tcp], out, Verdict::Drop),
                rule(Chain::Through, [outside, Match::Tcp], late, Verdict::Drop),
                rule(
                    Chain::Departure,
                    [Match::To(OUTSIDE)],
                    None,
                    Verdict::Masquerade
                ),
            ]
        );
    }

    #[test]
    fn reset_answers_both_sides_and_forget_answers_nobody() {
        let of = |on_expiry| {
            rules(&Behaviour {
                on_expiry,
                ..Behaviour::default()
            })
        };
        assert_eq!(count(&of(OnExpiry::Reset), Verdict::Reset), 3);
        assert_eq!(count(&of(OnExpiry::Reset), Verdict::Drop), 0);
        assert_eq!(count(&of(OnExpiry::Forget), Verdict::Reset), 0);
        assert_eq!(count(&of(OnExpiry::Forget), Verdict::Drop), 0);
    }

    #[test]
    fn a_cut_comes_before_everything_and_an_unreachable_host_before_tracking() {
        let of = |path| {
            rules(&Behaviour {
                path,
                ..Behaviour::default()
            })
        };
        let cut = rule(Chain::Arrival, [], Counter::Cut, Verdict::Drop);
        assert_eq!(of(Path::Cut).first(), Some(&cut));
        let through = of(Path::Unreachable)
            .into_iter()
            .find(|rule| rule.chain == Chain::Through)
            .unwrap();
        assert_eq!(through.verdict, Verdict::HostUnreachable);
    }

    #[test]
    fn each_direction_loses_its_own_share() {
        let loss_inbound: Loss = "3".parse().unwrap();
        let lossy = rules(&Behaviour {
            loss_inbound,
            ..Behaviour::default()
        });
        let expected = rule(
            Chain::Arrival,
            [Match::From(OUTSIDE), Match::Chance(loss_inbound)],
            Counter::LostInbound,
            Verdict::Drop,
        );
        assert_eq!(lossy.first(), Some(&expected));
        assert_eq!(lossy.len(), rules(&Behaviour::default()).len() + 1);
    }

    #[test]
    fn what_is_not_tracked_is_not_translated_either() {
        let untracked = rules(&Behaviour {
            untracked_keepalives: true,
            ..Behaviour::default()
        });
        assert_eq!(count(&untracked, Verdict::Masquerade), 0);
        assert_eq!(count(&untracked, Verdict::Untrack), 1);
        let known = Match::State(States::KNOWN_OR_UNTRACKED);
        assert!(untracked.iter().any(|rule| rule.matches == [known]));
    }
}

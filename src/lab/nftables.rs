//! Encodes the router's ruleset for `nf_tables` and commits it, every batch as one transaction; reads
//! counters back. Knows the wire (`linux/netfilter/nf_tables.h`), not what the rules are for.

#[cfg(test)]
mod tests;

use std::io;

use nix::sys::socket::SockProtocol;

use super::behaviour::Loss;
use super::missing;
use super::rules::{Chain, Counter, Match, Rule, States, Verdict};
use crate::error::{During, Result};
use crate::sys::bytes::Bytes;
use crate::sys::netlink::{ACK, DUMP, Message, Socket, attributes};

const TABLE: &str = "kalive";

/// `NFNL_SUBSYS_NFTABLES`, in the high byte of a message's type.
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DEL_RULE: u16 = 8;
const NEW_OBJECT: u16 = 18;
const GET_OBJECT: u16 = 19;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
const INET: u8 = 1;
/// `NFT_REG_1`.
const REGISTER: u32 = 1;
/// `NFT_OBJECT_COUNTER`.
const OBJECT_COUNTER: u32 = 1;
/// The length of an interface's name with its zeros, `IFNAMSIZ`.
const NAME_LENGTH: usize = 16;

const LIST_ELEM: u16 = 1;
const EXPRESSION_NAME: u16 = 1;

/// Additions to a message under construction.
trait Nft {
    fn be32(self, kind: u16, value: u32) -> Self;
    fn text(self, kind: u16, value: &str) -> Self;
    fn expression(self, name: &str, data: impl FnOnce(Message) -> Message) -> Self;
    /// One without any data.
    fn bare_expression(self, name: &str) -> Self;
    fn cmp(self, operator: u32, value: &[u8]) -> Self;
    fn mask(self, mask: &[u8]) -> Self;
}

impl Nft for Message {
    fn be32(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    fn text(self, kind: u16, value: &str) -> Self {
        let bytes: Vec<u8> = value.bytes().chain([0]).collect();
        self.attribute(kind, &bytes)
    }

    fn expression(self, name: &str, data: impl FnOnce(Message) -> Message) -> Self {
        const DATA: u16 = 2;
        self.nest(LIST_ELEM, |element| {
            element.text(EXPRESSION_NAME, name).nest(DATA, data)
        })
    }

    fn bare_expression(self, name: &str) -> Self {
        self.nest(LIST_ELEM, |element| element.text(EXPRESSION_NAME, name))
    }

    fn cmp(self, operator: u32, value: &[u8]) -> Self {
        self.expression("cmp", |cmp| {
            cmp.be32(1, REGISTER)
                .be32(2, operator)
                .nest(3, |data| data.attribute(1, value))
        })
    }

    /// Keeps the bits of `mask` only.
    fn mask(self, mask: &[u8]) -> Self {
        let length = u32::try_from(mask.len()).unwrap_or_default();
        self.expression("bitwise", |bitwise| {
            bitwise
                .be32(1, REGISTER)
                .be32(2, REGISTER)
                .be32(3, length)
                .nest(4, |data| data.attribute(1, mask))
                .nest(5, |data| data.attribute(1, &vec![0; mask.len()]))
        })
    }
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const LESS: u32 = 2;
const AT_LEAST: u32 = 5;

/// `struct nfgenmsg`; the resource is the subsystem's number where a batch begins and ends.
fn message(kind: u16, flags: u16, family: u8, resource: u16) -> Message {
    let [high, low] = resource.to_be_bytes();
    Message::new(kind, flags).fixed(&[family, 0, high, low])
}

fn request(kind: u16, flags: u16) -> Message {
    message(SUBSYSTEM << 8 | kind, flags, INET, 0)
}

fn table() -> Message {
    request(NEW_TABLE, CREATE | ACK).text(1, TABLE)
}

fn chain_name(chain: Chain) -> &'static str {
    match chain {
        Chain::Arrival => "arrival",
        Chain::Own => "own",
        Chain::Through => "through",
        Chain::Departure => "departure",
    }
}

fn chain(chain: Chain) -> Message {
    const ACCEPT: u32 = 1;
    const DROP: u32 = 0;
    // Hook, priority, policy, type: raw is before connection tracking (-200), srcnat after filter.
    let (hook, priority, policy, kind) = match chain {
        Chain::Arrival => (0, -300_i32, ACCEPT, "filter"),
        Chain::Own => (1, 0, ACCEPT, "filter"),
        Chain::Through => (2, 0, DROP, "filter"),
        Chain::Departure => (4, 100, ACCEPT, "nat"),
    };
    request(NEW_CHAIN, CREATE | ACK)
        .text(1, TABLE)
        .text(3, chain_name(chain))
        .text(7, kind)
        .be32(5, policy)
        .nest(4, |data| {
            data.be32(1, hook).be32(2, priority.cast_unsigned())
        })
}

fn counter(counter: Counter) -> Message {
    request(NEW_OBJECT, CREATE | ACK)
        .text(1, TABLE)
        .text(2, counter.name())
        .be32(3, OBJECT_COUNTER)
        .nest(4, |data| data)
}

fn rule(rule: &Rule) -> Message {
    request(NEW_RULE, CREATE | APPEND | ACK)
        .text(1, TABLE)
        .text(2, chain_name(rule.chain))
        .nest(4, |mut expressions| {
            for condition in &rule.matches {
                expressions = matching(expressions, *condition);
            }
            if let Some(counter) = rule.counter {
                expressions = expressions.expression("objref", |data| {
                    data.be32(1, OBJECT_COUNTER)
                        .attribute(2, counter.name().as_bytes())
                });
            }
            verdict(expressions, rule.verdict)
        })
}

fn matching(rule: Message, condition: Match) -> Message {
    const IIFNAME: u32 = 6;
    const OIFNAME: u32 = 7;
    match condition {
        Match::From(port) => interface(rule, IIFNAME, port),
        Match::To(port) => interface(rule, OIFNAME, port),
        Match::Tcp => tcp(rule),
        Match::OnlyAck => {
            const FLAGS_OFFSET: u32 = 13;
            const FIN_SYN_RST_PSH_ACK_URG: u8 = 0x3f;
            const ACK_FLAG: u8 = 0x10;
            payload(tcp(rule), TRANSPORT_HEADER, FLAGS_OFFSET)
                .mask(&[FIN_SYN_RST_PSH_ACK_URG])
                .cmp(EQUAL, &[ACK_FLAG])
        }
        // Loading what is not there ends the rule: this matches if there is a first byte, whatever
        // it is.
        Match::Payload => payload(tcp(rule), INNER_HEADER, 0).cmp(AT_LEAST, &[0]),
        Match::State(States(states)) => rule
            .expression("ct", |ct| ct.be32(2, 0).be32(1, REGISTER))
            // Registers hold the state in host order.
            .mask(&states.to_ne_bytes())
            .cmp(NOT_EQUAL, &[0; 4]),
        Match::Chance(loss) => chance(rule, loss),
    }
}

fn interface(rule: Message, key: u32, port: &str) -> Message {
    let mut name = port.as_bytes().to_vec();
    name.resize(NAME_LENGTH, 0);
    rule.expression("meta", |meta| meta.be32(2, key).be32(1, REGISTER))
        .cmp(EQUAL, &name)
}

fn tcp(rule: Message) -> Message {
    const L4PROTO: u32 = 16;
    const IPPROTO_TCP: u8 = 6;
    rule.expression("meta", |meta| meta.be32(2, L4PROTO).be32(1, REGISTER))
        .cmp(EQUAL, &[IPPROTO_TCP])
}

const TRANSPORT_HEADER: u32 = 2;
/// What follows the transport header, since Linux 5.17.
const INNER_HEADER: u32 = 3;

/// Loads one byte.
fn payload(rule: Message, base: u32, offset: u32) -> Message {
    rule.expression("payload", |payload| {
        payload
            .be32(1, REGISTER)
            .be32(2, base)
            .be32(3, offset)
            .be32(4, 1)
    })
}

fn chance(rule: Message, loss: Loss) -> Message {
    const RANDOM: u32 = 1;
    const TO_NETWORK_ORDER: u32 = 1;
    rule.expression("numgen", |numgen| {
        numgen
            .be32(1, REGISTER)
            .be32(2, Loss::PARTS)
            .be32(3, RANDOM)
            .be32(4, 0)
    })
    // The comparison is of bytes, so the most significant one has to come first.
    .expression("byteorder", |order| {
        order
            .be32(1, REGISTER)
            .be32(2, REGISTER)
            .be32(3, TO_NETWORK_ORDER)
            .be32(4, 4)
            .be32(5, 4)
    })
    .cmp(LESS, &loss.get().to_be_bytes())
}

fn verdict(rule: Message, verdict: Verdict) -> Message {
    const NF_DROP: u32 = 0;
    const NF_ACCEPT: u32 = 1;
    const TCP_RST: u32 = 1;
    const ICMPX_UNREACH: u32 = 2;
    const ICMPX_HOST_UNREACH: u8 = 2;
    match verdict {
        Verdict::Accept => immediate(rule, NF_ACCEPT),
        Verdict::Drop => immediate(rule, NF_DROP),
        Verdict::Reset => rule.expression("reject", |reject| reject.be32(1, TCP_RST)),
        Verdict::HostUnreachable => rule.expression("reject", |reject| {
            reject
                .be32(1, ICMPX_UNREACH)
                .attribute(2, &[ICMPX_HOST_UNREACH])
        }),
        Verdict::Untrack => rule.bare_expression("notrack"),
        Verdict::Masquerade => rule.expression("masq", |data| data),
    }
}

/// Ends the rule with a verdict, in register 0.
fn immediate(rule: Message, code: u32) -> Message {
    rule.expression("immediate", |data| {
        data.be32(1, 0)
            .nest(2, |value| value.nest(2, |verdict| verdict.be32(1, code)))
    })
}

/// The `nf_tables` of one namespace.
pub(super) struct Nftables(Socket);

impl Nftables {
    /// Opens that of the calling thread's namespace.
    pub(super) fn open() -> Result<Self> {
        let opened = Socket::open(SockProtocol::NetlinkNetFilter);
        match opened {
            Err(source) if source.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                Err(missing::nftables(missing::TABLE, source))
            }
            other => other.map(Self).during(|| "open a netfilter socket"),
        }
    }

    /// Makes the table with its chains and counters, and the rules in it.
    pub(super) fn create(&mut self, rules: &[Rule]) -> Result<()> {
        let mut messages = vec![table()];
        messages.extend(Counter::ALL.map(counter));
        messages.extend([Chain::Arrival, Chain::Own, Chain::Through, Chain::Departure].map(chain));
        self.commit(messages, rules)
    }

    /// Puts these rules in the place of all others, between two packets.
    pub(super) fn replace(&mut self, rules: &[Rule]) -> Result<()> {
        self.commit(vec![request(DEL_RULE, ACK).text(1, TABLE)], rules)
    }

    /// One transaction: all of it or nothing.
    fn commit(&mut self, before: Vec<Message>, rules: &[Rule]) -> Result<()> {
        let names: Vec<String> = std::iter::once(missing::TABLE.to_owned())
            .chain((1..before.len()).map(|_| "a chain or counter".to_owned()))
            .chain(rules.iter().map(|rule| format!("the rule {rule:?}")))
            .collect();
        let mut batch = vec![message(BATCH_BEGIN, 0, 0, SUBSYSTEM)];
        batch.extend(before);
        batch.extend(rules.iter().map(rule));
        batch.push(message(BATCH_END, 0, 0, SUBSYSTEM));
        self.0.transact(batch).map_err(|refused| {
            let name = names.get(refused.index.saturating_sub(1));
            missing::nftables(name.map_or(missing::TABLE, String::as_str), refused.source)
        })
    }

    /// How many packets each counter has seen, by name.
    pub(super) fn counters(&mut self) -> Result<Vec<(String, u64)>> {
        let mut counters = Vec::new();
        let request = request(GET_OBJECT, DUMP).text(1, TABLE);
        self.0
            .dump(request, |payload| {
                let found = read_counter(payload);
                let readable = found.is_some();
                counters.extend(found);
                Ok::<_, io::Error>(readable)
            })
            .during(|| "nf_tables: read the counters")?;
        Ok(counters)
    }
}

/// Name and packets of a counter object.
fn read_counter(payload: &[u8]) -> Option<(String, u64)> {
    const PACKETS: u16 = 2;
    let mut body = Bytes::new(payload);
    body.skip(4)?;
    let find = |bytes, kind| {
        attributes(bytes)
            .flatten()
            .find_map(move |(found, value)| (found == kind).then_some(value))
    };
    let name = find(body.rest(), 2)?.strip_suffix(&[0])?;
    let packets = find(find(body.rest(), 4)?, PACKETS)?;
    Some((
        String::from_utf8(name.to_vec()).ok()?,
        u64::from_be_bytes(packets.try_into().ok()?),
    ))
}

//! The encoding against what nft sends for the same ruleset (tests/data/nft-batch.nft), and against
//! what the kernel has understood.

use super::*;
use crate::common::in_lab_user_namespace;
use crate::hostile::attack;
use crate::lab::behaviour::{Behaviour, OnExpiry, Path};
use crate::lab::namespace::Namespace;
use crate::lab::rules::rules;
use crate::sys::netlink::messages;

const CAPTURED: &[u8] = include_bytes!("../../../tests/data/nft-batch.bin");
const EXPRESSIONS: u16 = 4;

fn everything() -> Vec<Rule> {
    let loss: Loss = "5".parse().unwrap();
    let base = Behaviour::default();
    let behaviours = [
        base,
        Behaviour {
            path: Path::Cut,
            loss_outbound: loss,
            loss_inbound: loss,
            on_expiry: OnExpiry::Forget,
            ..base
        },
        Behaviour {
            path: Path::Unreachable,
            untracked_keepalives: true,
            on_expiry: OnExpiry::Reset,
            ..base
        },
    ];
    behaviours.iter().flat_map(rules).collect()
}

/// The payload of a request without its header.
fn payload_of(request: Message) -> Vec<u8> {
    request.finish(0).unwrap()[16..].to_vec()
}

/// The payloads of nft's messages of this kind.
fn captured(kind: u16) -> Vec<Vec<u8>> {
    messages(CAPTURED)
        .map(|piece| piece.unwrap())
        .filter(|message| message.kind == SUBSYSTEM << 8 | kind)
        .map(|message| message.payload.to_vec())
        .collect()
}

/// nft also sends two defaults, the kind of a bitwise operation and the code of a RST, in one rule
/// each: apart from that the bytes are the same.
#[test]
fn rules_are_encoded_as_nft_encodes_them() {
    let ours = everything();
    let mut identical = 0;
    let nfts = captured(NEW_RULE);
    for (index, nft) in nfts.iter().enumerate() {
        let count = |payload: &[u8]| attributes(&expressions(payload)).count();
        let ours = ours
            .iter()
            .map(|one| payload_of(rule(one)))
            .find(|ours| contains(&nft[4..], &ours[4..]) && count(nft) == count(ours))
            .unwrap_or_else(|| panic!("nft's rule {index}: {nft:02x?}"));
        identical += usize::from(ours == *nft);
    }
    assert_eq!((nfts.len(), identical), (9, 7));
}

#[test]
fn chains_and_the_batch_are_encoded_as_nft_encodes_them() {
    let ours = [Chain::Arrival, Chain::Through, Chain::Departure].map(|one| payload_of(chain(one)));
    assert_eq!(captured(NEW_CHAIN), ours);
    let ends: Vec<_> = messages(CAPTURED)
        .map(|piece| piece.unwrap())
        .filter(|message| message.kind == BATCH_BEGIN || message.kind == BATCH_END)
        .map(|message| message.payload.to_vec())
        .collect();
    let own = payload_of(message(BATCH_BEGIN, 0, 0, SUBSYSTEM));
    assert_eq!(ends, [own.clone(), own]);
}

/// Whether everything in `sent` is in `read` too, which may say more. The kernel does not mark
/// nested attributes, so `sent` says what is nested; it ends every text with a zero.
fn contains(read: &[u8], sent: &[u8]) -> bool {
    let read: Vec<_> = attributes(read).map(|piece| piece.unwrap()).collect();
    let mut from = 0;
    let mut offset = 0_usize;
    attributes(sent)
        .map(|piece| piece.unwrap())
        .all(|(kind, value)| {
            let nested = sent[offset + 3] & 0x80 != 0;
            offset += (4 + value.len()).next_multiple_of(4);
            let is = |&(found, inside): &(u16, &[u8])| {
                let same = inside == value || inside.strip_suffix(&[0]) == Some(value);
                found == kind && (same || nested && contains(inside, value))
            };
            // The elements of a list are read back in their order, other attributes in any.
            let place = match kind {
                1 => read[from..].iter().position(is).map(|place| place + from),
                _ => read.iter().position(is),
            };
            if kind == 1 {
                from = place.map_or(from, |place| place + 1);
            }
            // An expression without data is read back without the empty attribute for it.
            place.is_some() || value.is_empty()
        })
}

fn expressions(payload: &[u8]) -> Vec<u8> {
    attributes(&payload[4..])
        .map(|piece| piece.unwrap())
        .find_map(|(kind, value)| (kind == EXPRESSIONS).then(|| value.to_vec()))
        .unwrap()
}

#[test]
fn the_kernel_reads_back_every_rule_that_was_sent() {
    const GET_RULE: u16 = 7;
    in_lab_user_namespace(|| {
        let sent = everything();
        let read = std::thread::spawn(move || {
            Namespace::create("test").unwrap();
            let mut nftables = Nftables::open().unwrap();
            nftables.create(&sent).unwrap();
            // Sent twice, there once: the second time replaces the first.
            nftables.replace(&sent).unwrap();
            let mut read = Vec::new();
            let request = request(GET_RULE, DUMP).text(1, TABLE);
            nftables
                .0
                .dump(request, |payload| {
                    read.push(payload.to_vec());
                    Ok::<_, io::Error>(true)
                })
                .unwrap();
            let counters = nftables.counters().unwrap();
            (sent, read, counters)
        });
        let (sent, read, counters) = read.join().unwrap();
        assert_eq!(read.len(), sent.len());
        for chain in [Chain::Arrival, Chain::Own, Chain::Through, Chain::Departure] {
            let name: Vec<u8> = chain_name(chain).bytes().chain([0]).collect();
            let of_chain = read
                .iter()
                .filter(|payload| attributes(&payload[4..]).any(|found| found == Ok((2, &name))));
            let sent = sent.iter().filter(|rule| rule.chain == chain);
            for (sent, read) in sent.zip(of_chain) {
                let (ours, kernels) = (payload_of(rule(sent)), expressions(read));
                let ours = expressions(&ours);
                assert!(contains(&kernels, &ours), "{sent:?}: {kernels:02x?}");
                assert_eq!(attributes(&kernels).count(), attributes(&ours).count());
            }
        }
        let names: Vec<_> = counters.iter().map(|(name, _)| name.as_str()).collect();
        for counter in Counter::ALL {
            assert!(names.contains(&counter.name()), "{names:?}");
        }
    });
}

/// A counter's name and value stand in the answer.
#[test]
fn hostile_counters() {
    let counter = Message::new(0, 0)
        .fixed(&[1, 0, 0, 0])
        .attribute(1, b"kalive\0")
        .attribute(2, b"late-outbound\0")
        .nest(4, |data| {
            let data = data.attribute(1, &120_u64.to_be_bytes());
            data.attribute(2, &3_u64.to_be_bytes())
        });
    let counter = payload_of(counter);
    assert_eq!(
        read_counter(&counter),
        Some(("late-outbound".to_owned(), 3))
    );
    attack(&[&counter], |payload| {
        let holds = |part: &[u8]| part.is_empty() || payload.windows(part.len()).any(|w| w == part);
        if let Some((name, packets)) = read_counter(payload) {
            assert!(
                holds(name.as_bytes()) && holds(&packets.to_be_bytes()),
                "{name} {packets}"
            );
        }
    });
}

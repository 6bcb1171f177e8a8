//! The decoder against another, the crate netlink-bindings, on whatever bytes: on the kernel's own both tell the
//! same, on damaged ones too, and no message is taken for a socket that is not one.

use std::collections::BTreeSet;

use netlink_bindings::inet_diag::{Msg, OpTcpDiagDump, TcpInfo};
use netlink_bindings::traits::NetlinkRequest;

use super::*;
use crate::domain::socket::Activity;
use crate::hostile::attack;

/// What Linux 6.18 answered: tests/differential.rs has captured the last one.
const CAPTURED: [&[u8]; 3] = [
    include_bytes!("../../../tests/data/sock-diag-ipv4"),
    include_bytes!("../../../tests/data/sock-diag-ipv6"),
    include_bytes!("../../../tests/data/sock-diag-all"),
];
const FIXED: usize = Msg::len();

fn payloads(datagrams: &[u8]) -> impl Iterator<Item = &[u8]> {
    netlink::messages(datagrams)
        .flatten()
        .map(|message| message.payload)
}

/// Compares every field that both decode.
fn compare(payload: &[u8]) {
    let ours = decode(payload);
    let expected = payload.len() >= FIXED && matches!(payload[0], IPV4 | IPV6);
    assert_eq!(ours.is_some(), expected);
    let Some(ours) = ours else {
        return;
    };
    let (theirs, attributes) = OpTcpDiagDump::decode_reply(payload);
    let id = &theirs.sockid;
    let is_v4 = theirs.family == IPV4;
    for (ours, ip, port) in [
        (ours.local, id.src, id.sport()),
        (ours.peer, id.dst, id.dport()),
    ] {
        let scope = match ours {
            SocketAddr::V6(ours) if ours.ip().is_unicast_link_local() => id.r#if,
            SocketAddr::V4(_) | SocketAddr::V6(_) => 0,
        };
        let expected = if is_v4 {
            SocketAddr::from(([ip[0], ip[1], ip[2], ip[3]], port))
        } else {
            SocketAddrV6::new(ip.into(), port, 0, scope).into()
        };
        assert_eq!(ours, expected);
    }
    let number = match ours.state {
        State::NewSynReceived if theirs.state == State::SynReceived.number() => theirs.state,
        state => state.number(),
    };
    assert_eq!(number, theirs.state);
    assert_eq!(ours.receive_queue, theirs.rqueue);
    assert_eq!(ours.send_queue, theirs.wqueue);
    assert_eq!(ours.timer.kind, TimerKind::from_kernel(theirs.timer));
    assert_eq!(ours.timer.count, theirs.retrans);
    let left = Duration::from_millis(theirs.expires.into());
    assert_eq!(ours.timer.expires, (theirs.timer != 0).then_some(left));
    assert_eq!(ours.inode.unwrap_or(0), theirs.inode);
    assert_eq!(ours.uid.unwrap_or(theirs.uid), theirs.uid);
    let cookie = ours.cookie.unwrap_or(NO_COOKIE);
    assert_eq!(cookie, u64::from_ne_bytes(id.cookie));
    if let Some(activity) = ours.activity {
        compare_info(activity, &attributes.get_tcp_info().unwrap());
    }
}

fn compare_info(ours: Activity, theirs: &TcpInfo) {
    for (ours, theirs) in [
        (ours.last_data_sent, theirs.last_data_sent),
        (ours.last_data_received, theirs.last_data_recv),
        (ours.last_ack_received, theirs.last_ack_recv),
    ] {
        assert_eq!(ours, Duration::from_millis(theirs.into()));
    }
}

#[test]
fn both_tell_the_same_of_what_the_kernel_said() {
    let mut states = BTreeSet::new();
    let mut with_info = 0;
    for payload in CAPTURED.into_iter().flat_map(payloads) {
        compare(payload);
        let Some(socket) = decode(payload) else {
            assert_eq!(payload.len(), 4, "only the end of a dump is no socket");
            continue;
        };
        let attributes = OpTcpDiagDump::decode_reply(payload).1;
        assert_eq!(socket.activity.is_some(), attributes.get_tcp_info().is_ok());
        with_info += usize::from(socket.activity.is_some());
        states.insert(socket.state);
    }
    let all: BTreeSet<State> = State::known().collect();
    assert_eq!(states, all, "every state has been captured");
    assert!(with_info > 80, "{with_info}");
}

#[test]
fn hostile_datagrams() {
    attack(&CAPTURED, |bytes| {
        let mut told = 0;
        for payload in payloads(bytes) {
            told += payload.len();
            compare(payload);
        }
        assert!(told <= bytes.len(), "no byte twice");
    });
}

/// One message, so that damage meets its fields and not those before it.
#[test]
fn hostile_messages() {
    let messages: Vec<&[u8]> = CAPTURED.into_iter().flat_map(payloads).collect();
    attack(&messages, compare);
}

//! The same sockets from the kernel once more, asked and decoded by the crate netlink-bindings, with which kalive
//! shares no code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd as _;

use netlink_bindings::builtin::Nlmsghdr;
use netlink_bindings::inet_diag::{Msg, OpTcpDiagDump, ReqV2, Request};
use netlink_bindings::traits::NetlinkRequest;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

use crate::look::{Fixed, Row, Timer};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const INET_DIAG_INFO: u8 = 2;
const HEADER: usize = Nlmsghdr::len();

/// Every datagram that the kernel answers, of both families.
pub(crate) fn datagrams() -> Vec<Vec<u8>> {
    let families = [libc::AF_INET, libc::AF_INET6];
    families.into_iter().flat_map(datagrams_of).collect()
}

fn datagrams_of(family: i32) -> Vec<Vec<u8>> {
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkSockDiag,
    )
    .unwrap();
    let mut wanted = ReqV2::new();
    wanted.family = u8::try_from(family).unwrap();
    wanted.protocol = u8::try_from(libc::IPPROTO_TCP).unwrap();
    wanted.ext = 1 << (INET_DIAG_INFO - 1);
    wanted.states = u32::MAX;
    let request = Request::new().op_tcp_diag_dump(&wanted);
    let mut header = Nlmsghdr::new();
    header.len = u32::try_from(HEADER + request.payload().len()).unwrap();
    header.r#type = SOCK_DIAG_BY_FAMILY;
    header.flags = request.flags() | NLM_F_REQUEST;
    let message = [header.as_slice(), request.payload()].concat();
    let to = NetlinkAddr::new(0, 0);
    sendto(kernel.as_raw_fd(), &message, &to, MsgFlags::empty()).unwrap();
    let mut all = Vec::new();
    loop {
        let mut datagram = vec![0; 64 * 1024];
        let length = recv(kernel.as_raw_fd(), &mut datagram, MsgFlags::empty()).unwrap();
        datagram.truncate(length);
        let is_last = messages(&datagram).any(|(kind, _)| kind == NLMSG_DONE);
        all.push(datagram);
        if is_last {
            return all;
        }
    }
}

/// The kind and the payload of each message.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = Nlmsghdr::new_from_slice(datagram.get(..HEADER)?)?;
        let length = usize::try_from(header.len).unwrap();
        let payload = &datagram[HEADER..length];
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
        Some((header.r#type, payload))
    })
}

pub(crate) fn rows(datagrams: &[Vec<u8>]) -> Vec<(u64, Row)> {
    datagrams
        .iter()
        .flat_map(|datagram| messages(datagram))
        .filter(|(kind, _)| *kind == SOCK_DIAG_BY_FAMILY)
        .map(|(_, payload)| row(payload))
        .collect()
}

fn row(payload: &[u8]) -> (u64, Row) {
    let (message, attributes) = OpTcpDiagDump::decode_reply(payload);
    let (state, synchronized) = match (message.state, message.inode) {
        (1, _) => ("ESTABLISHED", true),
        (2, _) => ("SYN-SENT", false),
        (3, 0) => ("NEW-SYN-RECV", false),
        (3, _) => ("SYN-RECEIVED", false),
        (4, _) => ("FIN-WAIT-1", true),
        (5, _) => ("FIN-WAIT-2", true),
        (6, _) => ("TIME-WAIT", false),
        (7, _) => ("CLOSED", false),
        (8, _) => ("CLOSE-WAIT", true),
        (9, _) => ("LAST-ACK", true),
        (10, _) => ("LISTEN", false),
        (11, _) => ("CLOSING", true),
        other => panic!("{other:?}"),
    };
    let kind = ["none", "retransmit", "keepalive", "time-wait", "persist"];
    let left = u64::from(message.expires);
    let info = attributes.get_tcp_info().ok().filter(|_| synchronized);
    let id = &message.sockid;
    let row = Row {
        fixed: Fixed {
            state: state.to_owned(),
            local: address(&message, id.src, id.sport()),
            peer: (state != "LISTEN").then(|| address(&message, id.dst, id.dport())),
            receive_queue: message.rqueue.into(),
            send_queue: message.wqueue.into(),
            uid: message.uid.into(),
            inode: message.inode.into(),
            holders: None,
        },
        timer: Timer {
            kind: kind[usize::from(message.timer)].to_owned(),
            left: (message.timer != 0).then_some(left..=left),
            count: message.retrans.into(),
        },
        since: info.map(|info| {
            let since = [info.last_data_sent, info.last_data_recv, info.last_ack_recv];
            since.map(u64::from)
        }),
    };
    (u64::from_ne_bytes(id.cookie), row)
}

fn address(message: &Msg, bytes: [u8; 16], port: u16) -> SocketAddr {
    if i32::from(message.family) == libc::AF_INET {
        let [a, b, c, d, ..] = bytes;
        return (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port).into();
    }
    let ip = Ipv6Addr::from(bytes);
    let scope = message.sockid.r#if * u32::from(ip.is_unicast_link_local());
    SocketAddrV6::new(ip, port, 0, scope).into()
}

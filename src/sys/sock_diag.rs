//! TCP sockets from the kernel's NETLINK_SOCK_DIAG dump (include/uapi/linux/inet_diag.h): asks for
//! states and addresses in the kernel, and decodes each answer straight into the model.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use nix::sys::socket::SockProtocol;

use super::bytecode;
use super::bytes::Bytes;
use super::netlink::{self, DUMP, DumpLoss, Message};
use super::tcp_info;
use crate::domain::address::AddressPattern;
use crate::domain::socket::{Socket, Timer, TimerKind};
use crate::domain::state::{State, StateSet};

/// `TCPDIAG_GETSOCK`: the sockets of both families in one walk over the kernel's tables. Its successor,
/// `SOCK_DIAG_BY_FAMILY`, walks them once a family, which costs 14 % more at 38,000 sockets.
const GET_SOCKETS: u16 = 18;
/// `INET_DIAG_REQ_BYTECODE`.
const REQUEST_BYTECODE: u16 = 1;
/// `INET_DIAG_INFO`, an attribute of the answer and, as bit (n - 1), a wish in the request.
const INFO: u16 = 2;
/// `INET_DIAG_NOCOOKIE`.
const NO_COOKIE: u64 = u64::MAX;

/// What to ask the kernel for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) states: StateSet,
    /// Any of them; empty matches all.
    pub(crate) local: &'a [AddressPattern],
    /// Any of them; empty matches all.
    pub(crate) peer: &'a [AddressPattern],
    /// Whether to ask for `tcp_info`, from which the idle time comes.
    pub(crate) info: bool,
}

/// `AF_INET` and `AF_INET6`, as the kernel answers them.
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// A way to ask the kernel, in the network namespace of the calling thread whoever uses it later.
///
/// # Errors
/// The kernel's refusal: `EPROTONOSUPPORT` where it has no sock_diag.
pub(crate) fn open() -> io::Result<netlink::Socket> {
    netlink::Socket::open(SockProtocol::NetlinkSockDiag)
}

/// Dumps the TCP sockets of the network namespace of `kernel` to `each`.
///
/// # Errors
/// The kernel's refusal (`ENOENT` where it has no `tcp_diag`), or that of `each`.
pub(crate) fn dump<E: From<io::Error>>(
    kernel: &mut netlink::Socket,
    query: &Query,
    mut each: impl FnMut(&Socket) -> Result<(), E>,
) -> Result<DumpLoss, E> {
    kernel.dump(request(query), |answer| match decode(answer) {
        Some(socket) => each(&socket).map(|()| true),
        None => Ok(false),
    })
}

/// `struct inet_diag_req`, for every family and address, and the bytecode.
fn request(query: &Query) -> Message {
    let mut fixed = Vec::with_capacity(60);
    let extensions = if query.info { 1 << (INFO - 1) } else { 0 };
    fixed.extend([0, 0, 0, extensions]);
    fixed.extend([0; 40]);
    fixed.extend(NO_COOKIE.to_ne_bytes());
    fixed.extend(query.states.kernel_mask().to_ne_bytes());
    fixed.extend([0; 4]);
    let message = Message::new(GET_SOCKETS, DUMP).fixed(&fixed);
    match bytecode::encode(query.local, query.peer) {
        Some(code) => message.attribute(REQUEST_BYTECODE, &code),
        None => message,
    }
}

/// `struct inet_diag_msg` and its attributes; `None` if it is too short or of another family.
fn decode(answer: &[u8]) -> Option<Socket> {
    let mut fields = Bytes::new(answer);
    let family = fields.u8()?;
    let state = State::from_kernel(fields.u8()?);
    let timer = fields.u8()?;
    let timer_count = fields.u8()?;
    let (local_port, peer_port) = (fields.be16()?, fields.be16()?);
    let (local, peer) = (fields.array::<16>()?, fields.array::<16>()?);
    let interface = fields.u32()?;
    let cookie = u64::from(fields.u32()?) | u64::from(fields.u32()?) << 32;
    let expires = Duration::from_millis(fields.u32()?.into());
    let (receive_queue, send_queue) = (fields.u32()?, fields.u32()?);
    let (uid, inode) = (fields.u32()?, fields.u32()?);
    let info = netlink::attributes(fields.rest())
        .flatten()
        .find(|&(kind, _)| kind == INFO)
        .map(|(_, payload)| payload);
    let kind = TimerKind::from_kernel(timer);
    let state = told_apart(state, inode, timer);
    Some(Socket {
        state,
        local: address(family, local, local_port, interface)?,
        peer: address(family, peer, peer_port, interface)?,
        receive_queue,
        send_queue,
        timer: Timer {
            kind,
            expires: (kind != TimerKind::None).then_some(expires),
            count: timer_count,
        },
        uid: (!matches!(state, State::TimeWait | State::NewSynReceived)).then_some(uid),
        inode: (inode != 0).then_some(inode),
        cookie: (cookie != NO_COOKIE).then_some(cookie),
        activity: info.and_then(tcp_info::activity),
    })
}

/// The kernel dumps a request in a listener's queue (NEW-SYN-RECV) as SYN-RECV: without an inode and
/// with its own timer shown as a retransmission (`inet_req_diag_fill`).
fn told_apart(state: State, inode: u32, timer: u8) -> State {
    let is_request = inode == 0 && TimerKind::from_kernel(timer) == TimerKind::Retransmit;
    if state == State::SynReceived && is_request {
        State::NewSynReceived
    } else {
        state
    }
}

fn address(family: u8, bytes: [u8; 16], port: u16, interface: u32) -> Option<SocketAddr> {
    if family == IPV4 {
        let ip = Ipv4Addr::from(Bytes::new(&bytes).array::<4>()?);
        return Some((IpAddr::V4(ip), port).into());
    }
    if family != IPV6 {
        return None;
    }
    let ip = Ipv6Addr::from(bytes);
    let scope = if ip.is_unicast_link_local() {
        interface
    } else {
        0
    };
    Some(SocketAddrV6::new(ip, port, 0, scope).into())
}

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 answered for the same sockets as tests/data/proc-net-tcp and tcp6.
    const CAPTURED: &[u8] = include_bytes!("../../tests/data/sock-diag-ipv4");
    const CAPTURED6: &[u8] = include_bytes!("../../tests/data/sock-diag-ipv6");

    fn decoded(datagrams: &[u8]) -> Vec<Option<Socket>> {
        netlink::messages(datagrams)
            .map(|message| message.expect("captured whole"))
            .filter(|message| message.payload.len() >= 72)
            .map(|message| decode(message.payload))
            .collect()
    }

    #[test]
    fn captured_sockets() {
        insta::assert_debug_snapshot!(decoded(CAPTURED));
    }

    #[test]
    fn captured_sockets_of_ipv6() {
        insta::assert_debug_snapshot!(decoded(CAPTURED6));
    }

    #[test]
    fn a_request_as_inet_diag_h_lays_it_out() {
        let query = Query {
            states: StateSet::from(State::Established),
            local: &[],
            peer: &[],
            info: true,
        };
        let mut expected = vec![76, 0, 0, 0, 18, 0, 1, 3, 9, 0, 0, 0, 0, 0, 0, 0];
        expected.extend([0, 0, 0, 2]);
        expected.extend([0; 40]);
        expected.extend([255; 8]);
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(request(&query).finish(9).unwrap(), expected);
    }

    /// A kernel with a shorter `tcp_info` tells less; it is not told as zero.
    #[test]
    fn a_short_tcp_info_leaves_the_activity_unknown() {
        let message = netlink::messages(CAPTURED).next().unwrap().unwrap();
        let (fixed, _) = message.payload.split_at(72);
        for (length, known) in [
            (0, false),
            (44, false),
            (59, false),
            (60, true),
            (300, true),
        ] {
            let mut answer = fixed.to_vec();
            answer.extend(u16::try_from(length + 4).unwrap().to_ne_bytes());
            answer.extend(INFO.to_ne_bytes());
            answer.extend(vec![7; length]);
            assert_eq!(
                decode(&answer).unwrap().activity.is_some(),
                known,
                "{length}"
            );
        }
    }

    #[test]
    fn unknown_attributes_and_states_are_kept_or_passed_over() {
        let message = netlink::messages(CAPTURED).next().unwrap().unwrap();
        let mut answer = message.payload.to_vec();
        answer[1] = 77;
        answer[2] = 99;
        answer.extend([8, 0, 0xff, 0x3f, 1, 2, 3, 4]);
        let socket = decode(&answer).unwrap();
        assert_eq!(socket.state, State::Unknown(77));
        assert_eq!(socket.timer.kind, TimerKind::Unknown(99));
    }
}

//! The bare kernel dump: what inet_diag takes to write every TCP socket with its tcp_info, read and thrown away.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
/// Bit `INET_DIAG_INFO` - 1.
const WITH_TCP_INFO: u8 = 2;

/// The time for both families, and how many sockets there were.
pub(crate) fn all() -> (Duration, usize) {
    let start = Instant::now();
    let mut socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(libc::NETLINK_SOCK_DIAG)),
    )
    .unwrap();
    let sockets = [libc::AF_INET, libc::AF_INET6].map(|family| one(&mut socket, family));
    (start.elapsed(), sockets.iter().sum())
}

fn one(socket: &mut Socket, family: i32) -> usize {
    socket.write_all(&request(family)).unwrap();
    let mut buffer = vec![0; 256 << 10];
    let mut sockets = 0;
    loop {
        let length = socket.read(&mut buffer).unwrap();
        let mut rest = &buffer[..length];
        while rest.len() >= 16 {
            let size = u32::from_ne_bytes(rest[..4].try_into().unwrap());
            match u16::from_ne_bytes([rest[4], rest[5]]) {
                NLMSG_DONE => return sockets,
                SOCK_DIAG_BY_FAMILY => sockets += 1,
                other => panic!("message type {other}"),
            }
            let aligned = usize::try_from(size).unwrap().next_multiple_of(4);
            rest = &rest[aligned.min(rest.len())..];
        }
    }
}

/// struct nlmsghdr and struct inet_diag_req_v2: every state.
fn request(family: i32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72);
    bytes.extend(72_u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    let tcp = u8::try_from(libc::IPPROTO_TCP).unwrap();
    bytes.extend([u8::try_from(family).unwrap(), tcp, WITH_TCP_INFO, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.resize(72, 0);
    bytes
}

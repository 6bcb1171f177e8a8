//! The error queue of a socket (IP_RECVERR, ip(7)): ICMP errors as they arrived, with the address of whoever
//! sent them. For TCP the kernel queues them only while connecting; later they are in SO_ERROR alone.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};

use super::tcp::Connection;

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6`.
const FROM_ICMP: [u8; 2] = [2, 3];

/// An error that was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// Who sent the ICMP message; `None` where it did not come by ICMP, or the kernel does not tell.
    pub(crate) offender: Option<IpAddr>,
    /// The errno that stands for the ICMP message; `None` where it did not come by ICMP.
    pub(crate) errno: Option<i32>,
}

/// Turns IP_RECVERR on or off.
pub(crate) fn receive_errors(connection: &Connection, on: bool) -> io::Result<()> {
    if connection.peer().is_ipv4() {
        setsockopt(connection, Ipv4RecvErr, &on)?;
    } else {
        setsockopt(connection, Ipv6RecvErr, &on)?;
    }
    Ok(())
}

/// Empties the queue; gives the last error in it.
pub(crate) fn take(connection: &Connection) -> Option<QueuedError> {
    std::iter::from_fn(|| next(connection)).last()
}

fn next(connection: &Connection) -> Option<QueuedError> {
    let mut data = [0; 256];
    let mut parts = [IoSliceMut::new(&mut data)];
    let mut control = cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let message = recvmsg::<SockaddrStorage>(
        connection.socket().as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )
    .ok()?;
    let (error, offender) = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let ip = from.map(|from| Ipv4Addr::from_bits(u32::from_be(from.sin_addr.s_addr)));
            Some((error, ip.map(IpAddr::V4)))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            let ip = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr));
            Some((error, ip.map(IpAddr::V6)))
        }
        _ => None,
    })?;
    let by_icmp = from_icmp(&error);
    Some(QueuedError {
        offender: offender.filter(|address| by_icmp && !address.is_unspecified()),
        errno: i32::try_from(error.ee_errno).ok().filter(|_| by_icmp),
    })
}

fn from_icmp(error: &libc::sock_extended_err) -> bool {
    FROM_ICMP.contains(&error.ee_origin)
}

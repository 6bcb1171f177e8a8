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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    Some(
        message
            .cmsgs()
            .ok()?
            .find_map(|control| queued(&control))
            .unwrap_or_default(),
    )
}

/// What a control message tells of an error; `None` if it tells of something else.
fn queued(control: &ControlMessageOwned) -> Option<QueuedError> {
    let (error, offender) = match control {
        ControlMessageOwned::Ipv4RecvErr(error, from) => {
            let ip = from.map(|from| Ipv4Addr::from_bits(u32::from_be(from.sin_addr.s_addr)));
            (error, ip.map(IpAddr::V4))
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) => {
            let ip = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr));
            (error, ip.map(IpAddr::V6))
        }
        _ => return None,
    };
    let by_icmp = from_icmp(error);
    Some(QueuedError {
        offender: offender.filter(|address| by_icmp && !address.is_unspecified()),
        errno: i32::try_from(error.ee_errno).ok().filter(|_| by_icmp),
    })
}

fn from_icmp(error: &libc::sock_extended_err) -> bool {
    FROM_ICMP.contains(&error.ee_origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack;

    /// Whatever the kernel queues, only ICMP has an offender, and never one without an address.
    #[test]
    fn hostile_errors() {
        let unreachable = [113, 0, 0, 0, 2, 3, 1, 0, 192, 0, 2, 1];
        let local = [90, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        attack(&[&unreachable, &local], |bytes| {
            let mut fields = [0; 12];
            let known = bytes.len().min(fields.len());
            fields[..known].copy_from_slice(&bytes[..known]);
            let [e0, e1, e2, e3, origin, kind, code, _, ip @ ..] = fields;
            let error = libc::sock_extended_err {
                ee_errno: u32::from_ne_bytes([e0, e1, e2, e3]),
                ee_origin: origin,
                ee_type: kind,
                ee_code: code,
                ee_pad: 0,
                ee_info: 0,
                ee_data: 0,
            };
            let from = libc::sockaddr_in {
                sin_family: 2,
                sin_port: 0,
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(ip),
                },
                sin_zero: [0; 8],
            };
            let told = queued(&ControlMessageOwned::Ipv4RecvErr(error, Some(from))).unwrap();
            let by_icmp = matches!(origin, 2 | 3);
            let expected = by_icmp && ip != [0; 4];
            assert_eq!(told.offender, expected.then_some(IpAddr::from(ip)));
            assert!(by_icmp || told.errno.is_none());
            let nobody = queued(&ControlMessageOwned::Ipv4RecvErr(error, None)).unwrap();
            assert_eq!(nobody.offender, None);
            assert_eq!(nobody.errno, told.errno);
        });
    }
}

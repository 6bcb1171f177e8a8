//! The lab's cables, addresses and routes over rtnetlink. Neighbours are permanent entries, so that
//! no ARP or neighbour discovery happens: a link works the moment it runs, for IPv6 too.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::SockProtocol;

use super::missing;
use super::namespace::Namespace;
use super::topology::{Address, Host, Port};
use crate::error::{During, Error, Result};
use crate::sys::bytes::Bytes;
use crate::sys::netlink::{ACK, DUMP, Message, Socket};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const RTM_NEWNEIGH: u16 = 28;
/// `NLM_F_CREATE | NLM_F_EXCL`.
const CREATE: u16 = 0x600;
/// `RTMGRP_LINK`.
const LINK_GROUP: u32 = 1;

const IFF_UP: u32 = 0x1;
const IFF_RUNNING: u32 = 0x40;
/// The loopback device's index in every namespace.
const LOOPBACK: u32 = 1;

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    let fields = [0, index, flags, flags];
    for (field, value) in bytes.chunks_exact_mut(4).zip(fields) {
        field.copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}

fn zero_terminated(name: &str) -> Vec<u8> {
    name.bytes().chain([0]).collect()
}

/// A cable from `near`, in the namespace that is asked, to `far`, in another.
pub(super) fn veth(near: &Port, far: &Port, into: RawFd) -> Message {
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_NET_NS_FD: u16 = 28;
    const IFLA_INFO_KIND: u16 = 1;
    const IFLA_INFO_DATA: u16 = 2;
    const VETH_INFO_PEER: u16 = 1;
    Message::new(RTM_NEWLINK, CREATE | ACK)
        .fixed(&link(near.index, 0))
        .attribute(IFLA_ADDRESS, &near.mac)
        .attribute(IFLA_IFNAME, &zero_terminated(near.name))
        .nest(IFLA_LINKINFO, |info| {
            info.attribute(IFLA_INFO_KIND, b"veth")
                .nest(IFLA_INFO_DATA, |data| {
                    data.nest(VETH_INFO_PEER, |peer| {
                        peer.fixed(&link(far.index, 0))
                            .attribute(IFLA_ADDRESS, &far.mac)
                            .attribute(IFLA_NET_NS_FD, &into.to_ne_bytes())
                            .attribute(IFLA_IFNAME, &zero_terminated(far.name))
                    })
                })
        })
}

fn up(index: u32) -> Message {
    Message::new(RTM_NEWLINK, ACK).fixed(&link(index, IFF_UP))
}

fn moved(index: u32, namespace: RawFd) -> Message {
    const IFLA_NET_NS_FD: u16 = 28;
    Message::new(RTM_NEWLINK, ACK)
        .fixed(&link(index, 0))
        .attribute(IFLA_NET_NS_FD, &namespace.to_ne_bytes())
}

fn family(address: IpAddr) -> u8 {
    // AF_INET and AF_INET6 of linux/socket.h.
    if address.is_ipv4() { 2 } else { 10 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address(index: u32, address: Address) -> Message {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    /// Usable at once: nobody else can have this address.
    const IFA_F_NODAD: u8 = 0x02;
    let bytes = octets(address.ip);
    let mut header = vec![family(address.ip), address.prefix, IFA_F_NODAD, 0];
    header.extend(index.to_ne_bytes());
    Message::new(RTM_NEWADDR, CREATE | ACK)
        .fixed(&header)
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
}

fn default_route(index: u32, gateway: IpAddr) -> Message {
    const RTA_OIF: u16 = 4;
    const RTA_GATEWAY: u16 = 5;
    const RT_TABLE_MAIN: u8 = 254;
    const RTPROT_BOOT: u8 = 3;
    const RT_SCOPE_UNIVERSE: u8 = 0;
    const RTN_UNICAST: u8 = 1;
    let mut header = vec![family(gateway), 0, 0, 0];
    header.extend([RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST]);
    header.extend([0; 4]);
    Message::new(RTM_NEWROUTE, CREATE | ACK)
        .fixed(&header)
        .attribute(RTA_GATEWAY, &octets(gateway))
        .attribute(RTA_OIF, &index.to_ne_bytes())
}

fn neighbour(index: u32, address: IpAddr, mac: [u8; 6]) -> Message {
    const NDA_DST: u16 = 1;
    const NDA_LLADDR: u16 = 2;
    const NUD_PERMANENT: u16 = 0x80;
    let mut header = vec![family(address), 0, 0, 0];
    header.extend(index.to_ne_bytes());
    header.extend(NUD_PERMANENT.to_ne_bytes());
    header.extend([0, 0]);
    Message::new(RTM_NEWNEIGH, CREATE | ACK)
        .fixed(&header)
        .attribute(NDA_DST, &octets(address))
        .attribute(NDA_LLADDR, &mac)
}

/// Everything that makes `host` a part of the network, once its cables are there.
fn configuration(host: &Host) -> Vec<Message> {
    let mut messages = vec![up(LOOPBACK)];
    for port in host.ports {
        messages.push(up(port.index));
        messages.extend(port.addresses.map(|own| address(port.index, own)));
        messages.extend(
            port.neighbours
                .map(|ip| neighbour(port.index, ip, port.neighbour_mac)),
        );
        if port.default_route {
            messages.extend(port.neighbours.map(|ip| default_route(port.index, ip)));
        }
    }
    messages
}

/// The links of one namespace.
#[derive(Debug)]
pub(super) struct Links {
    requests: Socket,
    events: Socket,
}

impl Links {
    /// Those of the calling thread's namespace.
    pub(super) fn open() -> Result<Self> {
        let requests =
            Socket::open(SockProtocol::NetlinkRoute).during(|| "open a rtnetlink socket")?;
        let events = Socket::subscribe(SockProtocol::NetlinkRoute, LINK_GROUP)
            .during(|| "subscribe to link events")?;
        Ok(Self { requests, events })
    }

    pub(super) fn connect(&mut self, cables: Vec<Message>) -> Result<()> {
        (self.requests.transact(cables)).map_err(|refused| missing::veth(refused.source))
    }

    /// Sets links up, with addresses, neighbours and routes.
    pub(super) fn configure(&mut self, host: &Host) -> Result<()> {
        self.transact(configuration(host), || {
            format!("rtnetlink: configure the {}", host.name)
        })
    }

    /// Moves the link of this index into another namespace. Its other end stays where it is and
    /// only loses its carrier.
    pub(super) fn give(&mut self, index: u32, to: &Namespace) -> Result<()> {
        self.transact(vec![moved(index, to.as_raw_fd())], || {
            format!("rtnetlink: move link {index}")
        })
    }

    fn transact(&mut self, messages: Vec<Message>, name: impl Fn() -> String) -> Result<()> {
        self.requests
            .transact(messages)
            .map_err(|refused| Error::System {
                operation: format!("{} (request {})", name(), refused.index),
                cause: refused.source,
            })
    }

    /// Waits until every port of `host` carries packets: after "up" the kernel starts a link's
    /// queue asynchronously, and what is sent before is lost.
    pub(super) fn wait_until_running(&mut self, host: &Host) -> Result<()> {
        while !self.running(host)? {
            self.events
                .wait()
                .during(|| format!("wait for the links of the {}", host.name))?;
        }
        Ok(())
    }

    fn running(&mut self, host: &Host) -> Result<bool> {
        let mut running = Vec::new();
        let request = Message::new(RTM_GETLINK, DUMP).fixed(&link(0, 0));
        self.requests
            .dump(request, |payload| {
                running.extend(running_link(payload));
                Ok::<_, io::Error>(true)
            })
            .during(|| "rtnetlink: list links")?;
        Ok(host.ports.iter().all(|port| running.contains(&port.index)))
    }
}

/// The index of a link in an answer, if it is running.
fn running_link(payload: &[u8]) -> Option<u32> {
    let mut header = Bytes::new(payload);
    header.skip(4)?;
    let index = header.u32()?;
    (header.u32()? & IFF_RUNNING != 0).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::topology::{CLIENT_PORT, INSIDE_PORT};
    use super::*;

    /// What `ip` of iproute2 6.1 sent, captured from its sendmsg, behind the netlink header:
    /// `ip link add name inside index 12 address 02:00:00:00:00:02 type veth peer name eth0 index 11
    /// address 02:00:00:00:00:01 netns 16434`.
    const IP_LINK_ADD: &str = "000000000c00000000000000000000000a00010002000000000200000b000300\
        696e7369646500004400120008000100766574683800020034000100000000000b00000000000000000000000a\
        00010002000000000100000800130032400000090003006574683000000000";

    fn hex(message: Message) -> String {
        let bytes = message.finish(0).unwrap();
        bytes[16..].iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    #[test]
    fn a_cable_is_encoded_as_ip_encodes_it() {
        // ip leaves NLA_F_NESTED out and names the namespace by a process (19), not a descriptor (28).
        let expected = IP_LINK_ADD
            .replace("44001200", "44001280")
            .replace("38000200", "38000280")
            .replace("34000100", "34000180")
            .replace("08001300", "08001c00");
        assert_eq!(hex(veth(&INSIDE_PORT, &CLIENT_PORT, 0x4032)), expected);
    }

    #[test]
    fn links_addresses_neighbours_and_routes_are_encoded_as_ip_encodes_them() {
        let [v4, v6] = INSIDE_PORT.addresses;
        let [client, client6] = INSIDE_PORT.neighbours;
        let mac = INSIDE_PORT.neighbour_mac;
        let index = INSIDE_PORT.index;
        for (ours, ips) in [
            // ip link set dev inside up
            (up(index), "000000000c0000000100000001000000"),
            // ip addr add 192.0.2.1/24 dev inside, with the flag of `nodad`
            (
                address(index, v4),
                "021802000c00000008000200c000020108000100c0000201",
            ),
            // ip -6 addr add fd00:1::1/64 dev inside nodad
            (
                address(index, v6),
                "0a4002000c00000014000200fd00000100000000000000000000000114000100fd00000100000000\
                 0000000000000001",
            ),
            // ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:01 nud permanent dev inside
            (
                neighbour(index, client, mac),
                "020000000c0000008000000008000100c00002020a0002000200000000010000",
            ),
            // ip -6 neigh add fd00:1::2 lladdr 02:00:00:00:00:01 nud permanent dev inside
            (
                neighbour(index, client6, mac),
                "0a0000000c0000008000000014000100fd0000010000000000000000000000020a000200020000000001\
                 0000",
            ),
            // ip route add default via 192.0.2.2 dev inside
            (
                default_route(index, client),
                "02000000fe0300010000000008000500c0000202080004000c000000",
            ),
        ] {
            assert_eq!(hex(ours), ips);
        }
    }
}

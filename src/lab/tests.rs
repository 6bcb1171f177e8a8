//! A lab leaves the network around it as it was.

use std::collections::BTreeMap;
use std::path::Path;

use nix::sys::socket::SockProtocol;

use super::*;
use crate::common::in_lab_user_namespace;
use crate::sys::netlink::{DUMP, Message, Socket, attributes};

/// The answers to a dump, as the kernel gave them.
fn dump(protocol: SockProtocol, request: Message) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let all = Socket::open(protocol).unwrap().dump(request, |payload| {
        answers.push(payload.to_vec());
        Ok::<_, std::io::Error>(true)
    });
    match all {
        Ok(_) => answers,
        // Rules are not shown to an ordinary user, who could not have changed them either.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Links, addresses and routes without what changes by itself: counters and ages.
fn network() -> BTreeMap<String, Vec<Vec<u8>>> {
    // Message type, length of the fixed header, the attributes that stay.
    let tables: [(&str, u16, usize, &[u16]); 3] = [
        ("links", 18, 16, &[1, 3, 4, 5, 10, 18]),
        ("addresses", 22, 8, &[1, 2, 3, 4, 8]),
        ("routes", 26, 12, &[1, 4, 5, 6, 7, 15]),
    ];
    let mut network: BTreeMap<_, _> = tables
        .into_iter()
        .map(|(name, kind, header, kept)| {
            let request = Message::new(kind, DUMP).fixed(&vec![0; header]);
            let answers = dump(SockProtocol::NetlinkRoute, request);
            let answers = answers.iter().map(|answer| {
                let (fixed, rest) = answer.split_at(header);
                let stays = attributes(rest)
                    .flatten()
                    .filter(|(kind, _)| kept.contains(kind));
                let stays = stays.flat_map(|(kind, value)| [&kind.to_ne_bytes(), value].concat());
                fixed.iter().copied().chain(stays).collect()
            });
            (name.to_owned(), answers.collect())
        })
        .collect();
    // Tables, chains, rules, sets, objects: NFT_MSG_GET... of linux/netfilter/nf_tables.h.
    for kind in [1, 4, 7, 10, 19] {
        let request = Message::new(10 << 8 | kind, DUMP).fixed(&[0; 4]);
        let answers = dump(SockProtocol::NetlinkNetFilter, request);
        network.insert(format!("nf_tables {kind}"), answers);
    }
    network
}

/// Every sysctl of the network that can be read, except those that count.
fn sysctls(directory: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    const COUNTING: [&str; 2] = ["nf_conntrack_count", "tcp_fastopen_key"];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sysctls(&path, found);
        } else if let Ok(text) = std::fs::read(&path)
            && !COUNTING.iter().any(|name| path.ends_with(name))
        {
            found.insert(path.display().to_string(), text);
        }
    }
}

fn surroundings() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut found = BTreeMap::new();
    sysctls(Path::new("/proc/sys/net"), &mut found);
    assert!(found.len() > 100, "only {} sysctls", found.len());
    let mut surroundings = network();
    surroundings.extend(found.into_iter().map(|(path, text)| (path, vec![text])));
    surroundings
}

#[test]
fn nothing_around_a_lab_changes() {
    in_lab_user_namespace(|| {
        // The first lab may load kernel modules, and those bring sysctls.
        drop(Lab::build(&Plan::default()).unwrap());
        let before = surroundings();
        assert!(before.get("links").is_some_and(|links| !links.is_empty()));
        let lab = Lab::build(&Plan::default()).unwrap();
        lab.change(Change::OnExpiry(OnExpiry::Forget)).unwrap();
        lab.change(Change::RebootPeer).unwrap();
        assert_eq!(before, surroundings(), "while it stands");
        drop(lab);
        assert_eq!(before, surroundings(), "after it");
    });
}

#[test]
fn a_lab_has_the_addresses_that_it_announces() {
    in_lab_user_namespace(|| {
        let lab = Lab::build(&Plan::default()).unwrap();
        let hosts = [
            (lab.client(), &CLIENT_HOST),
            (lab.router(), &ROUTER_HOST),
            (&*lab.server(), &SERVER_HOST),
        ];
        for (namespace, host) in hosts {
            let inside = namespace.run(network).unwrap();
            let holds = |table: &str, bytes: &[u8]| {
                inside[table]
                    .iter()
                    .any(|answer| answer.windows(bytes.len()).any(|window| window == bytes))
            };
            for port in host.ports {
                assert!(holds("links", port.name.as_bytes()), "{}", port.name);
                assert!(holds("links", &port.mac), "{}", port.name);
                for address in port.addresses {
                    let octets = match address.ip {
                        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
                        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
                    };
                    assert!(holds("addresses", &octets), "{}", address.ip);
                }
            }
            // The loopback device and its own ports: nothing else.
            assert_eq!(inside["links"].len(), 1 + host.ports.len());
        }
    });
}

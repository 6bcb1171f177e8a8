//! Address filters as INET_DIAG bytecode, so that the kernel passes over what is not asked for.
//! A program that runs off its end accepts the socket; a jump beyond the end by 4 rejects it
//! (`inet_diag_bc_run`, `inet_diag_bc_audit` in net/ipv4/inet_diag.c).

use std::net::IpAddr;

use crate::domain::address::AddressPattern;

/// `INET_DIAG_BC_JMP`, `_S_COND`, `_D_COND`.
const JUMP: u8 = 1;
const SOURCE: u8 = 7;
const DESTINATION: u8 = 8;
/// The length of an operation, `struct inet_diag_bc_op`.
const OPERATION: u8 = 4;
/// The length of a condition without its address, `struct inet_diag_hostcond`.
const CONDITION: u8 = 8;

/// The program for (any of `local`) and (any of `peer`); `None` if there is nothing to filter or if it
/// would not fit the 16-bit jumps, and so must be filtered outside the kernel.
pub(crate) fn encode(local: &[AddressPattern], peer: &[AddressPattern]) -> Option<Vec<u8>> {
    let total = length(local) + length(peer);
    let fits = total > 0 && total < usize::from(u16::MAX) - 64;
    let mut code = Vec::with_capacity(total);
    for (side, patterns) in [(SOURCE, local), (DESTINATION, peer)] {
        any(&mut code, side, patterns, total);
    }
    fits.then_some(code)
}

fn length(patterns: &[AddressPattern]) -> usize {
    patterns
        .iter()
        .map(|pattern| usize::from(test_length(pattern) + OPERATION))
        .sum()
}

/// A condition that fails goes on to the next, the last one to rejection; one that holds jumps
/// behind the group.
fn any(code: &mut Vec<u8>, side: u8, patterns: &[AddressPattern], total: usize) {
    let end = code.len() + length(patterns);
    for (index, pattern) in patterns.iter().enumerate() {
        let test = test_length(pattern);
        let beyond_the_end = total - code.len() + usize::from(OPERATION);
        let next = usize::from(test + OPERATION);
        let last = index + 1 == patterns.len();
        operation(code, side, test, if last { beyond_the_end } else { next });
        host_condition(code, pattern);
        let behind = end - code.len();
        operation(code, JUMP, OPERATION, behind);
    }
}

/// `struct inet_diag_bc_op`: where to go on if it holds and if it does not, relative to itself.
/// A distance that does not fit belongs to a program that `encode` discards.
fn operation(code: &mut Vec<u8>, kind: u8, yes: u8, no: usize) {
    code.extend([kind, yes]);
    code.extend(u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
}

/// The length of the operation that tests `pattern`, with its condition.
fn test_length(pattern: &AddressPattern) -> u8 {
    let address = match pattern.network.map(|network| network.address) {
        None => 0,
        Some(IpAddr::V4(_)) => 4,
        Some(IpAddr::V6(_)) => 16,
    };
    OPERATION + CONDITION + address
}

/// `struct inet_diag_hostcond`: family (0 for any), prefix length, port (-1 for any), address.
fn host_condition(code: &mut Vec<u8>, pattern: &AddressPattern) {
    let (family, prefix) = match pattern.network {
        None => (0, 0),
        Some(network) if network.address.is_ipv4() => (2, network.prefix),
        Some(network) => (10, network.prefix),
    };
    code.extend([family, prefix, 0, 0]);
    code.extend(pattern.port.map_or(-1, i32::from).to_ne_bytes());
    match pattern.network.map(|network| network.address) {
        None => {}
        Some(IpAddr::V4(ip)) => code.extend(ip.octets()),
        Some(IpAddr::V6(ip)) => code.extend(ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<AddressPattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Compared with what `ss -tn sport = :80` sends, condition by condition.
    #[test]
    fn one_port() {
        let code = encode(&patterns(&[":80"]), &[]).unwrap();
        let test = [7, 12, 20, 0, 0, 0, 0, 0, 80, 0, 0, 0];
        let jump = [1, 4, 4, 0];
        assert_eq!(code, [&test[..], &jump].concat());
    }

    #[test]
    fn nothing_to_filter_needs_no_program() {
        assert_eq!(encode(&[], &[]), None);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_caller() {
        assert_eq!(encode(&vec![patterns(&["::1"])[0]; 3_000], &[]), None);
        assert!(encode(&vec![patterns(&["::1"])[0]; 2_000], &[]).is_some());
    }

    /// The kernel's interpreter (`inet_diag_bc_run`) on what the program may hold.
    fn runs(code: &[u8], local: &str, peer: &str) -> bool {
        let mut at = 0;
        while at < code.len() {
            let [kind, yes] = [code[at], code[at + 1]];
            let no = u16::from_ne_bytes([code[at + 2], code[at + 3]]);
            let address = if kind == SOURCE { local } else { peer };
            let holds = kind != JUMP && condition_holds(&code[at + 4..], address);
            at += if holds {
                usize::from(yes)
            } else {
                usize::from(no)
            };
        }
        at == code.len()
    }

    fn condition_holds(condition: &[u8], address: &str) -> bool {
        let address: std::net::SocketAddr = address.parse().unwrap();
        let port = i32::from_ne_bytes(condition[4..8].try_into().unwrap());
        let network = match condition[0] {
            0 => None,
            2 => Some(IpAddr::from(
                <[u8; 4]>::try_from(&condition[8..12]).unwrap(),
            )),
            _ => Some(IpAddr::from(
                <[u8; 16]>::try_from(&condition[8..24]).unwrap(),
            )),
        };
        AddressPattern {
            network: network.map(|address| crate::domain::address::Network {
                address,
                prefix: condition[1],
            }),
            port: u16::try_from(port).ok(),
        }
        .matches(&address)
    }

    #[test]
    fn any_local_and_any_peer() {
        let code = encode(
            &patterns(&["10.0.0.0/8", "[::1]:80", ":443"]),
            &patterns(&["192.0.2.1", "fe80::/10"]),
        )
        .unwrap();
        for (local, peer, expected) in [
            ("10.1.1.1:9", "192.0.2.1:9", true),
            ("[::1]:80", "[fe80::2]:9", true),
            ("127.0.0.1:443", "192.0.2.1:9", true),
            ("127.0.0.1:443", "192.0.2.2:9", false),
            ("[::1]:81", "192.0.2.1:9", false),
            ("11.0.0.1:80", "[fe80::2]:9", false),
        ] {
            assert_eq!(runs(&code, local, peer), expected, "{local} {peer}");
        }
    }
}

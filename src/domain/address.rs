//! Address filters: an address, a network, a port or both, as the command line gives them.
//! The same pattern is matched here and, as INET_DIAG bytecode, in the kernel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::digits::decimal;

/// What an address must look like. An IPv4 pattern matches v4-mapped IPv6 addresses too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPattern {
    /// The network; `None` matches every address.
    pub network: Option<Network>,
    /// The port; `None` matches every port.
    pub port: Option<u16>,
}

/// A network: only the first `prefix` bits of the address count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// How many bits count: at most 32 or 128.
    pub prefix: u8,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl AddressPattern {
    /// Whether `address` matches.
    #[must_use]
    pub fn matches(&self, address: &SocketAddr) -> bool {
        self.port.is_none_or(|port| port == address.port())
            && self
                .network
                .is_none_or(|network| network.contains(address.ip()))
    }
}

impl Network {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => self.covers_v4(network, address),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let ignored = 128 - u32::from(self.prefix.min(128));
                let differ = u128::from(network) ^ u128::from(address);
                differ.checked_shr(ignored).unwrap_or(0) == 0
            }
            (IpAddr::V4(network), IpAddr::V6(address)) => address
                .to_ipv4_mapped()
                .is_some_and(|address| self.covers_v4(network, address)),
            (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn covers_v4(&self, network: Ipv4Addr, address: Ipv4Addr) -> bool {
        let ignored = 32 - u32::from(self.prefix.min(32));
        let differ = u32::from(network) ^ u32::from(address);
        differ.checked_shr(ignored).unwrap_or(0) == 0
    }
}

impl FromStr for AddressPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Self::parse(text).map_err(|why| {
            let forms = "ADDRESS, ADDRESS/LENGTH, :PORT, ADDRESS:PORT or [IPV6]:PORT";
            InvalidPattern(format!("{why}; write {forms}"))
        })
    }
}

impl AddressPattern {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some((address, port)) = v6_and_port(text) {
            return Err(if is_v6(text) {
                format!("'{text}' could be two things: [{address}]:{port}, or [{text}]")
            } else {
                format!("'{text}' is not an address, [{address}]:{port} would be one with a port")
            });
        }
        // A bare IPv6 address is full of colons, so it is tried before a port is looked for.
        if let Ok(network) = parse_network(text) {
            let network = Some(network);
            return Ok(Self {
                network,
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let network = match (host, port) {
            ("" | "*", Some(_)) => None,
            _ => Some(parse_network(host)?),
        };
        let port = match port {
            None | Some("*") => None,
            Some(port) => Some(decimal(port).ok_or_else(|| format!("'{port}' is not a port"))?),
        };
        Ok(Self { network, port })
    }
}

impl FromStr for Network {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        parse_network(text)
            .map_err(|why| InvalidPattern(format!("{why}; write ADDRESS or ADDRESS/LENGTH")))
    }
}

/// An IPv6 address without brackets whose last group may as well be meant as a port.
pub(super) fn v6_and_port(text: &str) -> Option<(&str, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    is_v6(address).then_some((address, port))
}

/// Whether it is an IPv6 address; a scope such as %eth0 is the resolver's to understand.
pub(super) fn is_v6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

fn parse_network(text: &str) -> Result<Network, String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let unbracketed = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'))
        .filter(|address| address.parse::<Ipv6Addr>().is_ok())
        .unwrap_or(address);
    let address: IpAddr = unbracketed
        .parse()
        .map_err(|_| format!("'{text}' is not an address"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) => decimal(prefix)
            .filter(|&length| length <= longest)
            .ok_or_else(|| format!("'/{prefix}' is not a prefix length from 0 to {longest}"))?,
    };
    Ok(Network { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    fn pattern(text: &str) -> AddressPattern {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_matches_what_it_says() {
        for (text, address, expected) in [
            ("10.0.0.1", "10.0.0.1:80", true),
            ("10.0.0.1", "10.0.0.2:80", false),
            ("10.0.0.0/8", "10.255.0.2:80", true),
            ("10.0.0.0/8", "11.0.0.2:80", false),
            ("10.1.2.3/8", "10.255.0.2:80", true),
            ("0.0.0.0/0", "11.0.0.2:80", true),
            ("0.0.0.0/0", "[::1]:80", false),
            ("::/0", "[::1]:80", true),
            ("::/0", "127.0.0.1:80", false),
            (":80", "127.0.0.1:80", true),
            ("*:80", "[::1]:80", true),
            (":80", "[::1]:81", false),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:*", "127.0.0.1:81", true),
            ("127.0.0.0/8:80", "127.9.0.1:80", true),
            ("::1", "[::1]:80", true),
            ("fd00::5", "[fd00::5]:80", true),
            ("[fd00::1:22]", "[fd00::1:22]:80", true),
            ("[::1]", "[::1]:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("[::1]:80", "[::1]:81", false),
            ("fe80::/10", "[fe80::1]:81", true),
            ("[fe80::/10]:81", "[febf::1]:81", true),
            ("[fe80::]/10", "[fec0::1]:81", false),
            ("10.0.0.0/8", "[::ffff:10.0.0.1]:81", true),
            ("10.0.0.0/8", "[::ffff:11.0.0.1]:81", false),
            ("::ffff:0:0/96", "[::ffff:11.0.0.1]:81", true),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(
                pattern(text).matches(&address),
                expected,
                "{text} {address}"
            );
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("", "'' is not an address"),
            ("db", "'db' is not an address"),
            ("10.0.0.0/33", "'/33' is not a prefix length from 0 to 32"),
            ("10.0.0.1:99999", "'99999' is not a port"),
            ("::1/129", "'/129' is not a prefix length from 0 to 128"),
            (":", "'' is not a port"),
            (
                "::1:65000",
                "'::1:65000' is not an address, [::1]:65000 would be",
            ),
            (
                "::1:22",
                "'::1:22' could be two things: [::1]:22, or [::1:22];",
            ),
        ] {
            let error = text.parse::<AddressPattern>().unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    /// What is understood says no more than the text.
    #[test]
    fn hostile_patterns() {
        let patterns = [
            "10.0.0.0/8:80",
            ":443",
            "[fe80::/10]:81",
            "[::1]:80",
            "*:80",
            "1.2.3.4:*",
        ];
        attack_text(&patterns, |text| {
            let Ok(pattern) = text.parse::<AddressPattern>() else {
                return;
            };
            assert!(!text.contains(['+', '-']), "{text}");
            assert!(
                pattern
                    .port
                    .is_none_or(|port| text.ends_with(&port.to_string()))
            );
            if let Some(network) = pattern.network {
                let longest = if network.address.is_ipv4() { 32 } else { 128 };
                assert!(network.prefix <= longest);
                assert!(network.contains(network.address));
            }
        });
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_read_again(ip: [u16; 8], v4: [u8; 4], port: u16) {
            for address in [SocketAddr::from((ip, port)), SocketAddr::from((v4, port))] {
                proptest::prop_assert!(pattern(&address.to_string()).matches(&address));
            }
        }
    }
}

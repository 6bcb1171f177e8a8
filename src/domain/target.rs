//! A host and a port to connect to, and over which address families.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::address::{is_v6, v6_and_port};
use super::digits::decimal;

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: String,
    port: u16,
}

impl Target {
    /// From `host:port` or `[v6]:port`, or only a host where there is a default port.
    ///
    /// # Errors
    /// What is wrong, and how to write it.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, String> {
        if text.contains("://") {
            return Err(format!(
                "'{text}' is a URL: write only host:port, as in db:443"
            ));
        }
        if let Some((address, port)) = v6_and_port(text) {
            let else_what = default_port.map_or(":443", |_| "");
            return Err(if is_v6(text) {
                format!(
                    "'{text}' could be two things: write [{address}]:{port} if {port} is the port, else [{text}]{else_what}"
                )
            } else {
                format!("'{text}' is no address: write [{address}]:{port}")
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            _ if is_v6(text) || text.ends_with(']') => (text, None),
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            Some(_) => {
                return Err(format!(
                    "'{text}' is no address: write an IPv6 one as [v6]:port"
                ));
            }
            None => (text, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty()
            || host
                .contains(|character: char| character.is_whitespace() || "/[]@".contains(character))
        {
            return Err(format!(
                "'{host}' is not a host: write host:port or [v6]:port"
            ));
        }
        let port = match port {
            Some(port) => decimal(port)
                .filter(|&port| port > 0)
                .ok_or_else(|| no_port(port))?,
            None => default_port
                .ok_or_else(|| format!("a port is missing: write {}", with_port(host)))?,
        };
        // An address has one form, whichever it was written in; one with a scope is the resolver's.
        let host = host
            .parse::<IpAddr>()
            .map_or_else(|_| host.to_owned(), |address| address.to_string());
        Ok(Self { host, port })
    }

    /// The name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, not 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn no_port(text: &str) -> String {
    format!("'{text}' has no port from 1 to 65535")
}

fn with_port(host: &str) -> String {
    if is_v6(host) {
        format!("[{host}]:443")
    } else {
        format!("{host}:443")
    }
}

/// Which address families to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// Whatever the name has.
    Any,
    /// IPv4.
    OnlyV4,
    /// IPv6.
    OnlyV6,
}

impl Families {
    /// Whether an address is of a wanted family.
    #[must_use]
    pub fn contain(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::OnlyV4 => address.is_ipv4(),
            Self::OnlyV6 => address.is_ipv6(),
        }
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IPv4 or IPv6",
            Self::OnlyV4 => "IPv4",
            Self::OnlyV6 => "IPv6",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    #[test]
    fn targets() {
        for (text, default, expected) in [
            ("db:5432", None, "db:5432"),
            ("10.0.0.1:80", None, "10.0.0.1:80"),
            ("[::1]:80", None, "[::1]:80"),
            ("[fe80::1%eth0]:80", None, "[fe80::1%eth0]:80"),
            ("[fe80::1%2]:80", None, "[fe80::1%2]:80"),
            ("[0:0::1]:80", None, "[::1]:80"),
            ("db", Some(7117), "db:7117"),
            ("::1", Some(7117), "[::1]:7117"),
            ("2001:db8::5", Some(7117), "[2001:db8::5]:7117"),
            ("1:2:3:4:5:6:7:8", Some(7117), "[1:2:3:4:5:6:7:8]:7117"),
            ("[::1:22]", Some(7117), "[::1:22]:7117"),
            ("[::1]", Some(7117), "[::1]:7117"),
        ] {
            let target = Target::parse(text, default).map(|target| target.to_string());
            assert_eq!(target.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_is_right() {
        for (text, said) in [
            ("db", "a port is missing: write db:443"),
            ("::1", "a port is missing: write [::1]:443"),
            ("db:0", "'0' has no port from 1 to 65535"),
            ("10.0.0.1:0", "has no port"),
            ("db:http", "'http' has no port"),
            ("db:99999", "'99999' has no port"),
            (":80", "'' is not a host"),
            ("http://db:80", "is a URL: write only host:port"),
            (
                "::1:22",
                "write [::1]:22 if 22 is the port, else [::1:22]:443",
            ),
            ("fe80::1%eth0:22", "write [fe80::1%eth0]:22 if"),
            ("::1:65000", "is no address: write [::1]:65000"),
            (
                "1:2:3:4:5:6:7:8:22",
                "is no address: write [1:2:3:4:5:6:7:8]:22",
            ),
            ("1::2::3:80", "write an IPv6 one as [v6]:port"),
            ("a b:80", "is not a host"),
        ] {
            let error = Target::parse(text, None).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_port_behind_a_bare_ipv6_address_is_not_taken_for_a_group() {
        let error = Target::parse("fd00::1:22", Some(7117)).unwrap_err();
        assert!(
            error.ends_with("write [fd00::1]:22 if 22 is the port, else [fd00::1:22]"),
            "{error}"
        );
    }

    /// What is understood can be printed, and is the same again.
    #[test]
    fn hostile_targets() {
        let targets = [
            "db:5432",
            "10.0.0.1:80",
            "[fe80::1%eth0]:80",
            "::1",
            "[::1]",
        ];
        attack_text(&targets, |text| {
            for default in [None, Some(7_117)] {
                if let Ok(target) = Target::parse(text, default) {
                    let printed = target.to_string();
                    assert_eq!(Target::parse(&printed, None), Ok(target), "{printed}");
                    assert!(!text.contains('+') || printed.contains('+'), "{text}");
                }
            }
        });
    }
}

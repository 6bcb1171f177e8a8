//! From a name to all of its addresses, in the order in which they are to be tried.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::domain::target::{Families, Target};
use crate::error::{During as _, Error, Result};

/// The addresses of `target`, at least one.
///
/// # Errors
/// When the name cannot be resolved, or has no address of the wanted family.
pub(crate) fn addresses(target: &Target, families: Families) -> Result<Vec<SocketAddr>> {
    let found = (target.host(), target.port())
        .to_socket_addrs()
        .map_err(|error| match error.raw_os_error() {
            Some(_) => error,
            // getaddrinfo's own words, without std's preface.
            None => io::Error::other(
                error
                    .to_string()
                    .replace("failed to lookup address information: ", ""),
            ),
        })
        .during(|| format!("resolving {}", target.host()))?;
    let wanted: Vec<SocketAddr> = found.filter(|address| families.contain(address)).collect();
    if wanted.is_empty() {
        return Err(Error::Usage(format!(
            "{} has no {families} address",
            target.host()
        )));
    }
    Ok(interleaved(&wanted))
}

/// RFC 8305, section 4: the families take turns, beginning with that of the first address; each keeps the
/// resolver's order (RFC 6724).
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (mut first, mut second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv4() == first_is_v4);
    first.dedup();
    second.dedup();
    let mut second = second.into_iter();
    let mut all = Vec::with_capacity(addresses.len());
    for address in first {
        all.push(address);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &str| -> Vec<SocketAddr> {
            list.split(' ')
                .map(|address| address.parse().unwrap())
                .collect()
        };
        for (resolved, tried) in [
            ("[::1]:1 [::2]:1 1.1.1.1:1", "[::1]:1 1.1.1.1:1 [::2]:1"),
            (
                "1.1.1.1:1 1.1.1.2:1 [::1]:1 [::2]:1 [::3]:1",
                "1.1.1.1:1 [::1]:1 1.1.1.2:1 [::2]:1 [::3]:1",
            ),
            ("1.1.1.1:1", "1.1.1.1:1"),
        ] {
            assert_eq!(interleaved(&parse(resolved)), parse(tried));
        }
    }

    #[test]
    fn an_address_needs_no_resolver() {
        let target = Target::parse("127.0.0.1:80", None).unwrap();
        assert_eq!(
            addresses(&target, Families::Any).unwrap(),
            ["127.0.0.1:80".parse().unwrap()]
        );
        let error = addresses(&target, Families::OnlyV6).unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.1 has no IPv6 address");
    }
}

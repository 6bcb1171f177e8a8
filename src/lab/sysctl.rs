//! Writes sysctls of the calling thread's network namespace. /proc/sys/net shows the namespace of
//! whoever opens a file in it, so this must only run on a thread that is in a lab.

use std::io;
use std::path::Path;

use super::behaviour::{Behaviour, OnExpiry};
use super::missing;
use crate::error::{During, Error, Result};

/// A name below /proc/sys/net and its value.
type Setting = (&'static str, u32);

/// What a host of the lab needs before it has links: no address but those that it is given, and no
/// talk of its own on the cable.
const QUIET: [Setting; 4] = [
    ("ipv6/conf/default/disable_ipv6", 0),
    ("ipv6/conf/default/accept_ra", 0),
    ("ipv6/conf/default/accept_dad", 0),
    // IN6_ADDR_GEN_MODE_NONE: no link-local address, hence no discovery.
    ("ipv6/conf/default/addr_gen_mode", 1),
];

/// A socket that nobody owns any more keeps its namespace: the kernel shall give it up within about
/// a second instead of two minutes (`tcp_orphan_retries`).
const SHORT_LIVED: Setting = ("ipv4/tcp_orphan_retries", 1);

const ROUTING: [Setting; 4] = [
    ("ipv4/ip_forward", 1),
    ("ipv6/conf/all/forwarding", 1),
    // Every packet gets its ICMP error, not one a second.
    ("ipv4/icmp_ratelimit", 0),
    ("ipv6/icmp/ratelimit", 0),
];

/// Prepares an end host.
pub(super) fn set_host() -> Result<()> {
    write_all(&QUIET)?;
    write_all(&[SHORT_LIVED])
}

/// Prepares the router.
pub(super) fn set_router() -> Result<()> {
    write_all(&QUIET)?;
    write_all(&ROUTING)
}

/// The connection tracker's part of a behaviour. Connection tracking must have been asked for by
/// a rule before: its sysctls come with its module.
fn tracking(behaviour: &Behaviour) -> [Setting; 6] {
    let timeout = behaviour.nat_timeout.seconds();
    let loose = u32::from(behaviour.on_expiry == OnExpiry::Forget);
    [
        ("netfilter/nf_conntrack_tcp_timeout_established", timeout),
        // Where the kernel is stricter with data that it has not seen acknowledged, or with a
        // handshake whose last ACK it was not shown, the lab still means one timeout.
        ("netfilter/nf_conntrack_tcp_timeout_unacknowledged", timeout),
        ("netfilter/nf_conntrack_tcp_timeout_max_retrans", timeout),
        ("netfilter/nf_conntrack_tcp_timeout_syn_recv", timeout),
        ("netfilter/nf_conntrack_tcp_loose", loose),
        // Not having seen the ACKs, it must not judge windows by them.
        (
            "netfilter/nf_conntrack_tcp_be_liberal",
            u32::from(behaviour.untracked_keepalives),
        ),
    ]
}

/// Sets the connection tracker. A new timeout holds from the next packet of a connection on.
pub(super) fn set_tracking(behaviour: &Behaviour) -> Result<()> {
    write_all(&tracking(behaviour))
}

fn write_all(settings: &[Setting]) -> Result<()> {
    settings
        .iter()
        .try_for_each(|&(name, value)| write(&Path::new("/proc/sys/net").join(name), value))
}

/// Writes and reads back: a sysctl may clamp in silence.
fn write(path: &Path, value: u32) -> Result<()> {
    match std::fs::write(path, value.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent(path)),
        written => written.during(|| format!("write {value} to {}", path.display()))?,
    }
    let now = std::fs::read_to_string(path).during(|| format!("read {}", path.display()))?;
    if now.trim() == value.to_string() {
        return Ok(());
    }
    Err(Error::System {
        operation: format!("write {value} to {}", path.display()),
        cause: io::Error::other(format!("it reads {} afterwards", now.trim())),
    })
}

fn absent(path: &Path) -> Error {
    if path.starts_with("/proc/sys/net/ipv6") {
        return Error::Unsupported(format!(
            "the lab needs IPv6, and {} does not exist: boot without ipv6.disable=1",
            path.display()
        ));
    }
    missing::conntrack(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timeout_of_an_established_connection_is_the_one_asked_for() {
        let behaviour = Behaviour {
            nat_timeout: super::super::NatTimeout::new(std::time::Duration::from_secs(7)).unwrap(),
            on_expiry: OnExpiry::Forget,
            ..Behaviour::default()
        };
        let settings = tracking(&behaviour);
        let timeouts = settings.iter().filter(|(name, _)| name.contains("timeout"));
        assert!(timeouts.clone().all(|&(_, value)| value == 7));
        assert_eq!(timeouts.count(), 4);
        assert!(settings.contains(&("netfilter/nf_conntrack_tcp_loose", 1)));
    }
}

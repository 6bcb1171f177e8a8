//! What the system lets one process have: descriptors and ephemeral ports.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of descriptors to the hard one, and returns it.
pub(crate) fn raise_descriptors() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many ephemeral ports there are for one destination and port; `None` if it cannot be told.
pub(crate) fn ephemeral_ports() -> Option<u64> {
    let path = Path::new("/proc/sys/net/ipv4/ip_local_port_range");
    let text = std::fs::read_to_string(path).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(high.checked_sub(low)? + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_machine_has_both() {
        assert!(super::raise_descriptors().unwrap() >= 256);
        assert!(super::ephemeral_ports().unwrap() > 0);
    }
}

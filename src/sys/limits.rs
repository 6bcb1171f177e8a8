//! What the system lets one process have: descriptors and ephemeral ports.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::domain::digits::decimal;

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
    ports(&std::fs::read_to_string(path).ok()?)
}

/// How many there are from the first number to the second.
fn ports(range: &str) -> Option<u64> {
    let mut numbers = range.split_whitespace().map(decimal::<u64>);
    let (low, high) = (numbers.next()??, numbers.next()??);
    high.checked_sub(low)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::ports;
    use crate::hostile::attack_text;

    #[test]
    fn hostile_ranges() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        attack_text(&["32768\t60999\n", "0 18446744073709551615"], |text| {
            let words: Vec<Option<u64>> = text
                .split_whitespace()
                .map(|word| word.parse().ok())
                .collect();
            if let Some(ports) = ports(text) {
                assert_eq!(words[0].unwrap().checked_add(ports - 1), words[1]);
            }
        });
    }

    #[test]
    fn this_machine_has_both() {
        assert!(super::raise_descriptors().unwrap() >= 256);
        assert!(super::ephemeral_ports().unwrap() > 0);
    }
}

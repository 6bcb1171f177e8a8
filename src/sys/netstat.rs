//! Counters of the current network namespace from /proc/net/netstat: pairs of lines, names above values.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The TcpExt counters that bear on dead peers.
const COUNTERS: [&str; 5] = [
    "TCPKeepAlive",
    "OutOfWindowIcmps",
    "TCPAbortOnTimeout",
    "TCPTimeouts",
    "LockDroppedIcmps",
];

/// Counters by name; one that the kernel lacks is absent.
pub(crate) type Counters = BTreeMap<String, u64>;

/// Reads the counters of the calling thread's namespace.
pub(crate) fn read() -> io::Result<Counters> {
    std::fs::read_to_string(Path::new("/proc/thread-self/net/netstat")).map(|text| parse(&text))
}

/// By how much each counter has grown.
pub(crate) fn grown(before: &Counters, after: &Counters) -> Counters {
    after
        .iter()
        .filter_map(|(name, after)| Some((name.clone(), after.saturating_sub(*before.get(name)?))))
        .collect()
}

fn parse(text: &str) -> Counters {
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Counters::new();
    };
    names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace())
        .filter(|(name, _)| COUNTERS.contains(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_above_values() {
        let text = "TcpExt: SyncookiesSent OutOfWindowIcmps TCPKeepAlive\nTcpExt: 1 4 7\nIpExt: a\nIpExt: 9\n";
        let counters = parse(text);
        assert_eq!(counters.get("OutOfWindowIcmps"), Some(&4));
        assert_eq!(counters.get("TCPKeepAlive"), Some(&7));
        assert_eq!(counters.len(), 2, "{counters:?}");
        assert!(parse("").is_empty() && parse("TcpExt: a").is_empty());
    }

    #[test]
    fn the_kernel_has_them_all() {
        assert_eq!(read().unwrap().len(), COUNTERS.len());
    }
}

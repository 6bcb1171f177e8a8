//! Counters of the current network namespace from /proc/net/netstat: pairs of lines, names above values.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::domain::digits::decimal;

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
    // A line that does not end is cut short, and so may its last value be.
    let mut lines = text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_prefix("TcpExt: ")?.strip_suffix('\n'));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Counters::new();
    };
    names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace())
        .filter(|(name, _)| COUNTERS.contains(name))
        .filter_map(|(name, value)| Some((name.to_owned(), decimal(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    #[test]
    fn names_stand_above_values() {
        let text = "TcpExt: SyncookiesSent OutOfWindowIcmps TCPKeepAlive\nTcpExt: 1 4 7\nIpExt: a\nIpExt: 9\n";
        let counters = parse(text);
        assert_eq!(counters.get("OutOfWindowIcmps"), Some(&4));
        assert_eq!(counters.get("TCPKeepAlive"), Some(&7));
        assert_eq!(counters.len(), 2, "{counters:?}");
        assert!(parse("").is_empty() && parse("TcpExt: a").is_empty());
    }

    const CAPTURED: &str = "TcpExt: SyncookiesSent OutOfWindowIcmps TCPTimeouts TCPKeepAlive\n\
        TcpExt: 11 4004 5 78\nIpExt: InNoRoutes InTruncatedPkts\nIpExt: 9 10\n";

    /// Half a file tells less, never something else.
    #[test]
    fn a_cut_file_tells_no_other_value() {
        let all = parse(CAPTURED);
        assert_eq!(all.len(), 3);
        for length in 0..CAPTURED.len() {
            let told = parse(&CAPTURED[..length]);
            assert!(told.is_empty() || told == all, "{length}: {told:?}");
        }
    }

    #[test]
    fn hostile_counters() {
        attack_text(&[CAPTURED], |text| {
            for (name, value) in parse(text) {
                assert!(COUNTERS.contains(&&*name));
                let mut words = text.split_ascii_whitespace();
                assert!(words.any(|word| is_digits(word) && word.parse() == Ok(value)));
            }
        });
    }

    fn is_digits(word: &str) -> bool {
        word.bytes().all(|byte| byte.is_ascii_digit())
    }

    #[test]
    fn the_kernel_has_them_all() {
        assert_eq!(read().unwrap().len(), COUNTERS.len());
    }
}

//! What `ss -tanoiepOH` prints, taken apart.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use crate::look::{Fixed, Row, Timer, sorted};

/// `STATE RECV-Q SEND-Q LOCAL PEER` and then words, of which those with a colon have a name.
pub(crate) fn row(line: &str) -> (u64, Row) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let number = |name: &str| named(name).map_or(0, |value| value.parse().unwrap());
    let inode = number("ino:");
    let state = match words[0] {
        "ESTAB" => "ESTABLISHED",
        "UNCONN" => "CLOSED",
        "SYN-RECV" if inode == 0 => "NEW-SYN-RECV",
        "SYN-RECV" => "SYN-RECEIVED",
        other => other,
    };
    let has_activity = matches!(
        state,
        "ESTABLISHED" | "FIN-WAIT-1" | "FIN-WAIT-2" | "CLOSE-WAIT" | "LAST-ACK" | "CLOSING"
    );
    let row = Row {
        fixed: Fixed {
            state: state.to_owned(),
            local: address(words[3]),
            peer: (state != "LISTEN").then(|| address(words[4])),
            receive_queue: words[1].parse().unwrap(),
            send_queue: words[2].parse().unwrap(),
            uid: number("uid:"),
            inode,
            holders: Some(named("users:").map_or_else(Vec::new, holders)),
        },
        timer: named("timer:").map_or_else(Timer::none, timer),
        since: (has_activity && named("rto:").is_some())
            .then(|| ["lastsnd:", "lastrcv:", "lastack:"].map(number)),
    };
    let cookie = u64::from_str_radix(named("sk:").unwrap(), 16).unwrap();
    (cookie, row)
}

/// `127.0.0.1:80`, `[::1]:80`, `[fe80::1]%eth0:80`, `*:80`, `0.0.0.0:*`.
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.rsplit_once(':').unwrap();
    let (host, link) = host.split_once('%').unwrap_or((host, ""));
    let host = host.trim_matches(['[', ']']);
    let ip = match host {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        host => host.parse().unwrap(),
    };
    let port = if port == "*" {
        0
    } else {
        port.parse().unwrap()
    };
    let mut address = SocketAddr::new(ip, port);
    if let SocketAddr::V6(address) = &mut address
        && !link.is_empty()
    {
        address.set_scope_id(nix::net::if_::if_nametoindex(link).unwrap());
    }
    address
}

/// `(("name",pid=1,fd=3),("name",pid=1,fd=4))`.
fn holders(text: &str) -> Vec<(u64, u64, String)> {
    let inside = text.strip_prefix("((").unwrap().strip_suffix("))").unwrap();
    sorted(inside.split("),(").map(|holder| {
        let (name, rest) = holder[1..].split_once("\",pid=").unwrap();
        let (pid, fd) = rest.split_once(",fd=").unwrap();
        (pid.parse().unwrap(), fd.parse().unwrap(), name.to_owned())
    }))
}

/// `(keepalive,119min,0)`: kind, what is left, count.
fn timer(text: &str) -> Timer {
    let inside = text.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
    let words: Vec<&str> = inside.split(',').collect();
    let kind = match words[0] {
        "on" => "retransmit",
        "timewait" => "time-wait",
        other => other,
    };
    Timer {
        kind: kind.to_owned(),
        left: Some(time(words[1])),
        count: words[2].parse().unwrap(),
    }
}

/// ss leaves out what it takes for little (`print_ms_timer`): seconds beyond nine minutes, milliseconds
/// beyond nine seconds. `1.204ms` is 1204 milliseconds.
fn time(text: &str) -> RangeInclusive<u64> {
    let (minutes, rest) = match text.split_once("min") {
        Some((minutes, rest)) => (minutes.parse::<u64>().unwrap(), rest),
        None => (0, text),
    };
    let (seconds, milliseconds) = if let Some(rest) = rest.strip_suffix("ms") {
        let (seconds, milliseconds) = rest.split_once('.').unwrap_or(("0", rest));
        (seconds.parse().unwrap(), milliseconds.parse().unwrap())
    } else {
        let seconds = rest.strip_suffix("sec").unwrap_or("0");
        (seconds.parse::<u64>().unwrap(), 0)
    };
    let step = match (minutes, seconds) {
        (10.., _) => 60_000,
        (1.., _) | (0, 10..) => 1_000,
        (0, _) => 1,
    };
    let told = minutes * 60_000 + seconds * 1_000 + milliseconds;
    told..=told + step - 1
}

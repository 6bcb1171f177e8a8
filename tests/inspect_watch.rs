//! `kalive inspect --watch`, on a terminal and off it, and sorted rows.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Connection, json, kalive, listener, sockets};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::SockRef;

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
}

#[test]
fn off_a_terminal_each_round_is_events() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let first = Connection::to(&listener);
    let peer = listener.local_addr().unwrap();
    let mut child = kalive()
        .args([
            "inspect",
            "-s",
            "--watch",
            "200ms",
            "--peer",
            &peer.to_string(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut round = || {
        let mut rows = 0;
        loop {
            let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            if event["event"] == "report" {
                assert_eq!(event["complete"], true);
                assert!(event["at"].as_str().unwrap().ends_with('Z'), "{event}");
                assert_eq!(event["count"], rows);
                return rows;
            }
            rows += 1;
        }
    };
    assert_eq!(round(), 1);
    let second = Connection::to(&listener);
    let started = Instant::now();
    while round() < 2 {
        // Only what hangs takes longer.
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    drop((first, second));
    signal(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// A terminal of 12 rows, 60 columns unless told otherwise, and kalive on it.
struct Terminal {
    child: Child,
    screen: File,
}

impl Terminal {
    fn start(line: &str) -> Self {
        Self::of_width(60, line)
    }

    fn of_width(columns: u16, line: &str) -> Self {
        let size = Winsize {
            ws_row: 12,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let child = kalive()
            .args(line.split_whitespace())
            .stdout(pty.slave)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            screen: File::from(pty.master),
        }
    }

    /// The lines of the next frame.
    fn frame(&mut self) -> Vec<String> {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\x1b[J") {
            self.screen.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        let text = String::from_utf8(text).unwrap();
        let (_, text) = text.split_once("\x1b[H").unwrap();
        text.split("\r\n")
            .map(|line| {
                let plain = ["\x1b[K", "\x1b[J", "\x1b[1m", "\x1b[0m", "\r"];
                plain
                    .iter()
                    .fold(line.to_owned(), |line, code| line.replace(code, ""))
            })
            .filter(|line| !line.is_empty())
            .collect()
    }
}

#[test]
fn on_a_terminal_a_frame_is_drawn_over_the_last() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let other = Connection::to(&listener);
    let peer = listener.local_addr().unwrap();
    let line = format!("inspect -s --columns local,keepalive,idle --watch 200ms --peer {peer}");
    let mut terminal = Terminal::start(&line);
    let changed = |frame: &[String]| -> Vec<String> {
        let marked = frame.iter().filter(|line| line.starts_with('~'));
        marked.cloned().collect()
    };
    let frame = terminal.frame();
    assert!(
        frame.iter().any(|line| line.starts_with("  LOCAL")),
        "{frame:?}"
    );
    assert_eq!(changed(&frame), Vec::<String>::new(), "nothing was before");
    assert_eq!(
        changed(&terminal.frame()),
        Vec::<String>::new(),
        "only the idle times run"
    );
    SockRef::from(&connection.client)
        .set_keepalive(true)
        .unwrap();
    let local = connection.client_address().to_string();
    let mut marked = Vec::new();
    while marked.is_empty() {
        marked = changed(&terminal.frame());
    }
    assert_eq!(marked.len(), 1, "{marked:?}");
    assert!(
        marked[0].contains(&local) && marked[0].contains("on"),
        "{marked:?}"
    );
    assert_eq!(changed(&terminal.frame()), Vec::<String>::new());
    drop(other);

    let many: Vec<Connection> = (0..40).map(|_| Connection::to(&listener)).collect();
    loop {
        let frame = terminal.frame();
        assert!(frame.len() < 12, "{frame:?}");
        assert!(
            frame.iter().all(|line| line.chars().count() <= 60),
            "{frame:?}"
        );
        if frame.iter().any(|line| line.contains("more lines)")) {
            break;
        }
    }
    drop(many);
    signal(&terminal.child, Signal::SIGINT);
    let mut rest = Vec::new();
    // The last reader of a terminal gets EIO when its writer ends.
    let _ = terminal.screen.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    assert!(
        rest.ends_with("\x1b[?25h"),
        "the cursor is shown again: {rest:?}"
    );
    assert_eq!(terminal.child.wait().unwrap().code(), Some(130));
}

/// Rounds leave nothing behind: neither a descriptor each, nor a part of their rows.
#[test]
fn watching_takes_no_more_and_more_memory() {
    const ROUNDS: usize = 25;
    let listener = listener(Ipv4Addr::LOCALHOST);
    let _many: Vec<Connection> = (0..300).map(|_| Connection::to(&listener)).collect();
    // No other sockets: those of other tests come and go.
    let peer = listener.local_addr().unwrap();
    let line =
        format!("inspect -s --options --survives 350s --sort risk --watch 100ms --peer {peer}");
    let mut terminal = Terminal::start(&line);
    let measure = |pid: u32| -> (u64, usize) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
        (
            resident,
            std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .count(),
        )
    };
    for _ in 0..5 {
        terminal.frame();
    }
    let (early, few) = measure(terminal.child.id());
    for _ in 0..ROUNDS {
        terminal.frame();
    }
    let (late, many) = measure(terminal.child.id());
    assert!(late < early + 1_024, "{early} kB, then {late} kB");
    // The next round may have opened some by now.
    assert!(many < few + ROUNDS, "{few} descriptors, then {many}");
    signal(&terminal.child, Signal::SIGINT);
    drop(terminal.screen);
    terminal.child.wait().unwrap();
}

#[test]
fn rows_are_sorted() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connections: Vec<Connection> = (0..4)
        .map(|index: u64| {
            let connection = Connection::to(&listener);
            std::thread::sleep(Duration::from_millis(20));
            let idle = [7_200, 60, 300, 349][usize::try_from(index).unwrap()];
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(Duration::from_secs(idle))
                .with_interval(Duration::from_secs(10));
            SockRef::from(&connection.client)
                .set_tcp_keepalive(&keepalive)
                .unwrap();
            connection
        })
        .collect();
    let peer = listener.local_addr().unwrap();
    let order = |key: &str| -> Vec<usize> {
        let line =
            format!("inspect -s --options --survives 350s --sort {key} --peer {peer} -o json");
        let output = kalive().args(line.split_whitespace()).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = sockets(&report).iter();
        rows.map(|row| {
            let is =
                |connection: &Connection| row["local"] == connection.client_address().to_string();
            connections.iter().position(is).unwrap()
        })
        .collect()
    };
    assert_eq!(order("idle"), [0, 1, 2, 3]);
    assert_eq!(order("risk"), [0, 3, 2, 1]);
    let mut by_port: Vec<usize> = (0..4).collect();
    by_port.sort_by_key(|&index| connections[index].client_address());
    assert_eq!(order("local"), by_port);
    let text = json("inspect -s --sort process");
    let names: Vec<&str> = sockets(&text)
        .iter()
        .filter_map(|row| row["processes"][0]["name"].as_str())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
}

/// Long addresses, every kind of state and verdict: no row is wider than 80 columns, and none is wrapped. A wide
/// terminal shows all of it.
#[test]
fn the_default_columns_fit_80() {
    let listeners = [listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)];
    let mut held = Vec::new();
    for listener in &listeners {
        let mut hidden = Connection::to(listener);
        hidden.stuff();
        let late = Connection::to(listener);
        let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(349));
        SockRef::from(&late.client)
            .set_tcp_keepalive(&keepalive)
            .unwrap();
        SockRef::from(&late.client)
            .set_tcp_user_timeout(Some(Duration::from_millis(1_234_567)))
            .unwrap();
        let closing = Connection::to(listener);
        closing.client.shutdown(std::net::Shutdown::Write).unwrap();
        held.extend([hidden, late, closing]);
    }
    let ports = listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port());
    let ours = format!("--peer :{} --peer :{}", ports[0], ports[1]);
    for line in [
        "inspect -s",
        "inspect -s --state all",
        "inspect -s --options",
        "inspect -s --options --state all",
        "inspect -s --survives 350s",
        "inspect -s --options --survives 350s --all-netns",
        "inspect -s --options --survives 350s --state all --sort risk",
        "inspect --options --survives 350s --all-netns",
    ] {
        let shown = |columns: u16, filter: &str| -> String {
            let mut terminal = Terminal::of_width(columns, &format!("{line} {filter}"));
            let mut bytes = Vec::new();
            let _ = terminal.screen.read_to_end(&mut bytes);
            terminal.child.wait().unwrap();
            without_colors(&String::from_utf8_lossy(&bytes))
        };
        let text = shown(80, "");
        for row in text.lines() {
            assert!(row.chars().count() <= 80, "{line}: {row}");
        }
        assert!(
            !shown(200, &ours).contains('…'),
            "{line}: a wide terminal has room"
        );
    }
}

fn without_colors(text: &str) -> String {
    let mut plain = String::new();
    for (index, part) in text.split("\x1b[").enumerate() {
        plain.push_str(match part.split_once('m') {
            Some((_, rest)) if index > 0 => rest,
            _ => part,
        });
    }
    plain.replace('\r', "")
}

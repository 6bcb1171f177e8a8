//! SIGINT and SIGTERM at any moment of a run: the exit code tells of it, what is printed is whole and says that
//! it was cut short, and nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "common/lab.rs"]
mod lab;

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Connection, kalive, listener};
use faults::{Ended, finish_within};
use lab::in_lab_user_namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long after the signal a run may still take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
/// In the environment of everything that a run starts.
const MARK: &str = "KALIVE_TEST_SIGNALS";

/// Runs it, sends a signal after so long, and takes what has come of it.
fn interrupted(line: &str, after: Duration, signal: Signal, mark: &str) -> Ended {
    let child = kalive()
        .args(line.split_whitespace())
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The moment itself is what is tested: no event announces it.
    thread::sleep(after);
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // Not reaped yet: a run that has ended takes no harm.
    kill(pid, signal).unwrap();
    finish_within(child, PATIENCE)
}

/// Moments over the life of a run, as random as they need to be, and the same every time.
fn moments(life: Duration, count: u32) -> impl Iterator<Item = (Duration, Signal)> {
    // The fractional parts of multiples of the golden ratio spread evenly.
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let signals = [Signal::SIGINT, Signal::SIGTERM].into_iter().cycle();
    let shares = (1..=count).map(move |n| (f64::from(n) * golden).fract());
    shares.map(move |share| life.mul_f64(share)).zip(signals)
}

/// The exit code says how the run ended, and its last document whether it is whole. Whether the signal came in time.
fn is_honest(ended: &Ended, signal: Signal, what: &str) -> bool {
    let cut = ended.code == Some(128 + signal as i32);
    // Of a lab's command its lab tells.
    let killed = ended.signal == Some(signal as i32)
        || cut && what.contains("lab --") && ended.stdout.is_empty();
    if killed {
        // Before the run could hold anything back, it had not begun either.
        assert_eq!(ended.stdout, "", "{what}");
        return true;
    }
    let cut = ended.code == Some(128 + signal as i32);
    assert!(
        cut || matches!(ended.code, Some(0 | 1)),
        "{what}: {ended:?}"
    );
    let documents: Vec<Value> = serde_json::Deserializer::from_str(&ended.stdout)
        .into_iter()
        .map(|document| document.unwrap_or_else(|error| panic!("{what}: {error}: {ended:?}")))
        .collect();
    assert!(ended.stdout.ends_with('\n'), "{what}: {ended:?}");
    let last = documents.last().unwrap();
    let complete = &last["complete"];
    // A watch is cut between two rounds, after a whole report; serve has no end of its own.
    let whole = what.contains("--watch") || what.contains("serve");
    assert!(*complete == !cut || whole && cut, "{what}: {ended:?}");
    if what.contains("ndjson") {
        assert_eq!(last["event"], "report", "{what}: {ended:?}");
    }
    cut
}

fn accept_all(listener: &TcpListener) {
    let _kept: Vec<_> = listener.incoming().collect();
}

#[test]
fn a_run_may_be_cut_at_any_moment() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let target = listener.local_addr().unwrap();
    let rows: Vec<Connection> = (0..500).map(|_| Connection::to(&listener)).collect();
    thread::spawn(move || accept_all(&listener));
    let probe = format!("probe {target} {target} --idle 1s --rounds 1");
    let hold = format!("hold {target} --max 2s");
    let inspect = format!("inspect -s --options --state all --peer {target}");
    let runs = [
        (format!("{probe} -o json"), 1_200, 16),
        (format!("{probe} -o ndjson"), 1_200, 16),
        (format!("{hold} -o json"), 3_000, 8),
        (format!("{hold} -o ndjson"), 3_000, 8),
        (format!("{inspect} -o json"), 100, 40),
        (format!("{inspect} -o ndjson"), 100, 40),
        (format!("{inspect} -o ndjson --watch 100ms"), 400, 24),
        (
            String::from("serve --listen 127.0.0.1:0 -o ndjson"),
            200,
            32,
        ),
    ];
    thread::scope(|scope| {
        for (line, life, count) in runs {
            scope.spawn(move || {
                let cut = moments(Duration::from_millis(life), count)
                    .filter(|&(after, signal)| {
                        let what = format!("kalive {line}, {signal} after {after:?}");
                        is_honest(&interrupted(&line, after, signal, ""), signal, &what)
                    })
                    .count();
                assert!(cut > 0, "{line}: no signal came in time");
            });
        }
    });
    drop(rows);
}

/// A lab, a run in it, and its demonstration: all of their processes are gone when kalive is.
#[test]
fn a_lab_that_is_cut_leaves_nothing_behind() {
    let mut found = Command::new("sleep")
        .arg("60")
        .env(MARK, "found")
        .spawn()
        .unwrap();
    // The kernel lets the parent go on shortly before a new program has its environment.
    let start = Instant::now();
    while marked("found") != [i32::try_from(found.id()).unwrap()] {
        assert!(start.elapsed() < PATIENCE, "{:?}", marked("found"));
    }
    found.kill().unwrap();
    found.wait().unwrap();
    in_lab_user_namespace(|| {
        let kalive = env!("CARGO_BIN_EXE_kalive");
        let runs = [
            (String::from("lab -o json"), 2_000),
            (
                format!("lab -- {kalive} hold 198.51.100.2 --max 60s -o json"),
                2_000,
            ),
            (String::from("lab -- sleep 60"), 500),
        ];
        thread::scope(|scope| {
            for (line, life) in runs {
                scope.spawn(move || {
                    for (after, signal) in moments(Duration::from_millis(life), 10) {
                        let what = format!("kalive {line}, {signal} after {after:?}");
                        let mark = format!("{}-{line}-{after:?}", std::process::id());
                        let ended = interrupted(&line, after, signal, &mark);
                        let cut = if line.ends_with("json") {
                            is_honest(&ended, signal, &what)
                        } else {
                            ended.code == Some(128 + signal as i32) || ended.signal.is_some()
                        };
                        assert!(cut, "{what}: {ended:?}");
                        assert_eq!(marked(&mark), Vec::<i32>::new(), "{what}: {ended:?}");
                    }
                });
            }
        });
    });
}

/// The processes with this mark in their environment.
fn marked(mark: &str) -> Vec<i32> {
    let variable = format!("{MARK}={mark}");
    let all = procfs::process::all_processes().unwrap();
    all.flatten()
        .filter(|process| {
            let path = format!("/proc/{}/environ", process.pid);
            let environment = std::fs::read(path).unwrap_or_default();
            let mut variables = environment.split(|&byte| byte == 0);
            variables.any(|own| own == variable.as_bytes())
        })
        .map(|process| process.pid)
        .collect()
}

//! Reports for others than people at a terminal, from the real binary: JUnit XML and pictures.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/mod.rs"]
mod common;
#[cfg(test)]
#[path = "common/junit.rs"]
mod junit;

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Connection, kalive, listener, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{SockRef, TcpKeepalive};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Both ends are connections of this process, of which one keeps itself alive.
#[test]
fn each_connection_that_is_judged_is_a_test() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10));
    let client = SockRef::from(&connection.client);
    client.set_tcp_keepalive(&keepalive).unwrap();
    let port = listener.local_addr().unwrap().port();
    let both = |options: &str| {
        let line = format!("inspect --survives 350s --local :{port} --peer :{port} {options}");
        run(&format!("{line} -o junit"))
    };
    // No socket has that port at both ends: where nothing is judged nothing is passed either.
    let counts = junit::checked(&text(&both("").stdout));
    assert_eq!((counts.tests, counts.skipped, counts.errors), (1, 1, 0));
    let counts = junit::checked(&text(&both("--strict").stdout));
    assert_eq!((counts.tests, counts.skipped, counts.errors), (1, 0, 1));
    let judged = |filter: String, options: &str| {
        let output = run(&format!(
            "inspect --survives 350s {filter} {options} -o junit"
        ));
        let document = text(&output.stdout);
        (output.status.code(), junit::checked(&document), document)
    };
    let client = || format!("--peer :{port}");
    let server = || format!("--local :{port}");
    let found = |(code, counts, _): &(Option<i32>, junit::Counts, String)| {
        (
            *code,
            counts.tests,
            counts.failures,
            counts.errors,
            counts.skipped,
        )
    };
    let protected = judged(client(), "--options");
    assert_eq!(found(&protected), (Some(0), 1, 0, 0, 0), "{}", protected.2);
    // The timer alone does not tell TCP_KEEPIDLE.
    let unknown = judged(client(), "");
    assert_eq!(found(&unknown), (Some(0), 1, 0, 0, 1), "{}", unknown.2);
    let strict = judged(client(), "--strict");
    assert_eq!(found(&strict), (Some(2), 1, 0, 1, 0), "{}", strict.2);
    let at_risk = judged(server(), "--options");
    assert_eq!(found(&at_risk), (Some(1), 1, 1, 0, 0), "{}", at_risk.2);
    assert!(at_risk.2.contains("type=\"no-keepalive\""), "{}", at_risk.2);
}

#[test]
fn what_has_no_verdict_is_no_test() {
    for (line, why) in [
        ("inspect -o junit", "add --survives"),
        (
            "inspect --survives 5m --watch 1s -o junit",
            "take -o ndjson",
        ),
        (
            "lab -o junit",
            "-o junit is for kalive probe, hold and inspect",
        ),
        (
            "serve -o junit",
            "-o junit is for kalive probe, hold and inspect",
        ),
    ] {
        let output = run(line);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {errors}");
        assert!(errors.contains(why), "{line}: {errors}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

/// Else a CI job has an empty file and no word of why.
#[test]
fn what_could_not_be_measured_is_a_test_with_an_error() {
    let nowhere = tempfile::tempdir().unwrap();
    let proc = nowhere.path().display();
    for line in [
        String::from("probe no-such-host.invalid:1"),
        String::from("hold no-such-host.invalid:1"),
        format!("inspect --survives 5m --proc {proc}"),
    ] {
        let output = run(&format!("{line} -o junit"));
        assert_eq!(output.status.code(), Some(2), "{line}");
        let document = text(&output.stdout);
        let counts = junit::checked(&document);
        assert_eq!((counts.tests, counts.errors), (1, 1), "{document}");
        let errors = text(&output.stderr);
        assert!(errors.starts_with("kalive: "), "{errors}");
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_an_error_at_once() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let target = listener.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let wrong = [
        directory.path().join("no/such.svg"),
        directory.path().into(),
    ];
    for path in wrong {
        for command in ["hold", "probe"] {
            let started = Instant::now();
            let line = format!("{command} {target} --svg {}", path.display());
            let output = run(&line);
            assert_eq!(output.status.code(), Some(2), "{line}");
            assert!(text(&output.stderr).contains("such.svg") || path.is_dir());
            assert!(output.stdout.is_empty(), "{line}");
            assert!(started.elapsed() < Duration::from_secs(3), "{line}");
        }
    }
    // Nobody was even connected to.
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

/// A run that is interrupted once it has connected.
fn interrupted(line: &str, listener: &TcpListener) -> (Option<i32>, String) {
    let mut command = kalive();
    command.args(line.split_whitespace()).stdout(Stdio::piped());
    let child: Child = command.spawn().unwrap();
    let _connection = listener.accept().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout))
}

#[test]
fn an_interrupted_run_has_its_documents() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["hold", "probe --rounds 0"] {
        let listener = listener(Ipv4Addr::LOCALHOST);
        let target = listener.local_addr().unwrap();
        let path = directory.path().join("picture.svg");
        let line = format!("{command} {target} --svg {} -o junit", path.display());
        let (code, document) = interrupted(&line, &listener);
        assert_eq!(code, Some(130), "{line}: {document}");
        let counts = junit::checked(&document);
        assert!(counts.errors > 0, "{document}");
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

//! What `kalive probe`, `hold`, `serve` and `lab` print on real networks is what schemas/ says.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod namespaces;
#[cfg(test)]
#[path = "common/schema.rs"]
mod schemas;

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use kalive::lab::{Behaviour, Change, FarEnd, Lab, NatTimeout, Path, Plan, SERVER, servers};
use namespaces::in_lab_user_namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::Checker;
use serde_json::Value;

fn lab(nat_timeout: u64, far_end: FarEnd) -> Lab {
    let behaviour = Behaviour {
        nat_timeout: NatTimeout::new(Duration::from_secs(nat_timeout)).unwrap(),
        ..Behaviour::default()
    };
    Lab::build(&Plan { behaviour, far_end }).unwrap()
}

fn kalive(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
    command
        .args(line.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A run at the lab's client.
fn spawn(lab: &Lab, line: &str) -> Child {
    let mut command = kalive(line);
    lab.client().adopt(&mut command).unwrap();
    command.spawn().unwrap()
}

fn run(lab: &Lab, line: &str) -> Output {
    spawn(lab, line).wait_with_output().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// The document of a run that ends with this code.
#[track_caller]
fn document(checker: &Checker, output: &Output, code: i32) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    checker.check(&document);
    document
}

/// Reads on, checking each line, until `event` has come and `then` was done; to the end.
fn lines(checker: &Checker, child: &mut Child, event: &str, then: impl FnOnce(&Child)) -> Value {
    let mut then = Some(then);
    let mut last = Value::Null;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
        checker.check(&last);
        if last["event"] == event
            && let Some(then) = then.take()
        {
            then(child);
        }
    }
    assert!(then.is_none(), "no {event}");
    assert_eq!(last["event"], "report");
    last
}

/// Each target's outcome.
fn outcomes(document: &Value) -> Vec<&str> {
    let targets = document["targets"].as_array().unwrap().iter();
    let outcomes = targets.map(|target| target["outcome"].as_str().unwrap_or("null"));
    outcomes.collect()
}

#[test]
fn probe_prints_what_its_schema_says() {
    in_lab_user_namespace(|| {
        let lab = lab(600, FarEnd::Echo);
        let checker = Checker::new("probe");
        let [v4, v6] = servers();
        let nobody = "no-such-host.invalid:1";
        for (line, outcome, code) in [
            (format!("{v4} {v6} --idle 1s --rounds 1"), "alive", 0),
            (format!("{SERVER}:9"), "refused", 1),
            (
                format!("{v4} --send x --expect x --heartbeat 200ms --rounds 2"),
                "alive",
                0,
            ),
            (
                format!("{v4} --send x --expect y --heartbeat 200ms"),
                "unresponsive",
                1,
            ),
            (format!("{v4} --in-flight --rounds 1"), "alive", 0),
            (format!("{v4} --system --for 100ms"), "alive", 0),
            (nobody.to_owned(), "null", 2),
        ] {
            let report = document(&checker, &run(&lab, &format!("probe {line} -o json")), code);
            assert!(
                outcomes(&report).iter().all(|found| *found == outcome),
                "{report}"
            );
            assert_eq!(report["complete"], true);
            let output = run(&lab, &format!("probe {line} -o ndjson"));
            checker.check_lines(&output.stdout);
        }

        let mut interrupted = spawn(&lab, &format!("probe {v6} -o ndjson"));
        let report = lines(&checker, &mut interrupted, "connected", |child| {
            signal(child, Signal::SIGINT);
        });
        assert_eq!(outcomes(&report), ["interrupted"]);
        assert_eq!(report["complete"], false);

        let line =
            format!("probe {v4} {v6} --idle 1s --interval 1s --count 1 --rounds 0 -o ndjson");
        let mut dying = spawn(&lab, &line);
        let report = lines(&checker, &mut dying, "round", |_| {
            lab.change(Change::Path(Path::Cut)).unwrap();
        });
        assert_eq!(outcomes(&report), ["timed-out"; 2]);
        assert!(checker.assert_teeth(&report) > 40);
        checker.assert_seen(&[
            "document",
            "unmeasured",
            "failed",
            "connected",
            "round",
            "ended",
            "report",
        ]);
    });
}

/// One name without an address does not keep the others from being measured: a negative answer says more than that.
#[test]
fn a_target_without_an_address_leaves_the_others_alone() {
    in_lab_user_namespace(|| {
        let lab = lab(600, FarEnd::Echo);
        let checker = Checker::new("probe");
        let alive = servers()[0];
        let probed = |targets: &str, code| {
            let line = format!("probe {targets} --idle 1s --rounds 1 -o json");
            document(&checker, &run(&lab, &line), code)
        };
        let report = probed(&format!("no-such-host.invalid:1 {alive}"), 2);
        assert_eq!(outcomes(&report), ["null", "alive"]);
        let unknown = &report["targets"][0];
        let why = unknown["outcome_unknown"].as_str().unwrap();
        assert!(why.starts_with("resolving no-such-host.invalid"), "{why}");
        assert!(report["targets"][1].get("outcome_unknown").is_none());

        let report = probed(&format!("no-such-host.invalid:1 {alive} {SERVER}:9"), 1);
        assert_eq!(outcomes(&report), ["null", "alive", "refused"]);

        let output = run(
            &lab,
            &format!("probe {alive} no-such-host.invalid:1 --for 10ms"),
        );
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(
            table.contains("no-such-host.invalid:1: not probed: resolving"),
            "{table}"
        );
        assert!(String::from_utf8_lossy(&output.stderr).contains("resolving no-such-host.invalid"));
        assert_eq!(output.status.code(), Some(2));
    });
}

#[test]
fn hold_and_its_record_are_as_the_schema_says() {
    in_lab_user_namespace(|| {
        let lab = lab(6, FarEnd::Serve);
        let checker = Checker::new("hold");
        let server = servers()[0];
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("record.ndjson");
        let line = format!(
            "hold {server} --max 8s --verify 1s -o ndjson --record {}",
            record.display()
        );
        let output = run(&lab, &line);
        let printed = checker.check_lines(&output.stdout);
        assert_eq!(
            checker.check_lines(&std::fs::read(record).unwrap()),
            printed
        );
        let report = printed.last().unwrap();
        assert_eq!(report["complete"], true);
        assert!(report["recommendation"].is_object(), "{report}");
        assert!(report.get("recommendation_unknown").is_none(), "{report}");
        assert!(checker.assert_teeth(report) > 40);

        let mut interrupted = spawn(&lab, &format!("hold {server} --max 60s -o ndjson"));
        let report = lines(&checker, &mut interrupted, "sample", |child| {
            signal(child, Signal::SIGTERM);
        });
        assert_eq!(report["complete"], false);
        for found in report["directions"].as_array().unwrap() {
            assert_eq!(
                found["expiry_unknown"], "the run was interrupted",
                "{report}"
            );
        }
        assert_eq!(report["recommendation_unknown"], "the run was interrupted");

        let mut cut = spawn(
            &lab,
            &format!("hold {server} --max 30s --direction outbound -o ndjson"),
        );
        let report = lines(&checker, &mut cut, "sample", |_| {
            lab.change(Change::Path(Path::Cut)).unwrap();
        });
        assert!(report["inconclusive"].is_string(), "{report}");
        assert_eq!(
            report["directions"][0]["expiry_unknown"],
            report["inconclusive"]
        );
        checker.assert_seen(&[
            "connected",
            "pass",
            "sample",
            "keeper",
            "control-lost",
            "inconclusive",
            "done",
            "report",
        ]);

        let refused = format!("hold {SERVER}:9 --max 2s -o json");
        let output = run(&lab, &refused);
        assert_eq!(output.status.code(), Some(2));
    });
}

#[test]
fn serve_prints_what_its_schema_says() {
    in_lab_user_namespace(|| {
        let lab = lab(600, FarEnd::Nothing);
        let checker = Checker::new("serve");
        let mut server = spawn(&lab, "serve --listen 127.0.0.1:7117 -o ndjson");
        let report = lines(&checker, &mut server, "listening", |server| {
            let held = run(&lab, "hold 127.0.0.1:7117 --max 2s -o json");
            document(&Checker::new("hold"), &held, 0);
            signal(server, Signal::SIGTERM);
        });
        assert_eq!(report["complete"], false, "a signal has ended it");
        assert!(report["sessions"].as_u64() > Some(1), "{report}");
        assert!(checker.assert_teeth(&report) > 10);

        let line = "serve --listen 127.0.0.1:7117 --allow 192.0.2.0/24 -o ndjson";
        let mut server = spawn(&lab, line);
        lines(&checker, &mut server, "listening", |server| {
            let stranger = || TcpStream::connect("127.0.0.1:7117").unwrap();
            let refused = lab.client().run(stranger).unwrap();
            let closed = std::io::Read::read(&mut &refused, &mut [0]);
            assert!(matches!(closed, Ok(0) | Err(_)));
            signal(server, Signal::SIGINT);
        });
        checker.assert_seen(&[
            "listening",
            "accepted",
            "refused",
            "spoke",
            "ended",
            "report",
        ]);

        let mut server = spawn(&lab, "serve --listen 127.0.0.1:7117 -o json");
        // It says nothing before its end: that it listens shows when it accepts.
        let accepted = || {
            std::iter::repeat_with(|| TcpStream::connect("127.0.0.1:7117").is_ok())
                .take(1_000)
                .any(|accepted| {
                    std::thread::sleep(Duration::from_millis(if accepted { 0 } else { 5 }));
                    accepted
                })
        };
        assert!(lab.client().run(accepted).unwrap());
        signal(&server, Signal::SIGTERM);
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut server.stdout.take().unwrap(), &mut text).unwrap();
        checker.check(&serde_json::from_slice(&text).unwrap());
        assert_eq!(server.wait().unwrap().code(), Some(143));
    });
}

#[test]
fn lab_prints_what_its_schema_says() {
    in_lab_user_namespace(|| {
        let checker = Checker::new("lab");
        let output = kalive("lab --nat-timeout 2s -o ndjson").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        for line in checker.check_lines(&output.stdout) {
            assert!(checker.assert_teeth(&line) > 4);
        }
        let line = "lab --nat-timeout 1s --cut-after 500ms -o ndjson";
        checker.check_lines(&kalive(line).output().unwrap().stdout);
        let line = "lab --nat-timeout 1s --cut-after 500ms -o json";
        document(&checker, &kalive(line).output().unwrap(), 0);
        checker.assert_seen(&checker.names());
    });
}

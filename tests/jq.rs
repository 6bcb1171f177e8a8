//! The jq lines of the manual pages answer their questions, from what kalive really prints.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says when it is skipped"
)]

mod common;
#[cfg(test)]
#[path = "common/lab.rs"]
mod namespaces;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Connection, listener, run};
use kalive::generate::{Jq, jq_examples};
use kalive::lab::{Behaviour, FarEnd, Lab, NatTimeout, Plan, servers};
use namespaces::in_lab_user_namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};

/// What jq says; `None` without jq.
fn jq(example: &Jq, input: &[u8]) -> Option<String> {
    let mut jq = Command::new("jq");
    jq.args(example.options.split_whitespace())
        .arg(example.filter)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut jq) = jq.spawn() else {
        println!("skipped: jq is not installed");
        return None;
    };
    jq.stdin.take().unwrap().write_all(input).unwrap();
    let output = jq.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example:?}: {errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Each line of a subcommand answers from what `print` gives for its command, and with something.
fn all_answer(subcommand: &str, mut print: impl FnMut(&str) -> Vec<u8>) -> Option<Vec<String>> {
    let examples = jq_examples(subcommand);
    assert!(!examples.is_empty(), "{subcommand}");
    let mut answers = Vec::new();
    for example in examples {
        let printed = print(example.command);
        let answer = jq(example, &printed)?;
        let said = answer
            .lines()
            .any(|line| !line.trim().is_empty() && line != "null");
        assert!(
            said,
            "{} {}: nothing\n{}",
            example.command,
            example.filter,
            String::from_utf8_lossy(&printed)
        );
        answers.push(answer);
    }
    Some(answers)
}

#[test]
fn inspect() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let plain = Connection::to(&listener);
    let own = Connection::to(&listener);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(77));
    SockRef::from(&own.client)
        .set_tcp_keepalive(&keepalive)
        .unwrap();
    // Nobody holds what is left of it, so that its options cannot be read.
    drop(Connection::to(&listener).close_client());
    let peer = listener.local_addr().unwrap();
    let Some(answers) = all_answer("inspect", |command| {
        let arguments = command.strip_prefix("kalive ").unwrap();
        let output = run(&format!("{arguments} --state all --peer {peer}"));
        assert!(output.status.code() < Some(2), "{command}");
        output.stdout
    }) else {
        return;
    };
    let all = answers.concat();
    let plain = plain.client_address().to_string();
    assert!(
        answers.iter().any(|answer| answer.contains(&plain)),
        "{all}"
    );
    assert!(
        all.contains(&format!("[\"{}\"", own.client_address())),
        "{all}"
    );
    assert!(all.contains("\"no-keepalive\""), "{all}");
    assert!(
        all.contains("no process holds the socket any more"),
        "{all}"
    );
}

/// A lab whose router forgets after so many seconds.
fn lab(nat_timeout: u64) -> Lab {
    let behaviour = Behaviour {
        nat_timeout: NatTimeout::new(Duration::from_secs(nat_timeout)).unwrap(),
        ..Behaviour::default()
    };
    let far_end = FarEnd::Serve;
    Lab::build(&Plan { behaviour, far_end }).unwrap()
}

/// What kalive prints at the lab's client.
fn at_client(lab: &Lab, arguments: &str) -> Vec<u8> {
    let mut command = common::kalive();
    command
        .args(arguments.split_whitespace())
        .stdout(Stdio::piped());
    lab.client().adopt(&mut command).unwrap();
    command.spawn().unwrap().wait_with_output().unwrap().stdout
}

#[test]
fn probe() {
    in_lab_user_namespace(|| {
        let lab = lab(2);
        let [v4, v6] = servers();
        let dead = format!(
            "{v4} {v6} no-such-host.invalid:1 --idle 3s --interval 1s --count 1 --rounds 0"
        );
        let alive = format!("{v4} {v6} --idle 1s --interval 1s --rounds 2");
        let events = at_client(&lab, &format!("probe {dead} -o ndjson"));
        let document = at_client(&lab, &format!("probe {dead} -o json"));
        let rounds = at_client(&lab, &format!("probe {alive} -o json"));
        let Some(answers) = all_answer("probe", |command| {
            if command.ends_with("ndjson") {
                events.clone()
            } else if command.contains("--rounds 10") {
                rounds.clone()
            } else {
                document.clone()
            }
        }) else {
            return;
        };
        let all = answers.concat();
        assert!(all.contains("\ttimed-out\tETIMEDOUT\t"), "{all}");
        assert!(all.contains("\tresolving no-such-host.invalid"), "{all}");
    });
}

#[test]
fn hold() {
    in_lab_user_namespace(|| {
        let lab = lab(6);
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("run.ndjson");
        let server = servers()[0];
        let line = format!(
            "hold {server} --max 8s -o json --record {}",
            record.display()
        );
        let document = at_client(&lab, &line);
        let Some(answers) = all_answer("hold", |command| {
            if command.starts_with("cat ") {
                std::fs::read(&record).unwrap()
            } else {
                document.clone()
            }
        }) else {
            return;
        };
        let all = answers.concat();
        assert!(all.contains("outbound\tsilent\t"), "{all}");
        assert!(all.contains("net.ipv4.tcp_keepalive_time = "), "{all}");
    });
}

#[test]
fn lab_of_kalive() {
    in_lab_user_namespace(|| {
        let document = run("lab --nat-timeout 3s -o json").stdout;
        let Some(answers) = all_answer("lab", |_| document.clone()) else {
            return;
        };
        let all = answers.concat();
        assert!(all.contains("hold, outbound\tforgets after 3s\t"), "{all}");
        assert!(all.contains("\"keepalive\":[\"alive\"]"), "{all}");
    });
}

#[test]
fn serve() {
    let mut server = common::kalive()
        .args(["serve", "--listen", "127.0.0.1:0", "--max-sessions", "1"])
        .args(["-o", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut printed = Vec::new();
    let mut held = Vec::new();
    for line in BufReader::new(server.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        printed.extend(line.into_bytes());
        printed.push(b'\n');
        match event["event"].as_str().unwrap() {
            "listening" => {
                let address: SocketAddr = event["address"].as_str().unwrap().parse().unwrap();
                held.extend([0; 2].map(|_| TcpStream::connect(address).unwrap()));
            }
            "refused" => held.clear(),
            "ended" => {
                let pid = Pid::from_raw(server.id().try_into().unwrap());
                kill(pid, Signal::SIGTERM).unwrap();
            }
            _ => {}
        }
    }
    server.wait().unwrap();
    let Some(answers) = all_answer("serve", |_| printed.clone()) else {
        return;
    };
    assert!(answers.concat().contains(" max-sessions\n"), "{answers:?}");
}

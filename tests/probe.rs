//! `kalive probe` on real networks whose truth is known: every outcome, over IPv4 and IPv6 at once.
//!
//! Ends are checked as the kernel promises them: never before the earliest moment, and after the latest one by
//! less than another probe would take, which is what being woken on a busy machine is allowed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod namespaces;

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use kalive::lab::{
    Behaviour, Change, FarEnd, Lab, Loss, NatTimeout, OnExpiry, Path, Plan, ROUTER_INSIDE,
    ROUTER_INSIDE6, servers,
};
use namespaces::in_lab_user_namespace;
use serde_json::Value;

fn lab(behaviour: Behaviour, far_end: FarEnd) -> Lab {
    Lab::build(&Plan { behaviour, far_end }).unwrap()
}

fn echo_lab() -> Lab {
    lab(Behaviour::default(), FarEnd::Echo)
}

/// Both addresses of the lab's server.
fn both() -> String {
    servers().map(|server| server.to_string()).join(" ")
}

/// A probe that runs in the lab's client.
struct Probe {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Probe {
    fn start(lab: &Lab, line: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
        command
            .args(["probe", "-o", "ndjson"])
            .args(line.split_whitespace());
        command.stdout(Stdio::piped());
        lab.client().adopt(&mut command).unwrap();
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn next(&mut self) -> Option<Value> {
        Some(serde_json::from_str(&self.lines.next()?.unwrap()).unwrap())
    }

    /// Reads on until `count` more such events have come.
    fn wait_for(&mut self, event: &str, count: usize) {
        let mut left = count;
        while left > 0 {
            let next = self
                .next()
                .unwrap_or_else(|| panic!("ended before {event}"));
            left -= usize::from(next["event"] == event);
        }
    }

    fn connected(mut self) -> Self {
        self.wait_for("connected", 2);
        self
    }

    /// The targets of the report, and the exit code.
    fn finish(mut self) -> (Vec<Value>, i32) {
        let mut last = Value::Null;
        while let Some(event) = self.next() {
            last = event;
        }
        assert_eq!(last["event"], "report", "{last}");
        assert_eq!(last["schema"], "kalive.probe/1");
        let code = self.child.wait().unwrap().code().unwrap();
        (last["targets"].as_array().unwrap().clone(), code)
    }
}

fn seconds(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number of seconds"))
}

/// The end lies in the window that was predicted.
fn assert_as_predicted(target: &Value, nominal: f64) {
    let (after, predicted) = (seconds(&target["after_s"]), &target["predicted"]);
    // Two ticks of reading at 100 Hz. All intervals here are of a second: another probe would be told apart.
    assert!(
        after >= seconds(&predicted["earliest_s"]) - 0.02,
        "early: {target}"
    );
    assert!(
        after <= seconds(&predicted["latest_s"]) + 0.9,
        "late: {target}"
    );
    assert!(
        (seconds(&predicted["nominal_s"]) - nominal).abs() < 1e-6,
        "{target}"
    );
}

fn outcomes(targets: &[Value]) -> Vec<(&str, Option<&str>, &str)> {
    let text = |value: &Value| -> &'static str { value.as_str().unwrap().to_owned().leak() };
    targets
        .iter()
        .map(|target| {
            let errno = (!target["errno"].is_null()).then(|| text(&target["errno"]));
            (text(&target["outcome"]), errno, text(&target["phase"]))
        })
        .collect()
}

fn unanswered(target: &Value) -> usize {
    let rounds = target["rounds"].as_array().unwrap();
    rounds
        .iter()
        .filter(|round| round["answered"] == false)
        .count()
}

#[test]
fn a_healthy_peer_is_alive() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let (targets, code) =
            Probe::start(&lab, &format!("{} --idle 1s --rounds 2", both())).finish();
        assert_eq!(outcomes(&targets), [("alive", None, "idle"); 2]);
        assert_eq!(code, 0);
        for target in targets {
            let rounds = target["rounds"].as_array().unwrap();
            assert_eq!(rounds.len(), 2, "{target}");
            for (number, round) in (1_u32..).zip(rounds) {
                assert_eq!(round["kind"], "keepalive");
                assert_eq!(round["answered"], true);
                let nominal = f64::from(number);
                assert!(seconds(&round["at_s"]) >= nominal - 0.02, "early: {target}");
            }
            assert_eq!(target["options"]["idle_s"], 1.0);
            assert_eq!(target["options"]["origin"]["idle"], "socket");
        }
    });
}

/// Without USER_TIMEOUT, and with one below the first probe, between the probes and beyond the count.
#[test]
fn a_path_that_is_cut_while_idle_times_out() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let cases = [
            ("off", 4.0, 2),
            ("500ms", 3.0, 1),
            ("3500ms", 4.0, 2),
            ("4900ms", 5.0, 3),
        ];
        let probes = cases.map(|(user_timeout, ..)| {
            let options =
                format!("--idle 2s --interval 1s --count 2 --user-timeout {user_timeout}");
            Probe::start(&lab, &format!("{} {options} --rounds 0", both())).connected()
        });
        lab.change(Change::Path(Path::Cut)).unwrap();
        for (probe, (user_timeout, nominal, lost)) in probes.into_iter().zip(cases) {
            let (targets, code) = probe.finish();
            assert_eq!(
                outcomes(&targets),
                [("timed-out", Some("ETIMEDOUT"), "idle"); 2]
            );
            assert_eq!(code, 1);
            for target in &targets {
                assert_as_predicted(target, nominal);
                assert_eq!(unanswered(target), lost, "{user_timeout}: {target}");
            }
        }
    });
}

/// An ICMP error that answers a keepalive probe is ignored by the kernel, and that is told.
#[test]
fn an_unreachable_host_while_idle_times_out_all_the_same() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let line = format!(
            "{} --idle 1s --interval 1s --count 2 --rounds 0 --require timed-out",
            both()
        );
        let probe = Probe::start(&lab, &line).connected();
        lab.change(Change::Path(Path::Unreachable)).unwrap();
        let (targets, code) = probe.finish();
        assert_eq!(
            outcomes(&targets),
            [("timed-out", Some("ETIMEDOUT"), "idle"); 2]
        );
        assert_eq!(code, 0, "it is what was required");
        for target in &targets {
            assert_as_predicted(target, 3.0);
            let ignored = target["netstat"]["OutOfWindowIcmps"].as_u64().unwrap();
            assert!(ignored >= 2, "{target}");
            let explanation = target["explanation"].as_str().unwrap();
            assert!(
                explanation
                    .contains("ICMP errors arrived in this network namespace and were ignored")
            );
        }
    });
}

#[test]
fn an_unreachable_host_with_data_in_flight_is_told_at_the_end_or_at_once() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let line = format!("{} --in-flight --user-timeout 3s --rounds 0", both());
        let mut patient = Probe::start(&lab, &line);
        let mut eager = Probe::start(&lab, &format!("{line} --icmp-errors --require unreachable"));
        for probe in [&mut patient, &mut eager] {
            // The first datum of each has been acknowledged: the path is known to work.
            probe.wait_for("round", 2);
        }
        lab.change(Change::Path(Path::Unreachable)).unwrap();

        let (targets, code) = patient.finish();
        assert_eq!(
            outcomes(&targets),
            [("unreachable", Some("EHOSTUNREACH"), "in-flight"); 2]
        );
        assert_eq!(code, 1);
        for target in &targets {
            assert_eq!(target["predicted"]["rule"], "retransmission-user-timeout");
            assert_eq!(target["within_prediction"], true, "{target}");
            assert_eq!(target["still_established"], false);
        }
        let (targets, code) = eager.finish();
        assert_eq!(
            outcomes(&targets),
            [("unreachable", Some("EHOSTUNREACH"), "in-flight"); 2]
        );
        assert_eq!(code, 0);
        for target in &targets {
            assert_eq!(
                target["still_established"], true,
                "the kernel would go on trying"
            );
            assert!(seconds(&target["after_s"]) < 3.0, "{target}");
        }
    });
}

#[test]
fn a_rebooted_peer_resets_at_the_first_probe() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let line = format!("{} --idle 2s --rounds 0 --require reset", both());
        let probe = Probe::start(&lab, &line).connected();
        lab.change(Change::RebootPeer).unwrap();
        let (targets, code) = probe.finish();
        assert_eq!(
            outcomes(&targets),
            [("reset", Some("ECONNRESET"), "idle"); 2]
        );
        assert_eq!(code, 0);
        for target in &targets {
            assert!(
                seconds(&target["after_s"]) >= 2.0 - 0.02,
                "not before the probe: {target}"
            );
        }
    });
}

#[test]
fn a_nat_that_has_forgotten_drops_or_resets() {
    in_lab_user_namespace(|| {
        let behaviour = |on_expiry| Behaviour {
            nat_timeout: NatTimeout::new(Duration::from_secs(2)).unwrap(),
            on_expiry,
            ..Behaviour::default()
        };
        let labs = [OnExpiry::Drop, OnExpiry::Reset]
            .map(|on_expiry| lab(behaviour(on_expiry), FarEnd::Echo));
        let line = format!("{} --idle 4s --interval 1s --count 2 --rounds 0", both());
        let [dropping, resetting] = labs.each_ref().map(|lab| Probe::start(lab, &line));
        let (targets, _) = dropping.finish();
        assert_eq!(
            outcomes(&targets),
            [("timed-out", Some("ETIMEDOUT"), "idle"); 2]
        );
        for target in targets {
            assert_as_predicted(&target, 6.0);
        }
        let (targets, _) = resetting.finish();
        assert_eq!(
            outcomes(&targets),
            [("reset", Some("ECONNRESET"), "idle"); 2]
        );
    });
}

/// A server of the test's own in the lab, for both families.
fn serve<T>(lab: &Lab, serve: impl FnOnce(TcpListener) -> T) -> T {
    let address = (Ipv6Addr::UNSPECIFIED, servers()[0].port());
    serve(
        lab.server()
            .run(|| TcpListener::bind(address).unwrap())
            .unwrap(),
    )
}

#[test]
fn what_the_peer_says_at_the_end_is_told() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default(), FarEnd::Nothing);
        serve(&lab, |listener| {
            for (linger, expected) in [
                (None, ("closed", None, "idle")),
                (Some(Duration::ZERO), ("reset", Some("ECONNRESET"), "idle")),
            ] {
                let mut probe = Probe::start(&lab, &format!("{} --rounds 0", both()));
                let accepted = [listener.accept().unwrap().0, listener.accept().unwrap().0];
                probe.wait_for("connected", 2);
                for connection in accepted {
                    // With a linger time of zero closing sends a RST.
                    socket2::SockRef::from(&connection)
                        .set_linger(linger)
                        .unwrap();
                }
                let (targets, code) = probe.finish();
                assert_eq!(outcomes(&targets), [expected; 2]);
                assert_eq!(code, 1);
            }
        });
    });
}

/// A keepalive probe is lost, then a heartbeat is sent: from then on it is data in flight that counts.
#[test]
fn a_heartbeat_after_a_lost_probe_is_data_in_flight() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let options = "--idle 1s --interval 1s --user-timeout 1600ms --rounds 0";
        let beats = "--send PING --expect PING --heartbeat 2s";
        let mut probe = Probe::start(&lab, &format!("{} {options} {beats}", both()));
        probe.wait_for("round", 2);
        lab.change(Change::Path(Path::Cut)).unwrap();
        let (targets, _) = probe.finish();
        assert_eq!(
            outcomes(&targets),
            [("timed-out", Some("ETIMEDOUT"), "in-flight"); 2]
        );
        for target in &targets {
            assert_eq!(target["within_prediction"], true, "{target}");
        }
    });
}

/// The path is cut: the next heartbeat is not even acknowledged, which is told when its time is over, long
/// before the kernel's verdict.
#[test]
fn an_unacknowledged_heartbeat_is_the_path_or_the_machine() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let options = "--idle 1s --interval 1s --user-timeout 3s --rounds 0";
        let beats = "--send PING --expect PING --heartbeat 1s";
        let mut probe = Probe::start(&lab, &format!("{} {options} {beats}", both()));
        probe.wait_for("round", 2);
        lab.change(Change::Path(Path::Cut)).unwrap();
        let (targets, _) = probe.finish();
        assert_eq!(
            outcomes(&targets),
            [("timed-out", Some("ETIMEDOUT"), "in-flight"); 2]
        );
        for target in &targets {
            let rule = "retransmission-user-timeout";
            assert_eq!(target["predicted_in_flight"]["rule"], rule, "{target}");
            assert_eq!(target["within_prediction"], true, "{target}");
            let rounds = target["rounds"].as_array().unwrap();
            let heartbeats = || rounds.iter().filter(|round| round["kind"] == "heartbeat");
            let overdue: Vec<&Value> = heartbeats()
                .filter(|round| round["answered"] == false)
                .collect();
            assert_eq!(overdue.len(), 1, "{target}");
            assert_eq!(overdue[0]["acknowledged"], false, "{target}");
            assert_eq!(overdue[0]["predicted"]["rule"], rule, "{target}");
            for answered in heartbeats().filter(|round| round["answered"] == true) {
                assert_eq!(answered.get("acknowledged"), None, "{target}");
            }
            let said = target["explanation"].as_str().unwrap();
            assert!(said.starts_with("A heartbeat was unacknowledged"), "{said}");
        }
    });
}

/// The service answers once and then hangs; its kernel goes on answering keepalive probes.
#[test]
fn a_stuck_service_whose_kernel_answers_is_unresponsive() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default(), FarEnd::Nothing);
        serve(&lab, |listener| {
            let line = format!(
                "{} --send PING\\r\\n --expect PONG --heartbeat 3s --idle 1s --rounds 0 --require unresponsive",
                both()
            );
            let probe = Probe::start(&lab, &line);
            let _stuck: Vec<TcpStream> = (0..2)
                .map(|_| {
                    let (mut connection, _) = listener.accept().unwrap();
                    let mut request = [0; 6];
                    connection.read_exact(&mut request).unwrap();
                    assert_eq!(&request, b"PING\r\n");
                    connection.write_all(b"+PONG\r\n").unwrap();
                    connection
                })
                .collect();
            let (targets, code) = probe.finish();
            assert_eq!(outcomes(&targets), [("unresponsive", None, "idle"); 2]);
            assert_eq!(code, 0);
            for target in &targets {
                assert!(seconds(&target["after_s"]) >= 3.0, "{target}");
                let kinds = |kind: &str, answered: bool| {
                    let rounds = target["rounds"].as_array().unwrap();
                    rounds
                        .iter()
                        .filter(|round| round["kind"] == kind && round["answered"] == answered)
                        .count()
                };
                assert_eq!(kinds("heartbeat", true), 1, "{target}");
                assert_eq!(kinds("heartbeat", false), 1, "{target}");
                let rounds = target["rounds"].as_array().unwrap();
                let overdue = rounds
                    .iter()
                    .find(|round| round["kind"] == "heartbeat" && round["answered"] == false);
                assert_eq!(overdue.unwrap()["acknowledged"], true, "{target}");
                assert!(
                    kinds("keepalive", true) >= 2,
                    "the kernel answered meanwhile: {target}"
                );
            }
        });
    });
}

#[test]
fn connecting_is_part_of_the_answer() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let [v4, v6] = servers();
        let closed = format!("{}:1 [{}]:1", v4.ip(), v6.ip());
        let (targets, code) = Probe::start(&lab, &format!("{closed} --require refused")).finish();
        assert_eq!(
            outcomes(&targets),
            [("refused", Some("ECONNREFUSED"), "connect"); 2]
        );
        assert_eq!(code, 0);

        lab.change(Change::Path(Path::Unreachable)).unwrap();
        let (targets, code) = Probe::start(&lab, &both()).finish();
        assert_eq!(
            outcomes(&targets),
            [("unreachable", Some("EHOSTUNREACH"), "connect"); 2]
        );
        assert_eq!(code, 1);
        for (target, router) in targets
            .iter()
            .zip([ROUTER_INSIDE.to_string(), ROUTER_INSIDE6.to_string()])
        {
            assert_eq!(target["attempts"][0]["router"], router, "{target}");
            assert!(target["explanation"].as_str().unwrap().contains(&router));
        }

        lab.change(Change::Path(Path::Cut)).unwrap();
        let (targets, _) =
            Probe::start(&lab, &format!("{} --connect-timeout 1500ms", both())).finish();
        assert_eq!(outcomes(&targets), [("timed-out", None, "connect"); 2]);
        for target in &targets {
            let after = seconds(&target["after_s"]);
            // The kernel itself would go on for minutes, kalive without the option for 10 s.
            assert!((1.5..10.0).contains(&after), "{target}");
            assert!(
                target["explanation"]
                    .as_str()
                    .unwrap()
                    .contains("kalive's own limit")
            );
        }
    });
}

/// Every address of a name is tried: the first, of a family that has no way, fails.
#[test]
fn no_way_at_all_is_unreachable() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour::default(), FarEnd::Nothing);
        // Nothing but the lab's own networks has a route in the server's namespace.
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
        command.args(["probe", "203.0.113.1:9", "-o", "json"]);
        lab.router().adopt(&mut command).unwrap();
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["targets"][0]["outcome"], "unreachable");
        assert_eq!(report["targets"][0]["errno"], "ENETUNREACH");
        assert_eq!(output.status.code(), Some(1));
    });
}

#[test]
fn lost_packets_show_as_unanswered_probes_of_a_peer_that_is_alive() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let ten = [both(), both(), both(), both(), both()].join(" ");
        let line = format!("{ten} --idle 1s --interval 1s --count 100 --rounds 3");
        let mut probe = Probe::start(&lab, &line);
        probe.wait_for("connected", 10);
        let loss = Loss::parts_per_million(200_000).unwrap();
        lab.change(Change::LossOutbound(loss)).unwrap();
        lab.change(Change::LossInbound(loss)).unwrap();
        let (targets, code) = probe.finish();
        assert_eq!(outcomes(&targets), [("alive", None, "idle"); 10]);
        assert_eq!(code, 0);
        // That none of 30 probes or answers is lost has a chance of 1 in 650,000.
        let in_vain: usize = targets.iter().map(unanswered).sum();
        assert!(in_vain > 0, "{targets:?}");
        for target in &targets {
            let rounds = target["rounds"].as_array().unwrap();
            assert_eq!(rounds.len() - unanswered(target), 3, "{target}");
            for round in rounds {
                // Null of an answer that was found too late to be timed. Another probe goes out after a second.
                let rtt = &round["rtt_s"];
                let of_its_own = rtt.as_f64().map_or(rtt.is_null(), |rtt| rtt < 1.0);
                assert!(of_its_own, "an answer belongs to its own probe: {target}");
            }
        }
    });
}

#[test]
fn a_signal_ends_with_the_report_so_far() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let mut probe = Probe::start(&lab, &format!("{} --idle 1s --rounds 0", both()));
        probe.wait_for("round", 2);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(probe.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).unwrap();
        let (targets, code) = probe.finish();
        assert_eq!(outcomes(&targets), [("interrupted", None, "idle"); 2]);
        assert_eq!(code, 130);
        assert!(!targets[0]["rounds"].as_array().unwrap().is_empty());
    });
}

#[test]
fn the_systems_values_are_told_as_such() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        // The sysctl directory is that of the network namespace of the thread that opens it.
        let lower = || std::fs::write("/proc/sys/net/ipv4/tcp_keepalive_time", "1");
        lab.client().run(lower).unwrap().unwrap();
        let (targets, code) =
            Probe::start(&lab, &format!("{} --system --for 1500ms", both())).finish();
        assert_eq!(outcomes(&targets), [("alive", None, "idle"); 2]);
        assert_eq!(code, 0);
        for target in &targets {
            let options = &target["options"];
            assert_eq!(options["origin"]["idle"], "sysctl");
            assert_eq!(options["interval_s"], 75.0);
            assert_eq!(options["idle_s"], 1.0);
            assert_eq!(target["rounds"][0]["answered"], true, "{target}");
        }
    });
}

#[test]
fn a_table_tells_the_story() {
    in_lab_user_namespace(|| {
        let lab = echo_lab();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
        command.args([
            "probe",
            &servers()[0].to_string(),
            "--idle",
            "1s",
            "--rounds",
            "1",
        ]);
        command.env_remove("COLUMNS");
        lab.client().adopt(&mut command).unwrap();
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for said in [
            "connected to 198.51.100.2:7117",
            "keepalive: idle 1s, interval 1s, count 5, TCP_USER_TIMEOUT off",
            "a silent peer is noticed after 6.00s, at the latest 6.",
            "keepalive probe answered",
            "The peer answered 1 keepalive probe.",
        ] {
            assert!(text.contains(said), "{said} is not in {text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    });
}

#[test]
fn a_wrong_call_is_told_what_is_right() {
    for (line, said) in [
        ("probe", "<TARGET>"),
        ("probe db", "a port is missing: write db:443"),
        (
            "probe 127.0.0.1:1 --idle 1500ms",
            "whole seconds from 1s to 32767s",
        ),
        ("probe 127.0.0.1:1 --idle 5", "a unit is missing: write 5s"),
        ("probe 127.0.0.1:1 --count 128", "it takes 1 to 127"),
        (
            "probe 127.0.0.1:1 --user-timeout 0s",
            "whole milliseconds from 1ms",
        ),
        (
            "probe 127.0.0.1:1 --system --idle 5s",
            "cannot be used with",
        ),
        ("probe 127.0.0.1:1 --expect x", "--send"),
        (
            "probe 127.0.0.1:1 --send @/no/such/file",
            "reading /no/such/file: No such file",
        ),
        (
            "probe 127.0.0.1:1 --send \\q",
            "has a \\ that means nothing",
        ),
        ("probe 127.0.0.1:1 -6", "127.0.0.1 has no IPv6 address"),
        ("probe 127.0.0.1:1 --bind ::1 -4", "not of the family"),
        (
            "probe 127.0.0.1:1 --interface no-such-if",
            "SO_BINDTODEVICE=no-such-if: No such device",
        ),
        (
            "probe 127.0.0.1:1 --bind 192.0.2.77",
            "bind to 192.0.2.77:0: Cannot assign",
        ),
        (
            "probe no-such-host.invalid:1",
            "resolving no-such-host.invalid",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_kalive"))
            .args(line.split(' '))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {errors}");
        assert!(errors.contains(said), "{line}: {errors}");
    }
}

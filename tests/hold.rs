//! `kalive hold` against real NATs and servers, in labs. What a lab really does has to lie inside every
//! bracket that is printed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod common;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::in_lab_user_namespace;
use kalive::lab::{
    Behaviour, Change, FarEnd, Lab, NatTimeout, OnExpiry, Path, Plan, SERVER_PORT, servers,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};

/// conntrack counts whole seconds in jiffies of at most 10 ms, from the last packet in either direction,
/// and looks at the clock when a packet comes: it forgets at its timeout, or a jiffy or two later.
const JIFFIES: f64 = 0.021;
/// After so many passes hold has to do with what it knows.
const PASSES: u32 = 4;
/// Only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn seconds(seconds: u64) -> NatTimeout {
    NatTimeout::new(Duration::from_secs(seconds)).unwrap()
}

fn forgetting(timeout: u64, on_expiry: OnExpiry) -> Behaviour {
    Behaviour {
        nat_timeout: seconds(timeout),
        on_expiry,
        ..Behaviour::default()
    }
}

fn lab(behaviour: Behaviour) -> Lab {
    let far_end = FarEnd::Serve;
    Lab::build(&Plan { behaviour, far_end }).unwrap()
}

/// What a run has printed, and its exit code.
struct Ran {
    code: Option<i32>,
    report: Value,
    errors: String,
}

impl Ran {
    fn direction(&self, name: &str) -> &Value {
        let directions = self.report["directions"].as_array();
        let found = directions.and_then(|all| all.iter().find(|one| one["direction"] == name));
        found.unwrap_or_else(|| panic!("no {name}: {}\n{}", self.report, self.errors))
    }

    /// The truth lies inside the bracket, which is no wider than this, unless the run could not speak in time:
    /// all its passes are used up then, or an answer came only after another try, as after a loss.
    fn brackets(&self, direction: &str, truth: f64, width: f64) {
        self.brackets_range(direction, truth..=truth, width);
    }

    /// The same for what is known to lie in a range.
    fn brackets_range(&self, direction: &str, truth: RangeInclusive<f64>, width: f64) {
        let found = self.direction(direction);
        let bound = |name| found["timeout"][name].as_f64();
        let (Some(lower), Some(upper)) = (bound("lower_s"), bound("upper_s")) else {
            panic!("no bracket: {}\n{}", self.report, self.errors);
        };
        assert!(
            lower <= truth.end() + JIFFIES,
            "{lower} > {truth:?}: {}",
            self.report
        );
        // The box counts in ticks too, and the one in which the last packet came counts as whole.
        assert!(
            upper >= truth.start() - JIFFIES,
            "{upper} < {truth:?}: {}",
            self.report
        );
        let mut samples = found["samples"].as_array().unwrap().iter();
        let tried_again =
            samples.any(|one| one["result"] == "answered" && one["tries"].as_u64() > Some(1));
        let late = found["passes"] == PASSES || tried_again;
        assert!(
            upper - lower <= width || late,
            "{lower} to {upper}: {}",
            self.report
        );
    }

    fn expiry(&self, direction: &str) -> &Value {
        &self.direction(direction)["expiry"]
    }
}

/// `kalive hold` at the lab's client.
fn command(lab: &Lab, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
    command
        .arg("hold")
        .args(line.split_whitespace())
        .args(["-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    lab.client().adopt(&mut command).unwrap();
    command
}

fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran {
        code: output.status.code(),
        report: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
        errors,
    }
}

fn hold(lab: &Lab, line: &str) -> Ran {
    finish(command(lab, line).spawn().unwrap())
}

/// Waits until some silences have been answered: the file is written as things happen.
fn wait_for_answers(record: &std::path::Path) {
    let start = Instant::now();
    let recorded = || std::fs::read_to_string(record).unwrap_or_default();
    while recorded().matches("\"answered\"").count() < 4 {
        assert!(start.elapsed() < PATIENCE, "{}", recorded());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs all of them at once: most of the time each is silent.
fn together(tests: Vec<Box<dyn FnOnce() + Send>>) {
    thread::scope(|scope| {
        let threads: Vec<_> = tests.into_iter().map(|test| scope.spawn(test)).collect();
        for thread in threads {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

macro_rules! together {
    ($($test:expr),+ $(,)?) => { together(vec![$(Box::new(move || $test)),+]) };
}

#[test]
fn what_a_nat_does_is_measured_in_both_directions() {
    in_lab_user_namespace(|| {
        fn measured(on_expiry: OnExpiry, server: SocketAddr, outbound: &str, inbound: &str) {
            let lab = lab(forgetting(3, on_expiry));
            let ran = hold(&lab, &format!("{server} --max 6s --resolution 200ms"));
            assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
            assert_eq!(ran.expiry("outbound"), outbound);
            assert_eq!(ran.expiry("inbound"), inbound);
            if outbound == "none" {
                assert_eq!(ran.direction("outbound")["timeout"], Value::Null);
            } else {
                ran.brackets("outbound", 3.0, 0.2);
            }
            ran.brackets("inbound", 3.0, 0.2);
            assert_eq!(ran.report["control"]["alive"], true);
            assert_eq!(ran.report["complete"], true);
            assert_eq!(ran.report["schema"], "kalive.hold/1");
        }
        let [v4, v6] = servers();
        together![
            measured(OnExpiry::Drop, v4, "silent", "silent"),
            measured(OnExpiry::Drop, v6, "silent", "silent"),
            measured(OnExpiry::Reset, v4, "reset-on-probe", "reset-on-probe"),
            measured(OnExpiry::Reset, v6, "reset-on-probe", "reset-on-probe"),
            measured(OnExpiry::Forget, v4, "none", "reset-on-probe"),
            measured(OnExpiry::Forget, v6, "none", "reset-on-probe"),
        ];
    });
}

#[test]
fn a_bracket_as_fine_as_the_tick_allows_and_one_as_coarse_as_asked() {
    in_lab_user_namespace(|| {
        fn measured(timeout: u64, options: &str, width: f64) {
            let lab = lab(forgetting(timeout, OnExpiry::Drop));
            let ran = hold(&lab, &format!("{} --max 20s {options}", servers()[0]));
            assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
            let truth = Duration::from_secs(timeout).as_secs_f64();
            ran.brackets("outbound", truth, width);
            ran.brackets("inbound", truth, width);
        }
        together![
            measured(5, "--resolution 100ms", 0.1),
            measured(5, "--resolution 1s", 1.0),
            measured(2, "--resolution 1s", 1.0),
            // So few sessions take more than one pass.
            measured(3, "--resolution 250ms --sessions 16", 0.25),
        ];
    });
}

#[test]
fn loss_widens_the_bracket_and_does_not_falsify_it() {
    in_lab_user_namespace(|| {
        fn measured(loss: &str) {
            let lab = lab(Behaviour {
                loss_outbound: loss.parse().unwrap(),
                loss_inbound: loss.parse().unwrap(),
                ..forgetting(4, OnExpiry::Drop)
            });
            let ran = hold(&lab, &format!("{} --max 8s", servers()[0]));
            // A wrong bracket is a failure. That there is none is honest, but should be rare.
            for direction in ["outbound", "inbound"] {
                if ran.direction(direction)["timeout"].is_null() {
                    println!("no bracket, {direction}, {loss} %: {}", ran.report);
                    assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
                } else {
                    // How wide it is, is up to chance: it must not be wrong.
                    ran.brackets(direction, 4.0, f64::INFINITY);
                }
            }
        }
        together![measured("5"), measured("5"), measured("20"), measured("20")];
    });
}

#[test]
fn a_path_that_does_not_forget_within_max_is_said_to_remember_for_longer() {
    in_lab_user_namespace(|| {
        let lab = lab(forgetting(600, OnExpiry::Drop));
        let server = servers()[0];
        let ran = hold(&lab, &format!("{server} --max 3s --at-least 3s"));
        assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
        for direction in ["outbound", "inbound"] {
            assert_eq!(ran.expiry(direction), "none");
            assert_eq!(ran.direction(direction)["timeout"], Value::Null);
            assert!(ran.direction(direction)["answered_s"].as_f64().unwrap() >= 3.0);
        }
    });
}

#[test]
fn at_least_and_verify_are_answered_by_the_exit_code() {
    in_lab_user_namespace(|| {
        // What is asked lies in a bracket this wide, and the report says so.
        fn untold() {
            let lab = lab(forgetting(3, OnExpiry::Drop));
            let ran = hold(
                &lab,
                &format!("{} --max 6s --resolution 1s --at-least 3s", servers()[0]),
            );
            let explanation = ran.report["explanation"].to_string();
            assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
            assert!(explanation.contains("cannot be told"), "{explanation}");
        }
        fn exits(options: &str, code: i32) {
            let lab = lab(forgetting(3, OnExpiry::Drop));
            let ran = hold(&lab, &format!("{} --max 6s {options}", servers()[0]));
            assert_eq!(
                ran.code,
                Some(code),
                "{options}: {} {}",
                ran.report,
                ran.errors
            );
        }
        together![
            exits("--at-least 2s", 0),
            exits("--at-least 5s", 1),
            exits("--verify 1s,2s", 0),
            exits("--verify 5s", 1),
            untold(),
        ];
    });
}

#[test]
fn a_path_that_is_cut_is_no_timeout() {
    in_lab_user_namespace(|| {
        fn cut(path: Path) {
            let lab = lab(forgetting(600, OnExpiry::Drop));
            let directory = tempfile::tempdir().unwrap();
            let record = directory.path().join("run.ndjson");
            let line = format!("{} --max 30s --record {}", servers()[0], record.display());
            let start = Instant::now();
            let child = command(&lab, &line).spawn().unwrap();
            wait_for_answers(&record);
            lab.change(Change::Path(path)).unwrap();
            let until = start.elapsed().as_secs_f64();
            let ran = finish(child);
            assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
            assert_eq!(ran.direction("outbound")["timeout"], Value::Null);
            assert_eq!(ran.report["control"]["alive"], false);
            assert!(ran.report["inconclusive"].is_string());
            assert!(ran.report["recommendation"].is_null());
            let answered = ran.direction("outbound")["answered_s"].as_f64().unwrap();
            assert!((1.0..until).contains(&answered), "{answered}");
        }
        together![cut(Path::Cut), cut(Path::Unreachable)];
    });
}

#[test]
fn a_peer_that_reboots_is_no_timeout_in_any_direction() {
    in_lab_user_namespace(|| {
        fn rebooted(direction: &str) {
            let lab = lab(forgetting(600, OnExpiry::Drop));
            let line = format!("{} --max 30s --direction {direction}", servers()[0]);
            let child = command(&lab, &line).spawn().unwrap();
            thread::sleep(Duration::from_secs(4));
            lab.change(Change::RebootPeer).unwrap();
            let ran = finish(child);
            assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
            assert_eq!(ran.report["control"]["alive"], false, "{}", ran.report);
            let explanation = ran.report["explanation"].to_string();
            assert!(!explanation.contains("counting"), "{explanation}");
        }
        together![rebooted("outbound"), rebooted("inbound"), rebooted("both")];
    });
}

#[test]
fn keepalives_that_nobody_counts_do_not_hold_the_path() {
    in_lab_user_namespace(|| {
        let lab = lab(Behaviour {
            untracked_keepalives: true,
            ..forgetting(3, OnExpiry::Drop)
        });
        let ran = hold(&lab, &format!("{} --max 6s --verify 1s", servers()[0]));
        assert_eq!(ran.code, Some(1), "{} {}", ran.report, ran.errors);
        ran.brackets("outbound", 3.0, 1.0);
        ran.brackets("inbound", 3.0, 1.0);
        assert_eq!(ran.report["verify"][0]["idle_s"], 1.0);
        assert_eq!(ran.report["verify"][0]["data_ok"], false);
        assert!(ran.report["recommendation"].is_null());
    });
}

/// A server of the test's own in a lab: what it does with a connection runs on a thread of its own.
fn lab_with(
    behaviour: Behaviour,
    mut attend: impl FnMut(TcpStream, usize) + Send + 'static,
) -> Lab {
    let far_end = FarEnd::Nothing;
    let lab = Lab::build(&Plan { behaviour, far_end }).unwrap();
    let listen = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], SERVER_PORT)).into())?;
        // As many as hold opens at once: std's 128 stall on SYN retries.
        socket.listen(4096)?;
        Ok::<_, std::io::Error>(TcpListener::from(socket))
    };
    let listener = lab.server().run(listen).unwrap().unwrap();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            attend(stream.unwrap(), number);
        }
    });
    lab
}

#[test]
fn any_server_will_do() {
    in_lab_user_namespace(|| {
        fn measured(on_expiry: OnExpiry, banner: &'static [u8], expiry: &str) {
            let mut held = Vec::new();
            let lab = lab_with(forgetting(3, on_expiry), move |mut stream, _| {
                stream.write_all(banner).unwrap();
                held.push(stream);
            });
            let ran = hold(
                &lab,
                &format!("{} --max 6s --resolution 500ms", servers()[0]),
            );
            assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
            assert_eq!(ran.expiry("outbound"), expiry);
            ran.brackets("outbound", 3.0, 0.5);
            assert_eq!(ran.report["directions"].as_array().unwrap().len(), 1);
        }
        together![
            measured(OnExpiry::Drop, b"", "silent"),
            measured(OnExpiry::Drop, b"SSH-2.0-test\r\n", "silent"),
            measured(OnExpiry::Reset, b"", "reset-on-probe"),
        ];
    });
}

#[test]
fn a_servers_own_limit_is_named_as_what_it_is() {
    in_lab_user_namespace(|| {
        fn limited(reset: bool, expiry: &str) {
            let age = Duration::from_secs(4);
            let (ended, ages) = std::sync::mpsc::channel();
            let lab = lab_with(forgetting(600, OnExpiry::Drop), move |stream, _| {
                let (accepted, ended) = (Instant::now(), ended.clone());
                thread::spawn(move || {
                    thread::sleep(age);
                    if reset {
                        SockRef::from(&stream)
                            .set_linger(Some(Duration::ZERO))
                            .unwrap();
                    }
                    drop(stream);
                    let _not_read = ended.send(accepted.elapsed().as_secs_f64());
                });
            });
            let ran = hold(&lab, &format!("{} --max 20s", servers()[0]));
            // Sleeping takes a bit longer on a busy machine, and being accepted too.
            let oldest = ages.try_iter().fold(4.0, f64::max);
            let spread = oldest - 4.0;
            assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
            assert_eq!(ran.expiry("outbound"), expiry, "{}", ran.report);
            ran.brackets_range("outbound", 4.0..=oldest, 0.1 + spread);
            assert_eq!(ran.direction("outbound")["counted_from"], "start");
            let explanation = ran.report["explanation"].to_string();
            assert!(!explanation.contains("Only data"), "{explanation}");
            assert!(ran.report["recommendation"].is_null());
        }
        together![
            limited(false, "closed-by-peer"),
            limited(true, "reset-at-expiry")
        ];
    });
}

#[test]
fn a_server_that_is_restarted_is_no_timeout() {
    in_lab_user_namespace(|| {
        let start = Instant::now();
        let lab = lab_with(forgetting(600, OnExpiry::Drop), move |stream, _| {
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(4).saturating_sub(start.elapsed()));
                drop(stream);
            });
        });
        let line = format!("{} --max 20s", servers()[0]);
        let ran = hold(&lab, &line);
        assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
        assert_eq!(ran.direction("outbound")["timeout"], Value::Null);
    });
}

#[test]
fn a_far_end_with_keepalive_of_its_own_is_noticed() {
    in_lab_user_namespace(|| {
        let mut held = Vec::new();
        let lab = lab_with(forgetting(600, OnExpiry::Drop), move |stream, _| {
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(2))
                .with_interval(Duration::from_secs(2));
            SockRef::from(&stream)
                .set_tcp_keepalive(&keepalive)
                .unwrap();
            held.push(stream);
        });
        let ran = hold(&lab, &format!("{} --max 20s", servers()[0]));
        assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
        let outbound = ran.direction("outbound");
        assert_eq!(outbound["timeout"], Value::Null);
        assert!(outbound["inconclusive"].is_string());
        let answered = outbound["answered_s"].as_f64().unwrap();
        assert!((1.0..2.3).contains(&answered), "{answered}");
        let every = ran.report["far_end_speaks_every_s"].as_f64().unwrap();
        assert!((1.7..2.4).contains(&every), "{every}");
    });
}

#[test]
fn a_server_that_refuses_leads_to_a_smaller_plan() {
    in_lab_user_namespace(|| {
        fn refusing(most: usize) -> Ran {
            let (closed, ended) = std::sync::mpsc::channel();
            let mut held = 0;
            let lab = lab_with(forgetting(3, OnExpiry::Drop), move |mut stream, _| {
                held -= ended.try_iter().count();
                if held >= most {
                    return;
                }
                held += 1;
                let closed = closed.clone();
                thread::spawn(move || {
                    let _reset_or_fin = stream.read(&mut [0]);
                    closed.send(()).unwrap();
                });
            });
            hold(&lab, &format!("{} --max 60s", servers()[0]))
        }
        let smaller = || {
            let ran = refusing(30);
            assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
            ran.brackets("outbound", 3.0, 1.0);
            assert!(
                ran.errors.contains("closes further connections"),
                "{}",
                ran.errors
            );
        };
        let none = || {
            let ran = refusing(3);
            assert_eq!(ran.code, Some(2), "{} {}", ran.report, ran.errors);
            assert!(
                ran.report["inconclusive"].is_string(),
                "{} {}",
                ran.report,
                ran.errors
            );
        };
        together![smaller(), none()];
    });
}

#[test]
fn a_limit_of_descriptors_leads_to_a_smaller_plan() {
    in_lab_user_namespace(|| {
        let lab = lab(forgetting(2, OnExpiry::Drop));
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -n 100; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_kalive"))
            .args([
                "hold",
                &servers()[0].to_string(),
                "--max",
                "600s",
                "--direction",
                "outbound",
            ])
            .args(["-o", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        lab.client().adopt(&mut limited).unwrap();
        let ran = finish(limited.spawn().unwrap());
        assert_eq!(ran.code, Some(0), "{} {}", ran.report, ran.errors);
        assert!(
            ran.errors.contains("room for 36 connections"),
            "{}",
            ran.errors
        );
        ran.brackets("outbound", 2.0, 1.0);
    });
}

#[test]
fn an_interrupted_run_tells_what_it_has_learned() {
    in_lab_user_namespace(|| {
        let lab = lab(forgetting(600, OnExpiry::Drop));
        let directory = tempfile::tempdir().unwrap();
        let record = directory.path().join("run.ndjson");
        let line = format!("{} --max 1h --record {}", servers()[0], record.display());
        let child = command(&lab, &line).spawn().unwrap();
        wait_for_answers(&record);
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        let ran = finish(child);
        assert_eq!(ran.code, Some(130), "{} {}", ran.report, ran.errors);
        assert_eq!(ran.report["complete"], false);
        assert!(ran.direction("outbound")["answered_s"].as_f64().unwrap() >= 1.0);
        assert_eq!(ran.direction("outbound")["timeout"], Value::Null);
        let recorded = std::fs::read_to_string(&record).unwrap();
        let last: Value = serde_json::from_str(recorded.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "report");
        assert_eq!(last["schema"], "kalive.hold/1");
    });
}

#[test]
fn what_cannot_be_measured_says_why() {
    in_lab_user_namespace(|| {
        let lab = lab_with(Behaviour::default(), |stream, _| drop(stream));
        let server = servers()[0];
        let closing = hold(&lab, &format!("{server} --max 5s"));
        assert_eq!(
            closing.code,
            Some(2),
            "{} {}",
            closing.report,
            closing.errors
        );
        assert!(
            closing.errors.contains("closes connections as soon as"),
            "{}",
            closing.errors
        );

        let refused = hold(&lab, "198.51.100.2:9 --max 5s");
        assert_eq!(refused.code, Some(2));
        assert!(
            refused
                .errors
                .contains("connect to 198.51.100.2:9: Connection refused"),
            "{}",
            refused.errors
        );

        let mut held = Vec::new();
        let lab = lab_with(Behaviour::default(), move |stream, _| held.push(stream));
        let inbound = hold(&lab, &format!("{server} --max 5s --direction inbound"));
        assert_eq!(inbound.code, Some(2));
        assert!(
            inbound.errors.contains("needs kalive serve at the far end"),
            "{}",
            inbound.errors
        );
    });
}

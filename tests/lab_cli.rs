//! `kalive lab` as its users meet it: exit codes, signals, being killed, being refused.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking and tells why it is skipped, in its helpers too"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{in_lab_user_namespace, in_user_namespace};
use kalive::lab::{Lab, Plan};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const NOBODY: u32 = 65534;

fn kalive(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
    command.arg("lab").args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether this machine lets this user have a lab at all; if not, says why the test is skipped.
fn possible() -> bool {
    let output = kalive(&["--", "true"]).output().unwrap();
    let refused = output.status.code() == Some(2);
    if refused {
        println!("skipped: {}", text(&output.stderr));
    }
    !refused
}

fn run(arguments: &[&str]) -> Output {
    kalive(arguments).output().unwrap()
}

#[test]
fn the_commands_exit_code_and_environment_pass_through() {
    if !possible() {
        return;
    }
    let script = "echo $KALIVE_LAB_SERVER $KALIVE_LAB_SERVER6; exit 7";
    let output = run(&["--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(text(&output.stdout), "198.51.100.2:7117 [fd00:2::2]:7117\n");
    let announced = text(&output.stderr);
    for word in [
        "client 192.0.2.2",
        "router 192.0.2.1",
        "server 198.51.100.2:7117",
    ] {
        assert!(announced.contains(word), "{announced}");
    }
    let killed = run(&["--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.status.code(), Some(128 + 9));
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    if !possible() {
        return;
    }
    let output = run(&["--", "/nonexistent/program"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("run /nonexistent/program in the lab"));
}

#[test]
fn the_users_own_server_is_waited_for() {
    if !possible() {
        return;
    }
    // Whatever listens will do; kalive itself is the one program that is surely there, and it does
    // not serve yet: so the server is a lab command that only says that it ran.
    let output = run(&["--server", "echo here I am; exec sleep 60", "--", "true"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("here I am"));
}

#[test]
fn a_server_that_fails_before_it_listens_is_an_error() {
    if !possible() {
        return;
    }
    for (server, how) in [("exit 5", "exit status: 5"), ("kill -9 $$", "signal: 9")] {
        let output = run(&["--server", server, "--", "echo", "never"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(text(&output.stdout), "", "{said}");
        let what =
            format!("the server's command, sh -c {server:?}, ended before anything listened");
        assert!(said.contains(&what) && said.contains(how), "{said}");
    }
}

/// As a daemon does, whose parent ends at once: it may yet listen.
#[test]
fn a_server_that_ends_well_is_waited_for() {
    if !possible() {
        return;
    }
    let kalive = env!("CARGO_BIN_EXE_kalive");
    let server = format!("(sleep 0.3; exec {kalive} serve --listen 198.51.100.2:7117) & exit 0");
    let probe = "exec \"$0\" probe 198.51.100.2:7117 --for 1ms";
    let output = run(&["--server", &server, "--", "sh", "-c", probe, kalive]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_demonstration_measures_the_truth() {
    if !possible() {
        return;
    }
    let threads = ["drop", "reset", "forget"].map(|on_expiry| {
        std::thread::spawn(move || {
            run(&[
                "--nat-timeout",
                "3s",
                "--on-expiry",
                on_expiry,
                "-o",
                "json",
            ])
        })
    });
    for (thread, late) in threads.into_iter().zip(["silent", "reset", "alive"]) {
        let output = thread.join().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["schema"], "kalive.lab/1");
        assert_eq!(report["complete"], true);
        let connections = report["connections"].as_array().unwrap();
        assert_eq!(connections.len(), 6);
        for connection in connections {
            let silent = connection["silence_s"].as_f64().unwrap() > 3.0;
            let expected = if silent && connection["keepalive_s"].is_null() {
                late
            } else {
                "alive"
            };
            assert_eq!(connection["measured"], expected, "{connection}");
        }
    }
}

/// Starts a command that prints name and id of each of its processes, and reads those lines.
fn start(script: &str, lines: usize) -> (Child, BTreeMap<String, Pid>) {
    // A shell cannot trap what it is started to ignore, as it would be below nohup.
    let reset = "--default-signal=HUP,INT,TERM";
    let mut child = kalive(&["--", "env", reset, "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let pids = output
        .lines()
        .take(lines)
        .map(|line| {
            let line = line.unwrap();
            let (name, pid) = line.split_once(' ').unwrap();
            (name.to_owned(), Pid::from_raw(pid.parse().unwrap()))
        })
        .collect();
    (child, pids)
}

#[test]
fn a_signal_is_passed_on_and_its_answer_is_the_exit_code() {
    if !possible() {
        return;
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let script = "trap 'exit 3' TERM INT HUP; echo command $$; while :; do sleep 0.01; done";
        let (mut child, _) = start(script, 1);
        let guard = Pid::from_raw(child.id().try_into().unwrap());
        kill(guard, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(3), "{signal}");
    }
}

#[test]
fn an_interrupted_demonstration_reports_what_it_has() {
    if !possible() {
        return;
    }
    let mut child = kalive(&["--nat-timeout", "60s", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The announcement's last line: it runs.
    let announcement = BufReader::new(child.stderr.take().unwrap());
    assert!(
        announcement
            .lines()
            .any(|line| line.unwrap().contains("server"))
    );
    let guard = Pid::from_raw(child.id().try_into().unwrap());
    kill(guard, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["complete"], false);
}

/// Waits until it is so; the kernel announces none of it.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn sigkill_at_any_place_leaves_neither_process_nor_namespace() {
    // A daemon that has left its session, a child, the command itself and its parent.
    const SCRIPT: &str = "setsid sh -c 'echo daemon $$; exec sleep 600' & \
        sh -c 'echo child $$; exec sleep 600' & echo command $$; echo inside $PPID; wait";
    in_user_namespace(|| {
        // One lab has three: the next one can only be built when nothing is left.
        std::fs::write("/proc/sys/user/max_net_namespaces", "3").unwrap();
        for place in ["guard", "inside", "command"] {
            let mut lab = None;
            eventually("no room for a lab", || {
                let (mut child, pids) = start(SCRIPT, 4);
                if pids.is_empty() {
                    child.wait().unwrap();
                } else {
                    lab = Some((child, pids));
                }
                lab.is_some()
            });
            let (mut child, mut pids) = lab.unwrap();
            let guard = Pid::from_raw(child.id().try_into().unwrap());
            pids.insert("guard".to_owned(), guard);
            kill(pids[place], Signal::SIGKILL).unwrap();
            child.wait().unwrap();
            for (name, pid) in pids {
                let path = format!("/proc/{pid}");
                eventually(&format!("{name} outlives {place}"), || {
                    !Path::new(&path).exists()
                });
            }
            eventually("a namespace is left", || {
                run(&["--", "true"]).status.success()
            });
        }
    });
}

#[test]
fn a_lab_can_stand_in_a_lab() {
    in_lab_user_namespace(|| {
        let outer = Lab::build(&Plan::default()).unwrap();
        let mut inner = kalive(&["--nat-timeout", "1s"]);
        outer.client().adopt(&mut inner).unwrap();
        let output = inner.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stdout));
    });
}

#[test]
fn forbidden_user_namespaces_are_named_with_the_remedy() {
    in_user_namespace(|| {
        std::fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        let mut command = kalive(&["--", "true"]);
        #[expect(
            unsafe_code,
            reason = "there is no safe way to act between fork and exec"
        )]
        // SAFETY: one system call without pointers.
        unsafe {
            // SECBIT_NOROOT: uid 0 gets no capability with exec, so it is an ordinary user.
            command.pre_exec(|| match libc::prctl(libc::PR_SET_SECUREBITS, 1) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("user.max_user_namespaces is 0"), "{said}");
        assert!(said.contains("sudo"), "{said}");
    });
}

#[test]
fn an_ordinary_user_can_have_one() {
    if !possible() {
        return;
    }
    // Where anybody may read it, unlike root's target directory.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("kalive");
    std::fs::copy(env!("CARGO_BIN_EXE_kalive"), &copy).unwrap();
    let mut command = Command::new(copy);
    command
        .args(["lab", "--nat-timeout", "1s", "--", "id", "-u"])
        .current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // In its own user namespace.
    assert_eq!(text(&output.stdout), "0\n");
}

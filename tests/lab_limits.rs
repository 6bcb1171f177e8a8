//! A lab whose process is killed, on a machine with limits, and for an ordinary user.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{in_lab_user_namespace, in_user_namespace};
use kalive::lab::{Lab, Plan};

/// Runs one of the ignored tests below in a process of its own.
fn helper(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .args([name, "--exact", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits until the helper says so.
fn wait_for(child: &mut Child, sign: &str) {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(sign)), "no {sign}");
}

#[test]
#[ignore = "a helper: holds a lab until it is killed"]
fn hold_a_lab() {
    let _lab = Lab::build(&Plan::default()).unwrap();
    println!("the lab stands");
    std::thread::park();
}

#[test]
fn sigkill_leaves_no_namespace() {
    in_user_namespace(|| {
        // One lab has three: with a second one there is no room as long as anything is left.
        std::fs::write("/proc/sys/user/max_net_namespaces", "3").unwrap();
        let mut child = helper("hold_a_lab").spawn().unwrap();
        wait_for(&mut child, "the lab stands");
        let full = Lab::build(&Plan::default()).unwrap_err();
        assert!(
            full.to_string().contains("user.max_net_namespaces"),
            "{full}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        // The kernel frees them in the background and announces it nowhere.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = Lab::build(&Plan::default()) {
            assert!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
}

#[test]
fn an_ordinary_user_can_have_a_lab() {
    const NOBODY: u32 = 65534;
    if !nix::unistd::geteuid().is_root() {
        // Then all the tests in here show it.
        return in_lab_user_namespace(|| drop(Lab::build(&Plan::default()).unwrap()));
    }
    // Where nobody may read it, unlike root's target directory.
    let directory = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let copy = directory.path().join("lab");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    let mut child = Command::new(copy)
        .args(["sigkill_leaves_no_namespace", "--exact", "--nocapture"])
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(
        said.contains("1 passed") && !said.contains("skipped"),
        "{said}"
    );
}

//! The examples for CI systems do what they say: their command lines are run as they stand in the files.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "common/junit.rs"]
mod junit;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXAMPLES: [&str; 2] = ["github-actions.yml", "gitlab-ci.yml"];

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci")
}

/// The commands of a file: `run: ` of GitHub, the items of GitLab's lists. Every command is a plain scalar of
/// one line.
fn commands(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(examples().join(file)).unwrap();
    let lines = text.lines().map(str::trim);
    let mark = if text.contains("run: ") {
        "run: "
    } else {
        "- "
    };
    lines
        .filter_map(|line| line.strip_prefix(mark))
        .map(|command| {
            let plain = !command.contains(" #") && !command.contains(": ");
            assert!(plain, "YAML would not read this as it stands: {command}");
            command.to_owned()
        })
        .collect()
}

/// Installs what is at hand here.
fn installs(command: &str) -> bool {
    ["cargo install ", "apt-get ", "sudo sysctl "]
        .iter()
        .any(|start| command.starts_with(start))
}

/// Runs a line as a CI system does, in a checkout.
fn run(line: &str, checkout: &Path) -> Output {
    let kalive = Path::new(env!("CARGO_BIN_EXE_kalive")).parent().unwrap();
    let mut path = kalive.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    Command::new("bash")
        .args(["-e", "-c", line])
        .current_dir(checkout)
        .env("PATH", path)
        .output()
        .unwrap()
}

fn checkout() -> tempfile::TempDir {
    let checkout = tempfile::tempdir().unwrap();
    let copy = checkout.path().join("examples/ci");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(examples().join("client.py"), copy.join("client.py")).unwrap();
    checkout
}

/// Whether the examples can be run here; if not, says why the test is skipped.
fn possible() -> bool {
    let here = std::env::temp_dir();
    let lab = run("kalive lab -- true", &here);
    if lab.status.code() == Some(2) {
        println!("skipped: {}", String::from_utf8_lossy(&lab.stderr));
        return false;
    }
    if !run("python3 -c pass", &here).status.success() {
        println!("skipped: python3 is not installed");
        return false;
    }
    true
}

#[test]
fn every_command_of_the_examples_does_what_it_says() {
    if !possible() {
        return;
    }
    let lines: BTreeSet<String> = EXAMPLES
        .iter()
        .flat_map(|file| commands(file))
        .filter(|line| !installs(line))
        .collect();
    // Both files test the same three things.
    assert_eq!(lines.len(), 3, "{lines:?}");
    let checkout = checkout();
    let path = checkout.path();
    std::thread::scope(|scope| {
        for line in &lines {
            scope.spawn(move || {
                assert!(line.starts_with("kalive "), "what is this? {line}");
                let output = run(line, path);
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{line}: {errors}");
            });
        }
    });
    for (file, tests) in [("probe.xml", 1), ("hold.xml", 3)] {
        let document = std::fs::read_to_string(checkout.path().join(file)).unwrap();
        let counts = junit::checked(&document);
        assert_eq!(counts.tests, tests, "{document}");
        assert_eq!((counts.failures, counts.errors), (0, 0), "{document}");
    }
}

/// Else the example would pass whatever the network does.
#[test]
fn the_program_fails_without_keepalive() {
    if !possible() {
        return;
    }
    let checkout = checkout();
    let program = checkout.path().join("examples/ci/client.py");
    let text = std::fs::read_to_string(&program).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("setsockopt"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(program, without).unwrap();
    let commands = commands(EXAMPLES[0]);
    let line = commands.iter().find(|line| line.contains("client.py"));
    let output = run(line.unwrap(), checkout.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("TimeoutError"), "{errors}");
}

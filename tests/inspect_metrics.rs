//! `kalive inspect -o openmetrics`: read by the reference parser, and never half written.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Connection, json, kalive, listener, run, stdout};
use serde_json::{Value, json as labels};
use socket2::SockRef;

/// Only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parses by the OpenMetrics parser and by that of the older format, which node_exporter speaks, and prints the
/// samples of both as JSON.
const PARSE: &str = "
import json, sys
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
text = sys.stdin.read()
def samples(families):
    return [[s.name, s.labels, s.value, f.type] for f in families for s in f.samples]
print(json.dumps([samples(p.text_string_to_metric_families(text)) for p in (openmetrics, parser)]))
";

/// A Python that has the parser: the system's, or one made below target/.
fn python() -> Option<PathBuf> {
    let has_parser = |python: &PathBuf| {
        let import = ["-c", "import prometheus_client.openmetrics.parser"];
        let ran = Command::new(python)
            .args(import)
            .stderr(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    };
    let system = PathBuf::from("python3");
    let environment = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let made = environment.join("bin/python3");
    if let Some(found) = [system, made.clone()].into_iter().find(has_parser) {
        return Some(found);
    }
    let quiet = |command: &mut Command| {
        let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        ran.is_ok_and(|status| status.success())
    };
    let created = quiet(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    );
    let install = ["-m", "pip", "install", "-q", "prometheus-client==0.22.1"];
    (created && quiet(Command::new(&made).args(install))).then_some(made)
}

fn parsed(text: &str) -> Option<Vec<Vec<Value>>> {
    let mut parser = Command::new(python()?)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut parser.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the reference parser refuses:\n{text}"
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn sample(samples: &[Value], name: &str, labels: &Value) -> Option<f64> {
    let found = samples
        .iter()
        .find(|sample| sample[0] == name && sample[1] == *labels)?;
    assert_eq!(found[3], "gauge");
    found[2].as_f64()
}

#[test]
fn the_reference_parser_reads_what_was_counted() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    SockRef::from(&connection.client)
        .set_keepalive(true)
        .unwrap();
    let filter = format!(
        "--local {} --peer {}",
        connection.client_address(),
        listener.local_addr().unwrap()
    );
    let line = format!("inspect --survives 350s --options -o openmetrics {filter}");
    let output = run(&line);
    assert_eq!(output.status.code(), Some(1), "the connection is at risk");
    let Some(parsed) = parsed(&String::from_utf8(output.stdout).unwrap()) else {
        println!("skipped: no python3 with prometheus-client, and none could be made");
        return;
    };
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let own = name.trim();
    // This thread has a name of its own; the process has the first thread's.
    let own = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id()))
        .map_or_else(|_| own.to_owned(), |name| name.trim().to_owned());
    for samples in &parsed {
        let value = |name, labels| sample(samples, name, &labels);
        for (name, labels, expected) in [
            (
                "kalive_sockets",
                labels!({"state": "ESTABLISHED", "family": "ipv4"}),
                1.0,
            ),
            (
                "kalive_sockets",
                labels!({"state": "LISTEN", "family": "ipv6"}),
                0.0,
            ),
            (
                "kalive_connections",
                labels!({"keepalive": "on", "family": "ipv4"}),
                1.0,
            ),
            ("kalive_survival_timeout_seconds", labels!({}), 350.0),
            (
                "kalive_survival_connections",
                labels!({"verdict": "at-risk"}),
                1.0,
            ),
            (
                "kalive_survival_connections",
                labels!({"verdict": "protected"}),
                0.0,
            ),
            (
                "kalive_process_connections",
                labels!({"process": own, "keepalive": "on"}),
                1.0,
            ),
            (
                "kalive_process_survival_connections",
                labels!({"process": own, "verdict": "at-risk"}),
                1.0,
            ),
        ] {
            assert_eq!(
                value(name, labels.clone()),
                Some(expected),
                "{name}{labels}"
            );
        }
    }
    assert_eq!(parsed[0], parsed[1], "both formats say the same");
}

/// Names that would break out of a label, in a copy of /proc.
#[test]
fn few_programs_are_named_and_no_name_breaks_out() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("net")).unwrap();
    let mut table = String::from("  sl  local_address rem_address   st\n");
    for (index, name) in ["a\"b", "c\\d", "e\nf", "other", "g"].iter().enumerate() {
        let (inode, pid) = (100 + index, 10 + index);
        let process = root.path().join(pid.to_string());
        std::fs::create_dir_all(process.join("fd")).unwrap();
        let stat = format!("{pid} ({name}) S {}", "1 ".repeat(49));
        std::fs::write(process.join("stat"), stat).unwrap();
        std::os::unix::fs::symlink(format!("socket:[{inode}]"), process.join("fd/3")).unwrap();
        writeln!(
            table,
            "   {index}: 0100007F:00{inode:02X} 0100007F:1388 01 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0000000000000000 20 4 30 10 -1"
        )
        .unwrap();
    }
    std::fs::write(root.path().join("net/tcp"), table).unwrap();
    let proc = root.path().display();
    for top in [0, 2, 4, 9] {
        let text = stdout(&format!("inspect -o openmetrics --top {top} --proc {proc}"));
        let Some(parsed) = parsed(&text) else {
            println!("skipped: no python3 with prometheus-client, and none could be made");
            return;
        };
        let of_processes: Vec<&Value> = parsed[0]
            .iter()
            .filter(|sample| sample[0] == "kalive_process_connections")
            .collect();
        let sum: f64 = of_processes
            .iter()
            .filter_map(|sample| sample[2].as_f64())
            .sum();
        assert!((sum - 5.0).abs() < 0.1, "nothing is lost: {of_processes:?}");
        let series = (top + 1).min(5) * 3;
        assert!(of_processes.len() <= series, "{top}: {of_processes:?}");
    }
}

/// A reader never sees a file without its end, and the temporary one is gone.
#[test]
fn the_textfile_is_replaced_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kalive.prom");
    let mut child = kalive()
        .args([
            "inspect",
            "-o",
            "openmetrics",
            "--watch",
            "100ms",
            "--textfile",
        ])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Each file is made beside the one before: their inodes differ.
    let (mut last, mut replaced) = (None, 0);
    let started = Instant::now();
    while replaced < 5 {
        assert!(started.elapsed() < PATIENCE, "replaced {replaced} times");
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let inode = file.metadata().unwrap().ino();
        replaced += u32::from(last.replace(inode).is_some_and(|last| last != inode));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let output = run("inspect -o openmetrics --textfile /no/such/directory/kalive.prom");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn other_commands_have_no_metrics() {
    let output = run("probe -o openmetrics 127.0.0.1:1");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("-o openmetrics is for kalive inspect only"),
        "{errors}"
    );
    assert_eq!(json("inspect")["processes"], Value::Null);
}

//! What kalive prints as JSON is what schemas/ says, and what the design promises: real output of every subcommand,
//! and events that are rare in src/generate/schema/tests.rs.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and says when it is skipped"
)]

mod common;
#[cfg(test)]
#[path = "common/schema.rs"]
mod schemas;

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use common::{Connection, kalive, listener, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use schemas::{Checker, published};
use serde_json::{Value, json};
use socket2::SockRef;

/// Those who write JSON.
const COMMANDS: [&str; 5] = ["inspect", "probe", "hold", "serve", "lab"];

#[test]
fn the_schemas_are_schemas() {
    for command in COMMANDS {
        let schema = published(command);
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        assert_eq!(schema["title"], format!("kalive.{command}/1"));
    }
}

/// Every object of a schema that has fields, with the place where it stands.
fn objects<'a>(place: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    match schema {
        Value::Object(parts) => {
            if schema["properties"].is_object() {
                found.push((place.to_owned(), schema));
            }
            for (name, part) in parts {
                objects(&format!("{place}/{name}"), part, found);
            }
        }
        Value::Array(parts) => {
            for (index, part) in parts.iter().enumerate() {
                objects(&format!("{place}/{index}"), part, found);
            }
        }
        _ => {}
    }
}

fn may_be_null(schema: &Value, property: &Value) -> bool {
    let name = property["$ref"].as_str().unwrap_or_default();
    let target = schema.pointer(name.trim_start_matches('#'));
    property["type"]
        .as_array()
        .is_some_and(|types| types.contains(&json!("null")))
        || property["anyOf"]
            .as_array()
            .is_some_and(|any| any.contains(&json!({"type": "null"})))
        || (!name.is_empty() && target.is_some_and(|target| may_be_null(schema, target)))
}

/// A reader finds out what a field means, when it is null, and when it is absent.
#[test]
fn every_field_is_described() {
    for command in COMMANDS {
        let schema = published(command);
        let mut found = Vec::new();
        objects(command, &schema, &mut found);
        for (place, object) in found {
            let required = object["required"].as_array().unwrap();
            for (name, property) in object["properties"].as_object().unwrap() {
                if name == "schema" || name == "event" {
                    continue;
                }
                let place = format!("{place}: {name}");
                // The whole of a variant, which is described itself.
                let variant = place.contains("/oneOf/") && place.contains("$defs");
                let said = property["description"].as_str().unwrap_or_default();
                assert!(variant || !said.is_empty(), "{place} is not described");
                if may_be_null(&schema, property) {
                    let words: Vec<&str> = said.split(|c: char| !c.is_alphanumeric()).collect();
                    assert!(
                        words.contains(&"null"),
                        "{place} does not say when it is null"
                    );
                    // Where it may be absent too, another field tells the one from the other.
                    let told = object["properties"].get(format!("{name}_unknown"));
                    assert!(
                        required.contains(&json!(name)) || told.is_some(),
                        "{place} is null and absent"
                    );
                }
                let absent = said.to_lowercase().contains("absent");
                assert_eq!(
                    required.contains(&json!(name)),
                    !absent || variant,
                    "{place}: {said}"
                );
            }
        }
    }
}

/// What design/cli.md promises by name.
const PROMISED: [(&str, &str); 5] = [
    (
        "inspect",
        "schema complete tunables.tcp_keepalive_time_s tunables.tcp_keepalive_intvl_s tunables.tcp_keepalive_probes
         tunables.tcp_retries2 detection.nominal_s detection.latest_s states.ESTABLISHED.ipv4 states.ESTABLISHED.ipv6
         protection sockets.netns sockets.state sockets.local sockets.peer sockets.inode sockets.cookie sockets.uid
         sockets.user sockets.timer.kind sockets.timer.expires_s sockets.timer.count sockets.idle_s
         sockets.keepalive.enabled sockets.keepalive.idle_s sockets.keepalive.interval_s sockets.keepalive.count
         sockets.keepalive.user_timeout_s sockets.keepalive.origin sockets.processes.pid sockets.processes.fd
         sockets.processes.name sockets.survives.verdict sockets.survives.reason incomplete",
    ),
    (
        "probe",
        "schema complete targets.target targets.address targets.local targets.phase targets.connect_s
         targets.options.idle_s targets.options.origin targets.predicted.nominal_s targets.predicted.latest_s
         targets.predicted.rule targets.rounds.at_s targets.rounds.rtt_s targets.rounds.answered targets.outcome
         targets.errno targets.after_s targets.within_prediction targets.netstat.TCPKeepAlive
         targets.netstat.OutOfWindowIcmps targets.explanation",
    ),
    (
        "hold",
        "schema complete directions.direction directions.timeout.lower_s directions.timeout.upper_s directions.expiry
         directions.samples.idle_s directions.samples.result directions.consistent control.alive control.lost_at_s
         verify.idle_s verify.survived verify.data_ok recommendation.idle_s recommendation.interval_s
         recommendation.count recommendation.user_timeout_s recommendation.survives_lost_probes cost.elapsed_s
         cost.sessions inconclusive",
    ),
    ("serve", "schema complete"),
    ("lab", "schema complete"),
];

/// The enumerations that it promises.
const PROMISED_WORDS: [(&str, &str, &str); 6] = [
    ("inspect", "sockets.state", "ESTABLISHED TIME-WAIT LISTEN"),
    (
        "inspect",
        "sockets.survives.verdict",
        "protected at-risk unknown",
    ),
    ("inspect", "sockets.keepalive.origin.idle", "socket sysctl"),
    (
        "probe",
        "targets.outcome",
        "alive timed-out reset unreachable refused closed unresponsive interrupted",
    ),
    ("probe", "targets.phase", "connect idle in-flight"),
    (
        "hold",
        "directions.expiry",
        "none silent reset-on-probe reset-at-expiry closed-by-peer",
    ),
];

/// What stands behind a name, in an object, in each of an array, by reference, or by whatever name.
fn field<'a>(root: &'a Value, schema: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(found) = schema["properties"].get(name) {
        return Some(found);
    }
    if schema["additionalProperties"].is_object() {
        return Some(&schema["additionalProperties"]);
    }
    let reference = schema["$ref"].as_str();
    let referred = reference.and_then(|to| root.pointer(to.trim_start_matches('#')));
    let within = referred.into_iter().chain(schema.get("items"));
    let mut within = within.chain(schema["anyOf"].as_array().into_iter().flatten());
    within.find_map(|within| field(root, within, name))
}

fn path<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let document = &root["oneOf"][0];
    assert_eq!(document["title"], "document");
    path.split('.')
        .try_fold(document, |schema, name| field(root, schema, name))
}

#[test]
fn what_is_promised_is_there() {
    for (command, names) in PROMISED {
        let schema = published(command);
        for name in names.split_whitespace() {
            assert!(path(&schema, name).is_some(), "{command}: no {name}");
        }
    }
    for (command, name, words) in PROMISED_WORDS {
        let schema = published(command);
        let mut described = path(&schema, name).unwrap().to_string();
        for (definition, said) in schema["$defs"].as_object().unwrap() {
            if described.contains(&format!("#/$defs/{definition}\"")) {
                described += &said.to_string();
            }
        }
        for word in words.split_whitespace() {
            assert!(
                described.contains(&format!("\"{word}\"")),
                "{command} {name}: no {word}"
            );
        }
    }
}

/// A client of inspect: sockets in many states, of which this process holds both ends.
struct Sockets {
    _kept: Vec<Connection>,
    _listeners: Vec<std::net::TcpListener>,
}

impl Sockets {
    fn new() -> Self {
        let listeners = vec![listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)];
        let mut kept = Vec::new();
        for listener in &listeners {
            let on = Connection::to(listener);
            SockRef::from(&on.client).set_keepalive(true).unwrap();
            let mut hidden = Connection::to(listener);
            hidden.stuff();
            kept.extend([Connection::to(listener), on, hidden]);
            // FIN-WAIT-2 and CLOSE-WAIT for a moment, then TIME-WAIT.
            drop(Connection::to(listener).close_client());
        }
        Self {
            _kept: kept,
            _listeners: listeners,
        }
    }
}

const INSPECTIONS: [&str; 13] = [
    "",
    "-s",
    "-s --state all",
    "-s --state listen",
    "-s --state all --options",
    "-s --options --survives 350s --sort risk",
    "-s --survives 350s",
    "--survives 2h",
    "-s --all-netns",
    "-s --state all --source proc",
    "-s --state all --proc tests/data/proc --survives 5m",
    "--proc tests/data/proc",
    "-s --columns state,local",
];

#[test]
fn inspect_prints_what_its_schema_says() {
    let _sockets = Sockets::new();
    let checker = Checker::new("inspect");
    for options in INSPECTIONS {
        let output = run(&format!("inspect {options} -o json"));
        assert!(output.status.code() < Some(2), "{options}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        checker.check(&document);
        assert_eq!(
            document["sockets"].is_array(),
            options.starts_with("-s"),
            "{options}"
        );
        let output = run(&format!("inspect {options} -o ndjson"));
        checker.check_lines(&output.stdout);
    }
    checker.assert_seen(&checker.names());
}

#[test]
fn a_watch_and_its_end_are_as_the_schema_says() {
    let _sockets = Sockets::new();
    let checker = Checker::new("inspect");
    let mut child = kalive()
        .args(["inspect", "-s", "--watch", "100ms", "-o", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reports = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        checker.check(&line);
        if line["event"] == "report" {
            assert!(line["at"].is_string(), "{line}");
            reports += 1;
            if reports == 2 {
                let pid = Pid::from_raw(child.id().try_into().unwrap());
                kill(pid, Signal::SIGINT).unwrap();
            }
        }
    }
    assert!(reports >= 2);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_cannot_be_read_is_as_the_schema_says() {
    if !nix::unistd::getuid().is_root() {
        println!("skipped: only root can become another user, who may not look into this process");
        return;
    }
    let _sockets = Sockets::new();
    let checker = Checker::new("inspect");
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("kalive");
    std::fs::copy(env!("CARGO_BIN_EXE_kalive"), &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    for options in [
        "",
        "-s --options --survives 350s",
        "-s --state all --all-netns",
    ] {
        let output = std::process::Command::new(&copy)
            .args(["inspect", "-o", "json"])
            .args(options.split_whitespace())
            .uid(65_534)
            .gid(65_534)
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        checker.check(&document);
        let unknown = document["sockets"][0]["keepalive"].get("options_unknown");
        assert_eq!(unknown.is_some(), !options.is_empty(), "{options}");
    }
}

#[test]
fn the_schema_of_inspect_has_teeth() {
    let _sockets = Sockets::new();
    let checker = Checker::new("inspect");
    let own = format!("-s --survives 350s --options --pid {}", std::process::id());
    for options in [&own, "--proc tests/data/proc -s"] {
        let output = run(&format!("inspect {options} -o json"));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(checker.assert_teeth(&document) > 80);
    }
}

//! The formats of `kalive lab`: where everything is, what happens, and the table of the demonstration.

use std::fmt::Write as _;
use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::Layout;
use super::json;
use super::summary::{self, Meaning};
use super::text::Brief;
use crate::cli::Output;
use crate::lab::{
    CLIENT, CLIENT6, FarEnd, Loss, OnExpiry, ROUTER_INSIDE, ROUTER_INSIDE6, ROUTER_OUTSIDE,
    ROUTER_OUTSIDE6, servers,
};
use crate::plan::lab::Plan;
use crate::report;
use crate::report::lab::{Changed, Found, Report, Tried};
use crate::run::lab::Event;

pub(crate) const SCHEMA: &str = "kalive.lab/1";

/// An event of NDJSON.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum EventLine {
    /// The network has changed.
    Changed(Changed),
    /// A connection was tried.
    Connection(Tried),
    /// A subcommand has measured.
    Tool(Found),
}

/// Name and address of everything, a line each.
pub(crate) fn announcement(plan: &Plan) -> Vec<String> {
    let behaviour = &plan.lab.behaviour;
    let kind = if behaviour.untracked_keepalives {
        "firewall, bare ACKs pass untracked"
    } else {
        "NAT"
    };
    let mut router = format!(
        "router {ROUTER_INSIDE}, {ROUTER_INSIDE6} - {ROUTER_OUTSIDE}, {ROUTER_OUTSIDE6} ({kind}; \
         forgets after {}, then {}",
        Brief(behaviour.nat_timeout.get()),
        match behaviour.on_expiry {
            OnExpiry::Drop => "drops",
            OnExpiry::Reset => "resets",
            OnExpiry::Forget => "starts anew",
        }
    );
    if behaviour.loss_outbound != Loss::default() {
        let _ = write!(router, "; loses {}", behaviour.loss_outbound);
    }
    let [v4, v6] = servers();
    let far_end = match &plan.lab.far_end {
        FarEnd::Nothing => "nothing",
        FarEnd::Echo => "echo",
        FarEnd::Serve => "kalive serve",
        FarEnd::Command(command) => command,
    };
    vec![
        format!("client {CLIENT}, {CLIENT6}"),
        router + ")",
        format!("server {v4}, {v6} ({far_end})"),
    ]
}

/// What has happened to the network, in a line.
pub(crate) fn changed(changed: &Changed) -> String {
    format!("after {}: {}", Brief(changed.after), changed.change)
}

/// An event as it happens; only NDJSON shows them on stdout.
pub(crate) fn event(out: &mut dyn Write, output: Output, event: &Event) -> io::Result<()> {
    match (output, event) {
        (Output::Table | Output::Json, _) => Ok(()),
        (Output::Ndjson, Event::Changed(step)) => {
            json::document(out, SCHEMA, &EventLine::Changed(Changed::new(*step)))?;
            out.flush()
        }
        (Output::Ndjson, Event::Tried(trial, outcome)) => {
            let tried = Tried::new(*trial, *outcome);
            json::document(out, SCHEMA, &EventLine::Connection(tried))?;
            out.flush()
        }
        (Output::Ndjson, Event::Measured(tool, document)) => {
            for found in report::lab::found(tool, document) {
                json::document(out, SCHEMA, &EventLine::Tool(found))?;
            }
            out.flush()
        }
    }
}

/// The demonstration's end.
pub(crate) fn finish(
    out: &mut dyn Write,
    output: Output,
    report: &Report,
    layout: Layout,
) -> io::Result<()> {
    super::report(out, output, SCHEMA, report, |out| {
        table(out, report, layout)
    })
}

fn table(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    let headings = [
        "VIA",
        "KEEPALIVE",
        ">SILENCE",
        "WHAT THE NETWORK REALLY DOES",
        "WHAT WAS MEASURED",
    ];
    let mut table = summary::table(layout, &headings);
    for tried in &report.connections {
        let [via, keepalive, silence, truth, measured] = row(tried);
        let meaning = if tried.agrees {
            Meaning::Good
        } else {
            Meaning::Warning
        };
        let plain =
            [via, keepalive, silence, truth].map(|text| summary::cell(text, Meaning::Plain));
        table.add_row(plain.into_iter().chain([summary::cell(measured, meaning)]));
    }
    writeln!(out, "{}", table.trim_fmt())?;
    if !report.tools.is_empty() {
        writeln!(out, "\n{}", tools(report, layout).trim_fmt())?;
    }
    for note in notes(report) {
        writeln!(out, "\n{}", summary::paragraph(layout, note).trim_fmt())?;
    }
    Ok(())
}

fn tools(report: &Report, layout: Layout) -> comfy_table::Table {
    let headings = [
        "MEASURED WITH KALIVE",
        "WHAT THE NETWORK REALLY DOES",
        "WHAT WAS MEASURED",
    ];
    let mut table = summary::table(layout, &headings);
    for found in &report.tools {
        let (meaning, differs) = match found.agrees {
            Some(true) => (Meaning::Good, ""),
            Some(false) => (Meaning::Warning, " (differs)"),
            None => (Meaning::Plain, ""),
        };
        table.add_row([
            summary::cell(&found.tool, Meaning::Plain),
            summary::cell(&found.truth, Meaning::Plain),
            summary::cell(format!("{}{differs}", found.measured), meaning),
        ]);
    }
    table
}

fn row(tried: &Tried) -> [String; 5] {
    let differs = if tried.agrees { "" } else { " (differs)" };
    [
        if tried.server.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        }
        .to_owned(),
        tried
            .keepalive
            .map_or_else(|| "off".to_owned(), |idle| Brief(idle).to_string()),
        Brief(tried.silence).to_string(),
        tried.truth.to_string(),
        format!("{}{differs}", tried.measured),
    ]
}

fn notes(report: &Report) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if report.on_expiry == OnExpiry::Forget.to_string() {
        notes.push(
            "The router does forget these connections, but a late packet of the client makes a new \
             entry: seen from the client there is no timeout. Only a server that speaks first notices.",
        );
    }
    if report.untracked_keepalives {
        notes.push(
            "Keepalives get through and are answered, and yet do not keep the connection open: the \
             router does not count them.",
        );
    }
    if !report.complete {
        notes.push("Interrupted: not every connection was tried.");
    }
    notes
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::domain::lab::Outcome;
    use crate::plan::lab::{Work, plan};

    fn planned(line: &str) -> Plan {
        let words = format!("kalive lab {line}");
        match Cli::try_parse_from(words.split_whitespace())
            .unwrap()
            .command
        {
            Command::Lab(args) => plan(&args),
            other => panic!("{other:?}"),
        }
    }

    /// The report of a run in which the network did what it is known to do, but for IPv6.
    fn report(plan: &Plan) -> Report {
        let Work::Demonstration(trials) = &plan.work else {
            panic!("{plan:?}")
        };
        let mut report = Report::new(plan);
        for step in &plan.steps {
            report.add(&Event::Changed(*step));
        }
        for trial in trials.iter().rev() {
            let measured = if trial.server.is_ipv4() {
                trial.truth
            } else {
                Outcome::Silent
            };
            report.add(&Event::Tried(*trial, measured));
        }
        report.complete = true;
        report
    }

    fn rendered(output: Output, report: &Report) -> String {
        let layout = Layout {
            width: 80,
            cut: false,
            colored: false,
        };
        let mut out = Vec::new();
        finish(&mut out, output, report, layout).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_table_shows_truth_beside_measurement_and_marks_what_differs() {
        let report = report(&planned("--nat-timeout 10s"));
        let expected = "\
VIA   KEEPALIVE  SILENCE  WHAT THE NETWORK REALLY DOES  WHAT WAS MEASURED
IPv4  off             8s  lives                         lives
IPv4  off            12s  dead, silently                dead, silently
IPv4  3s             12s  lives                         lives
IPv6  off             8s  lives                         dead, silently (differs)
IPv6  off            12s  dead, silently                dead, silently
IPv6  3s             12s  lives                         dead, silently (differs)
";
        let table = rendered(Output::Table, &report);
        assert_eq!(table, expected);
        assert!(table.lines().all(|line| line.len() <= 80));
        assert!(!report.agrees());
    }

    #[test]
    fn json_has_what_the_table_has() {
        let report = report(&planned("--nat-timeout 2s --loss 0.5 --cut-after 1500ms"));
        let document: serde_json::Value =
            serde_json::from_str(&rendered(Output::Json, &report)).unwrap();
        let connection = |server: &str, silence: f64, truth: &str, measured: &str| {
            serde_json::json!({
                "server": server, "keepalive_s": null, "silence_s": silence,
                "truth": truth, "measured": measured, "agrees": truth == measured,
            })
        };
        let expected = serde_json::json!({
            "schema": "kalive.lab/1",
            "complete": true,
            "nat_timeout_s": 2.0,
            "on_expiry": "drop",
            "loss_percent": 0.5,
            "untracked_keepalives": false,
            "changes": [{"after_s": 1.5, "change": "cut"}],
            "connections": [
                connection("198.51.100.2:7117", 1.6, "silent", "silent"),
                connection("198.51.100.2:7117", 2.4, "silent", "silent"),
                connection("[fd00:2::2]:7117", 1.6, "silent", "silent"),
                connection("[fd00:2::2]:7117", 2.4, "silent", "silent"),
            ],
            "tools": [],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn the_announcement_says_what_the_network_does() {
        let lines = announcement(&planned("--nat-timeout 90s --on-expiry forget --loss 2"));
        let [client, router, server] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!(client, "client 192.0.2.2, fd00:1::2");
        assert!(router.ends_with("(NAT; forgets after 1m 30s, then starts anew; loses 2 %)"));
        assert_eq!(
            server,
            "server 198.51.100.2:7117, [fd00:2::2]:7117 (kalive serve)"
        );
    }

    #[test]
    fn what_cannot_be_seen_from_the_client_is_said() {
        let told = |line| rendered(Output::Table, &report(&planned(line)));
        assert!(told("--on-expiry forget").contains("Only a server"));
        assert!(told("--untracked-keepalives").contains("and yet do not keep"));
        assert!(!told("").contains("Interrupted"));
    }
}

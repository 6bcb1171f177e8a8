//! The formats of `kalive lab`: where everything is, what happens, and the table of the demonstration.

use std::fmt::Write as _;
use std::io::{self, Write};

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
use crate::report::lab::{Changed, Report, Tried};
use crate::run::lab::Event;

const SCHEMA: &str = "kalive.lab/1";

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
pub(crate) fn event(out: &mut dyn Write, output: Output, event: Event) -> io::Result<()> {
    match (output, event) {
        (Output::Table | Output::Json, _) => Ok(()),
        (Output::Ndjson, Event::Changed(step)) => {
            json::event(out, SCHEMA, "changed", &Changed::new(step))?;
            out.flush()
        }
        (Output::Ndjson, Event::Tried(trial, outcome)) => {
            json::event(out, SCHEMA, "connection", &Tried::new(trial, outcome))?;
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
    match output {
        Output::Table => table(out, report, layout),
        Output::Json => json::document(out, SCHEMA, report),
        Output::Ndjson => json::event(out, SCHEMA, "report", report),
    }
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
    for note in notes(report) {
        writeln!(out, "\n{}", summary::paragraph(layout, note).trim_fmt())?;
    }
    Ok(())
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

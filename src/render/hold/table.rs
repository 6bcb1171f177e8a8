//! The result of a measurement for people: tables, charts and sentences.

use std::io::{self, Write};

use super::charts;
use crate::domain::hold::Expiry;
use crate::domain::hold::ends::CountedFrom;
use crate::domain::words::counted;
use crate::render::Layout;
use crate::render::chart;
use crate::render::summary::{self, Meaning};
use crate::render::text::{self, Brief, Measured};
use crate::report::hold::{Found, Report};

pub(super) fn write(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    if !report.directions.is_empty() {
        let mut table = summary::table(
            layout,
            &["WHO SPEAKS", "SILENT CONNECTIONS LAST", "AND THEN"],
        );
        for found in &report.directions {
            let meaning = match found.expiry {
                Some(Expiry::None) => Meaning::Good,
                Some(_) => Meaning::Plain,
                None => Meaning::Warning,
            };
            table.add_row([
                summary::cell(found.direction, Meaning::Plain),
                summary::cell(lasts(found), meaning),
                summary::cell(then(found), Meaning::Plain),
            ]);
        }
        writeln!(out, "{}", table.trim_fmt())?;
    }
    for chart in charts::of(report) {
        writeln!(out)?;
        chart::draw(out, &chart, layout)?;
    }
    keepers(out, report, layout)?;
    for paragraph in paragraphs(report) {
        writeln!(
            out,
            "\n{}",
            summary::paragraph(layout, &paragraph).trim_fmt()
        )?;
    }
    recommendation(out, report, layout)?;
    writeln!(
        out,
        "\n{} in all, {}",
        counted(report.cost.sessions, "connection"),
        Brief(report.cost.elapsed)
    )
}

pub(super) fn lasts(found: &Found) -> String {
    match (found.timeout, found.answered) {
        (Some(timeout), _) => format!(
            "{} to {}",
            Measured::AtLeast(timeout.lower),
            Measured::AtMost(timeout.upper)
        ),
        (None, Some(answered)) => format!("longer than {}", Measured::AtLeast(answered)),
        (None, None) => "unknown".to_owned(),
    }
}

pub(super) fn then(found: &Found) -> String {
    let from = match found.counted_from {
        Some(CountedFrom::Start) => ", counted from the start",
        Some(CountedFrom::LastPacket | CountedFrom::Unknown) | None => "",
    };
    match (found.expiry, &found.inconclusive) {
        (Some(Expiry::None), _) => "it was not tried any longer".to_owned(),
        (Some(expiry), _) => format!("{expiry}{from}"),
        (None, _) => "unknown".to_owned(),
    }
}

fn keepers(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    if report.verify.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut table = summary::table(layout, &[">TCP_KEEPIDLE", "KEPT THE CONNECTION OPEN"]);
    for verified in &report.verify {
        let (text, meaning) = match (verified.survived, verified.data_ok) {
            (true, Some(true)) => ("yes, and data passes", Meaning::Good),
            (true, None) => ("yes", Meaning::Good),
            (true, Some(false)) => ("no: data does not pass", Meaning::Warning),
            (false, _) => ("no", Meaning::Warning),
        };
        table.add_row([
            summary::cell(text::full(verified.idle), Meaning::Plain),
            summary::cell(text, meaning),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

fn recommendation(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    let (Some(recommended), Some(settings)) = (&report.recommendation, &report.settings) else {
        return Ok(());
    };
    let text = format!(
        "These settings stay within the measured time, even if {} in a row {} lost and every timer is late:",
        counted(recommended.survives_lost_probes, "probe"),
        if recommended.survives_lost_probes == 1 {
            "gets"
        } else {
            "get"
        }
    );
    writeln!(out, "\n{}", summary::paragraph(layout, &text).trim_fmt())?;
    for line in &settings.sysctl {
        writeln!(out, "  {line}")?;
    }
    let socket = settings.setsockopt.join(", ");
    writeln!(out, "{}\n", summary::paragraph(layout, &socket).trim_fmt())?;
    let mut table = summary::table(layout, &["SOFTWARE", "SETTING"]);
    for setting in &settings.software {
        let text = match setting.trap {
            Some(trap) => format!("{} ({trap})", setting.text),
            None => setting.text.clone(),
        };
        table.add_row([
            summary::cell(setting.software, Meaning::Plain),
            summary::cell(text, Meaning::Plain),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())
}

pub(super) fn paragraphs(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(why) = &report.inconclusive {
        said.push(format!("Inconclusive: {why}."));
    }
    for found in &report.directions {
        if let Some(why) = &found.inconclusive {
            said.push(format!("Inconclusive, {}: {why}.", found.direction));
        }
    }
    said.extend(report.explanation.iter().cloned());
    if !report.complete {
        said.push("Interrupted: this is what was known by then.".to_owned());
    }
    said
}

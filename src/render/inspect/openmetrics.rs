//! The metrics of an inspection: gauges in the OpenMetrics text format, of which the older Prometheus format
//! reads the same. Labels have few values: states, verdicts, and the programs that were asked for.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::report::inspect::{ByFamily, Counts, Processes, Report, rest};

/// The label of what no single name has.
const OTHER: &str = "other";

/// Writes all metrics; `top` programs are named.
pub(super) fn write(out: &mut dyn Write, report: &Report, top: usize) -> io::Result<()> {
    let mut metrics = Metrics { out };
    states(&mut metrics, report)?;
    protection(&mut metrics, report)?;
    survival(&mut metrics, report)?;
    processes(&mut metrics, report, top)?;
    detection(&mut metrics, report)?;
    metrics.family(
        "kalive_incomplete",
        "Kinds of things that could not be read.",
    )?;
    metrics.sample("kalive_incomplete", &[], count(report.incomplete.len()))?;
    metrics.out.write_all(b"# EOF\n")
}

struct Metrics<'a> {
    out: &'a mut dyn Write,
}

impl Metrics<'_> {
    /// Opens a family of gauges. HELP and names are ours, and need no escapes.
    fn family(&mut self, name: &str, help: &str) -> io::Result<()> {
        writeln!(self.out, "# TYPE {name} gauge\n# HELP {name} {help}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> io::Result<()> {
        write!(self.out, "{name}")?;
        for (index, (label, text)) in labels.iter().enumerate() {
            let opening = if index == 0 { '{' } else { ',' };
            write!(self.out, "{opening}{label}=\"{}\"", escaped(text))?;
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        writeln!(self.out, "{closing} {value}")
    }

    fn families(&mut self, name: &str, label: (&str, &str), counts: ByFamily) -> io::Result<()> {
        for (family, value) in [("ipv4", counts.ipv4), ("ipv6", counts.ipv6)] {
            self.sample(name, &[label, ("family", family)], count(value))?;
        }
        Ok(())
    }
}

/// A backslash, a quote and a line feed have escapes in a label; other control characters do no harm in a
/// file, but are not what a name should hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are floating point; counts of sockets are far below 2^52"
)]
fn count(value: impl TryInto<u64>) -> f64 {
    value.try_into().unwrap_or(u64::MAX) as f64
}

fn states(metrics: &mut Metrics, report: &Report) -> io::Result<()> {
    let name = "kalive_sockets";
    metrics.family(name, "TCP sockets by state.")?;
    for (state, counts) in &report.states {
        metrics.families(name, ("state", &state.to_string()), *counts)?;
    }
    Ok(())
}

fn protection(metrics: &mut Metrics, report: &Report) -> io::Result<()> {
    let Some(counts) = report.protection else {
        return Ok(());
    };
    let name = "kalive_connections";
    metrics.family(name, "ESTABLISHED connections by SO_KEEPALIVE.")?;
    for (status, counts) in [
        ("on", counts.on),
        ("off", counts.off),
        ("unknown", counts.unknown),
    ] {
        metrics.families(name, ("keepalive", status), counts)?;
    }
    Ok(())
}

fn survival(metrics: &mut Metrics, report: &Report) -> io::Result<()> {
    let Some(survives) = &report.survives else {
        return Ok(());
    };
    let name = "kalive_survival_timeout_seconds";
    metrics.family(
        name,
        "The silence after which the path is taken to forget a connection.",
    )?;
    metrics.sample(name, &[], survives.limit.as_secs_f64())?;
    let name = "kalive_survival_connections";
    metrics.family(
        name,
        "ESTABLISHED connections by whether they would outlive that silence.",
    )?;
    let verdicts = survives.verdicts;
    for (verdict, value) in [
        ("at-risk", verdicts.at_risk),
        ("protected", verdicts.protected),
        ("unknown", verdicts.unknown),
    ] {
        metrics.sample(name, &[("verdict", verdict)], count(value))?;
    }
    Ok(())
}

/// The first programs by name, all others together.
fn named(report: &Report, top: usize) -> BTreeMap<String, Counts> {
    let mut named: BTreeMap<String, Counts> = BTreeMap::new();
    let sorted = report
        .processes
        .as_ref()
        .map(Processes::sorted)
        .unwrap_or_default();
    for process in sorted.iter().take(top) {
        let name = process.name.unwrap_or_default().to_owned();
        named.entry(name).or_default().join(&process.counts);
    }
    let (others, counts) = rest(&sorted, top);
    if others > 0 {
        named.entry(OTHER.to_owned()).or_default().join(&counts);
    }
    named
}

fn processes(metrics: &mut Metrics, report: &Report, top: usize) -> io::Result<()> {
    let named = named(report, top);
    let name = "kalive_process_connections";
    metrics.family(
        name,
        "ESTABLISHED connections by the program that holds them; empty where it is not known.",
    )?;
    for (process, counts) in &named {
        for (status, value) in [
            ("on", counts.keepalive.on),
            ("off", counts.keepalive.off),
            ("unknown", counts.keepalive.unknown),
        ] {
            let labels = [("process", process.as_str()), ("keepalive", status)];
            metrics.sample(name, &labels, count(value))?;
        }
    }
    if report.survives.is_none() {
        return Ok(());
    }
    let name = "kalive_process_survival_connections";
    metrics.family(name, "The same by whether they would outlive the silence.")?;
    for (process, counts) in &named {
        for (verdict, value) in [
            ("at-risk", counts.verdicts.at_risk),
            ("protected", counts.verdicts.protected),
            ("unknown", counts.verdicts.unknown),
        ] {
            let labels = [("process", process.as_str()), ("verdict", verdict)];
            metrics.sample(name, &labels, count(value))?;
        }
    }
    Ok(())
}

fn detection(metrics: &mut Metrics, report: &Report) -> io::Result<()> {
    let Some(detection) = &report.settings.detection.detection else {
        return Ok(());
    };
    let name = "kalive_detection_seconds";
    metrics.family(
        name,
        "When a socket that follows the sysctls notices a silent peer.",
    )?;
    for (bound, value) in [("nominal", detection.nominal), ("latest", detection.latest)] {
        metrics.sample(name, &[("bound", bound)], value.as_secs_f64())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    /// As a reader of the format takes it apart again.
    #[test]
    fn hostile_labels() {
        attack_text(&["nginx", "a\\b\"c\nd", "}\n# EOF\n"], |text| {
            let escaped = escaped(text);
            let mut read = String::new();
            let mut characters = escaped.chars();
            while let Some(character) = characters.next() {
                assert!(character != '"' && !character.is_control(), "{escaped}");
                read.push(match character {
                    '\\' => match characters.next() {
                        Some('n') => '\n',
                        Some(itself @ ('\\' | '"')) => itself,
                        other => panic!("{other:?} in {escaped}"),
                    },
                    other => other,
                });
            }
            let expected = text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
            assert_eq!(read, expected);
        });
    }

    #[test]
    fn labels_cannot_break_out() {
        assert_eq!(escaped("a\\b\"c\nd\x1be"), "a\\\\b\\\"c\\nd\u{fffd}e");
    }
}

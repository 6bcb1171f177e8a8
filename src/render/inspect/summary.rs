//! The summary of an inspection: short tables that fit 80 columns.

use std::io::{self, Write};

use crate::domain::options::Origin;
use crate::domain::tunables::{self, Tunable};
use crate::render::Layout;
use crate::render::summary::{self, Meaning};
use crate::render::text::{self, Brief};
use crate::report::inspect::{ByFamily, NamespaceReport, Protection, Report, Verdicts, rest};

const PROTECTION: &str = "ESTABLISHED connections, by SO_KEEPALIVE";

/// The whole summary.
pub(super) fn write(
    out: &mut dyn Write,
    report: &Report,
    top: usize,
    layout: Layout,
) -> io::Result<()> {
    let whose = match &report.namespaces[..] {
        [only] if !only.own => {
            format!("Keepalive settings of the network namespace {}", name(only))
        }
        _ => String::from("Keepalive settings of this network namespace"),
    };
    for (title, table) in [
        (whose.as_str(), settings(report, layout)),
        (
            "What they add up to",
            summary::paragraph(layout, &detection(report)),
        ),
    ] {
        summary::section(out, layout, title, &table)?;
    }
    if report.namespaces.len() > 1 {
        summary::section(
            out,
            layout,
            "Network namespaces",
            &namespaces(report, layout),
        )?;
    }
    summary::section(out, layout, "TCP sockets by state", &states(report, layout))?;
    if let Some(counts) = report.protection {
        summary::section(out, layout, PROTECTION, &protection(counts, layout))?;
    }
    reach(out, report, layout)?;
    survival(out, report, top, layout)
}

/// What a list that shows options or verdicts one by one adds up to.
pub(super) fn below_a_list(
    out: &mut dyn Write,
    report: &Report,
    top: usize,
    layout: Layout,
) -> io::Result<()> {
    if report.survives.is_some() || report.sysctls_reach.is_some() {
        writeln!(out)?;
    }
    reach(out, report, layout)?;
    survival(out, report, top, layout)
}

/// For which connections the sysctls decide. Where verdicts were asked for, those are the answer.
fn reach(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    let Some(reach) = report.sysctls_reach.filter(|_| report.survives.is_none()) else {
        return Ok(());
    };
    let mut table = summary::table(layout, &["VALUES", ">SOCKETS", "A CHANGED SYSCTL"]);
    let mut row = |values: &str, count: u64, changes: &str| {
        let meaning = if count == 0 {
            Meaning::Faint
        } else {
            Meaning::Plain
        };
        table.add_row([
            summary::cell(values, meaning),
            summary::cell(count, meaning),
            summary::cell(changes, meaning),
        ]);
    };
    row("none: SO_KEEPALIVE is off", reach.off, "changes nothing");
    row("* set by the program", reach.own, "changes nothing");
    row("* some by the program", reach.partly, "changes the others");
    row(
        "equal the sysctls",
        reach.sysctl,
        "changes them, unless set to the very same",
    );
    row("unknown", reach.unknown, "may change them or not");
    if let Some(left) = reach.outdated_left {
        let fires = format!("counts once it fires: within {}", Brief(left));
        row("with an older timer", reach.outdated_timers, &fires);
    }
    summary::section(
        out,
        layout,
        "Whose keepalive values ESTABLISHED connections have",
        &table,
    )
}

fn survival(out: &mut dyn Write, report: &Report, top: usize, layout: Layout) -> io::Result<()> {
    let (Some(survives), Some(processes)) = (&report.survives, &report.processes) else {
        return Ok(());
    };
    let title = format!(
        "Would they outlive a middlebox that forgets after {} of silence?",
        text::full(survives.limit)
    );
    let mut table = summary::table(layout, &["PROCESS", ">AT RISK", ">PROTECTED", ">UNKNOWN"]);
    let mut row = |name: &str, verdicts: &Verdicts| {
        let worst = match (verdicts.at_risk, verdicts.unknown) {
            (0, 0) => Meaning::Good,
            (0, _) => Meaning::Plain,
            _ => Meaning::Warning,
        };
        let mut shown = String::new();
        text::push_escaped(&mut shown, name);
        table.add_row([
            summary::cell(shown, Meaning::Plain),
            summary::cell(verdicts.at_risk, worst),
            summary::cell(verdicts.protected, Meaning::Plain),
            summary::cell(verdicts.unknown, Meaning::Plain),
        ]);
    };
    let sorted = processes.sorted();
    for process in sorted.iter().take(top) {
        row(process.name.unwrap_or("?"), &process.counts.verdicts);
    }
    let (rest, verdicts) = rest(&sorted, top);
    if rest > 0 {
        row(&format!("({rest} more)"), &verdicts.verdicts);
    }
    row("all connections", &survives.verdicts);
    summary::section(out, layout, &title, &table)
}

fn namespaces(report: &Report, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(
        layout,
        &["NETNS", ">SOCKETS", ">KEEPALIVE TIME", ">PROCESSES", "WHO"],
    );
    for namespace in &report.namespaces {
        let time = match namespace.settings.tunables.get(&tunables::KEEPALIVE_TIME) {
            Ok(seconds) => shown(&tunables::KEEPALIVE_TIME, seconds),
            Err(_) => String::from("?"),
        };
        let own = namespace.own.then(|| String::from("this one"));
        let who: Vec<String> = own
            .into_iter()
            .chain(namespace.names.iter().cloned())
            .chain(namespace.container.clone())
            .collect();
        let mut escaped = String::new();
        text::push_escaped(&mut escaped, &who.join(", "));
        let number = namespace
            .netns
            .map_or_else(|| String::from("?"), |id| id.to_string());
        table.add_row([
            number,
            namespace.count.to_string(),
            time,
            namespace.pids.len().to_string(),
            escaped,
        ]);
    }
    table
}

fn name(namespace: &NamespaceReport) -> String {
    let mut escaped = String::new();
    match (namespace.names.first(), namespace.netns) {
        (Some(name), _) => text::push_escaped(&mut escaped, name),
        (None, Some(id)) => escaped = format!("net:[{id}]"),
        (None, None) => escaped.push('?'),
    }
    escaped
}

fn settings(report: &Report, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(
        layout,
        &["TUNABLE", ">VALUE", ">DEFAULT", "WHAT IT DECIDES"],
    );
    for (tunable, value) in report.settings.tunables.iter() {
        let differs = value.as_ref().is_ok_and(|&value| value != tunable.default);
        let shown = match value {
            Ok(value) if differs => format!("* {}", shown(tunable, *value)),
            Ok(value) => shown(tunable, *value),
            Err(_) => String::from("?"),
        };
        let decides = match value {
            Ok(_) => tunable.decides.to_owned(),
            Err(why) => format!("{} (unknown: {why})", tunable.decides),
        };
        let meaning = if differs {
            Meaning::Warning
        } else {
            Meaning::Plain
        };
        table.add_row([
            summary::cell(tunable.name, Meaning::Plain),
            summary::cell(shown, meaning),
            summary::cell(self::shown(tunable, tunable.default), Meaning::Faint),
            summary::cell(decides, Meaning::Plain),
        ]);
    }
    table
}

fn shown(tunable: &Tunable, value: u64) -> String {
    match tunable.time(value) {
        Some(time) => Brief(time).to_string(),
        None => value.to_string(),
    }
}

/// What the settings add up to, in words.
fn detection(report: &Report) -> String {
    let noticed = match (
        &report.settings.detection.detection,
        &report.settings.detection.detection_unknown,
    ) {
        (Some(prediction), _) => format!(
            "With SO_KEEPALIVE, a socket that sets no values of its own ({} values) notices a silent peer after \
             {}, at the latest {} ({}).",
            Origin::Sysctl,
            text::full(prediction.nominal),
            text::full(prediction.latest),
            match Option::<u32>::from(report.settings.hz) {
                Some(hz) => format!("timers are late, HZ={hz}"),
                None => String::from("timers are late; HZ is not known, so the worst is assumed"),
            },
        ),
        (None, why) => format!(
            "When a socket with SO_KEEPALIVE notices a silent peer is not known: {}.",
            why.as_deref().unwrap_or("not read")
        ),
    };
    let in_flight = match report.settings.tunables.in_flight_at_least() {
        Ok(least) => format!(
            "after {} or more ({})",
            Brief(least),
            tunables::RETRIES2.name
        ),
        Err(why) => format!("after a time that is not known ({why})"),
    };
    format!(
        "{noticed} Without SO_KEEPALIVE an idle socket never notices. With data in flight keepalive is \
         suspended, and the peer is given up {in_flight}. * marks what differs from the kernel's default."
    )
}

fn states(report: &Report, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(layout, &["STATE", ">IPv4", ">IPv6"]);
    for (state, counts) in &report.states {
        let meaning = if counts.total() == 0 {
            Meaning::Faint
        } else {
            Meaning::Plain
        };
        table.add_row([
            summary::cell(state, meaning),
            summary::cell(counts.ipv4, meaning),
            summary::cell(counts.ipv6, meaning),
        ]);
    }
    table
}

fn protection(counts: Protection, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(layout, &["KEEPALIVE", ">IPv4", ">IPv6", "WHAT IT MEANS"]);
    let mut row = |name: &str, counts: ByFamily, meaning: Meaning, text: &str| {
        let meaning = if counts.total() == 0 {
            Meaning::Faint
        } else {
            meaning
        };
        table.add_row([
            summary::cell(name, meaning),
            summary::cell(counts.ipv4, meaning),
            summary::cell(counts.ipv6, meaning),
            summary::cell(text, Meaning::Plain),
        ]);
    };
    row(
        "on",
        counts.on,
        Meaning::Good,
        "idle connections are probed",
    );
    row(
        "off",
        counts.off,
        Meaning::Warning,
        "a silent peer is never noticed",
    );
    row(
        "unknown",
        counts.unknown,
        Meaning::Plain,
        "data in flight hides the timer; --options asks",
    );
    table
}

//! The formats of `kalive inspect`. Rows are written as they come, the report at the end.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Layout;
use super::json::{self, Streamed};
use super::list::{List, ListColumn};
use super::summary::{self, Meaning};
use super::text::{self, Brief};
use crate::cli::Output;
use crate::cli::inspect::Column;
use crate::domain::options::Origin;
use crate::domain::socket::{Enabled, Timer, TimerKind};
use crate::domain::state::State;
use crate::domain::tunables::{self, Tunable};
use crate::plan::inspect::Plan;
use crate::report::inspect::{ByFamily, Report, SocketReport};
use crate::run::inspect::{Held, Incomplete, Row};

const SCHEMA: &str = "kalive.inspect/1";

/// One of the formats.
pub(crate) enum Renderer {
    Summary(Layout),
    List {
        list: List,
        columns: Vec<Column>,
        count: bool,
    },
    Document(Option<Streamed>),
    Events,
}

impl Renderer {
    pub(crate) fn new(output: Output, plan: &Plan, layout: Layout) -> Self {
        match (output, plan.list) {
            (Output::Table, false) => Self::Summary(layout),
            (Output::Table, true) => Self::List {
                list: List::new(
                    plan.columns.iter().map(|&column| heading(column)).collect(),
                    layout,
                ),
                columns: plan.columns.clone(),
                count: layout.cut,
            },
            (Output::Json, list) => Self::Document(list.then(|| Streamed::new(SCHEMA, "sockets"))),
            (Output::Ndjson, _) => Self::Events,
        }
    }

    /// A socket that was asked for.
    pub(crate) fn socket(&mut self, out: &mut dyn Write, row: &Row) -> io::Result<()> {
        match self {
            Self::Summary(_) | Self::Document(None) => Ok(()),
            Self::List { list, columns, .. } => list.row(out, |index, cell| {
                if let Some(&column) = columns.get(index) {
                    push_cell(cell, column, row);
                }
            }),
            Self::Document(Some(streamed)) => streamed.item(out, &SocketReport::new(row)),
            Self::Events => json::event(out, SCHEMA, "socket", &SocketReport::new(row)),
        }
    }

    /// The end.
    pub(crate) fn finish(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        match self {
            Self::Summary(layout) => summarize(out, report, *layout),
            Self::List { list, count, .. } => {
                list.finish(out)?;
                if *count {
                    writeln!(out, "{}", counted(report.count))?;
                }
                Ok(())
            }
            Self::Document(Some(streamed)) => streamed.finish(out, report),
            Self::Document(None) => json::document(out, SCHEMA, report),
            Self::Events => json::event(out, SCHEMA, "report", report),
        }
    }
}

/// What could not be read, as a warning.
pub(crate) fn warning(incomplete: &Incomplete) -> String {
    const SHOWN: usize = 8;
    let mut text = format!("not known: {}: {}", incomplete.what, incomplete.why);
    if !incomplete.pids.is_empty() {
        let pids: Vec<String> = incomplete
            .pids
            .iter()
            .take(SHOWN)
            .map(u32::to_string)
            .collect();
        let more = incomplete.pids.len().saturating_sub(SHOWN);
        let _ = write!(text, " (pid {}", pids.join(", "));
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
        text.push(')');
    }
    text
}

fn counted(sockets: u64) -> String {
    let plural = if sockets == 1 { "" } else { "s" };
    format!("{sockets} socket{plural}")
}

fn heading(column: Column) -> ListColumn {
    let (title, right, elastic) = match column {
        Column::State => ("STATE", false, false),
        Column::Local => ("LOCAL", false, true),
        Column::Peer => ("PEER", false, true),
        Column::Keepalive => ("KEEP", false, false),
        Column::Idle => ("IDLE", true, false),
        Column::Timer => ("TIMER", false, false),
        Column::User => ("USER", false, true),
        Column::Process => ("PROCESS", false, true),
        Column::RecvQ => ("RECV-Q", true, false),
        Column::SendQ => ("SEND-Q", true, false),
        Column::Uid => ("UID", true, false),
        Column::Inode => ("INODE", true, false),
        Column::Cookie => ("COOKIE", true, false),
    };
    ListColumn {
        title,
        right,
        elastic,
    }
}

/// Appends a cell. `-` is "there is none", `?` is "not known".
fn push_cell(cell: &mut String, column: Column, row: &Row) {
    let socket = row.socket;
    let _ = match column {
        Column::State => match socket.state {
            State::Unknown(_) => write!(cell, "{}", socket.state),
            known => cell.write_str(known.short()),
        },
        Column::Local => write!(cell, "{}", socket.local),
        Column::Peer if socket.state == State::Listen => cell.write_str("-"),
        Column::Peer => write!(cell, "{}", socket.peer),
        Column::Keepalive => cell.write_str(match socket.enabled() {
            Enabled::On => "on",
            Enabled::Off => "off",
            Enabled::Unknown(_) => "?",
        }),
        Column::Idle => match (socket.idle(), socket.state.is_synchronized()) {
            (Some(idle), _) => write!(cell, "{}", Brief(idle)),
            (None, true) => cell.write_str("?"),
            (None, false) => cell.write_str("-"),
        },
        Column::Timer => push_timer(cell, socket.timer),
        Column::User => match (row.user, socket.uid) {
            (Some(user), _) => {
                text::push_escaped(cell, user);
                Ok(())
            }
            (None, Some(uid)) => write!(cell, "{uid}"),
            (None, None) => cell.write_str("?"),
        },
        Column::Process => push_holders(cell, row.held),
        Column::RecvQ => write!(cell, "{}", socket.receive_queue),
        Column::SendQ => write!(cell, "{}", socket.send_queue),
        Column::Uid => push_known(cell, socket.uid, "?"),
        Column::Inode => push_known(cell, socket.inode, "-"),
        Column::Cookie => push_known(cell, socket.cookie, "?"),
    };
}

fn push_known(
    cell: &mut String,
    value: Option<impl std::fmt::Display>,
    absent: &str,
) -> std::fmt::Result {
    match value {
        Some(value) => write!(cell, "{value}"),
        None => cell.write_str(absent),
    }
}

/// Such as `keepalive 1h 59m`, `retransmit 1.2s #3`: its kind, what is left, how many times it was in vain.
fn push_timer(cell: &mut String, timer: Timer) -> std::fmt::Result {
    match timer.kind {
        TimerKind::None => return cell.write_str("-"),
        TimerKind::Unknown(number) => write!(cell, "unknown-{number}")?,
        known => cell.write_str(known.name())?,
    }
    if let Some(left) = timer.expires {
        write!(cell, " {}", Brief(left))?;
    }
    if timer.count > 0 {
        write!(cell, " #{}", timer.count)?;
    }
    Ok(())
}

/// Such as `sshd[812]:4`, one for each holder.
fn push_holders(cell: &mut String, held: Held) -> std::fmt::Result {
    let holders = match held {
        Held::By(holders) => holders,
        Held::NoDescriptor => return cell.write_str("-"),
        Held::NotAsked | Held::Unknown => return cell.write_str("?"),
    };
    for (index, holder) in holders.iter().enumerate() {
        if index > 0 {
            cell.push(' ');
        }
        text::push_escaped(cell, holder.name);
        write!(cell, "[{}]:{}", holder.pid, holder.fd)?;
    }
    Ok(())
}

const BY_TIMER: &str = "ESTABLISHED connections, by what their armed timer tells of SO_KEEPALIVE";

fn summarize(out: &mut dyn Write, report: &Report, layout: Layout) -> io::Result<()> {
    for (title, table) in [
        (
            "Keepalive settings of this network namespace",
            settings(report, layout),
        ),
        (
            "What they add up to",
            summary::paragraph(layout, &detection(report)),
        ),
        ("TCP sockets by state", states(report, layout)),
        (BY_TIMER, protection(report, layout)),
    ] {
        summary::section(out, layout, title, &table)?;
    }
    Ok(())
}

fn settings(report: &Report, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(
        layout,
        &["TUNABLE", ">VALUE", ">DEFAULT", "WHAT IT DECIDES"],
    );
    for (tunable, value) in report.tunables.iter() {
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
        &report.detection.detection,
        &report.detection.detection_unknown,
    ) {
        (Some(prediction), _) => format!(
            "With SO_KEEPALIVE, a socket that sets no values of its own ({} values) notices a silent peer after \
             {}, at the latest {} ({}).",
            Origin::Sysctl,
            text::full(prediction.nominal),
            text::full(prediction.latest),
            match Option::<u32>::from(report.hz) {
                Some(hz) => format!("timers are late, HZ={hz}"),
                None => String::from("timers are late; HZ is not known, so the worst is assumed"),
            },
        ),
        (None, why) => format!(
            "When a socket with SO_KEEPALIVE notices a silent peer is not known: {}.",
            why.as_deref().unwrap_or("not read")
        ),
    };
    let in_flight = match report.tunables.in_flight_at_least() {
        Ok(least) => format!(
            "after {} or more ({})",
            text::full(least),
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

fn protection(report: &Report, layout: Layout) -> comfy_table::Table {
    let mut table = summary::table(layout, &["KEEPALIVE", ">IPv4", ">IPv6", "WHAT IT MEANS"]);
    let counts = report.protection;
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
    row("on", counts.on, Meaning::Good, "the keepalive timer runs");
    row(
        "off",
        counts.off,
        Meaning::Warning,
        "no timer runs: a silent peer is never noticed",
    );
    row(
        "unknown",
        counts.unknown,
        Meaning::Plain,
        "data in flight hides the keepalive timer",
    );
    table
}

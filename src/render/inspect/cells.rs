//! The cells of the list of sockets. `-` is "there is none", `?` is "not known".

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::cli::inspect::Column;
use crate::domain::live_options::{LiveOptions, Origins, Unread};
use crate::domain::notice::Notice;
use crate::domain::options::Origin;
use crate::domain::socket::{Enabled, Timer, TimerKind};
use crate::domain::state::State;
use crate::domain::survival::{Doubt, Risk, Verdict};
use crate::render::list::ListColumn;
use crate::render::text::{self, Brief};
use crate::run::inspect::{Held, Options, Row};

/// How a column is headed and laid out.
pub(super) fn heading(column: Column) -> ListColumn {
    let (title, right, elastic) = match column {
        Column::State => ("STATE", false, false),
        Column::Local => ("LOCAL", false, true),
        Column::Peer => ("PEER", false, true),
        Column::Keepalive => ("KEEP", false, false),
        Column::Idle => ("IDLE", true, false),
        Column::Timer => ("TIMER", false, true),
        Column::User => ("USER", false, true),
        Column::Process => ("PROCESS", false, true),
        Column::Options => ("OPTIONS", false, true),
        Column::Notices => ("NOTICES", true, false),
        Column::Keepidle => ("KEEPIDLE", true, false),
        Column::Interval => ("INTVL", true, false),
        Column::Count => ("CNT", true, false),
        Column::UserTimeout => ("USER-TIMEOUT", true, false),
        Column::Survives => ("SURVIVES", false, true),
        Column::Margin => ("MARGIN", true, false),
        Column::Netns => ("NETNS", false, true),
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
        spare: None,
    }
}

/// Which columns that were not asked for by name are left out first where a terminal is too narrow.
pub(super) fn spare(column: Column) -> Option<u8> {
    match column {
        Column::User => Some(0),
        Column::Timer => Some(1),
        Column::Margin | Column::Notices => Some(2),
        _ => None,
    }
}

/// Appends a cell; `limit` is what a verdict was asked for.
pub(super) fn push(cell: &mut String, column: Column, row: &Row, limit: Option<Duration>) {
    let socket = row.socket;
    let _ = match column {
        Column::State => match socket.state {
            State::Unknown(_) => write!(cell, "{}", socket.state),
            known => cell.write_str(known.short()),
        },
        Column::Local => write!(cell, "{}", socket.local),
        Column::Peer if socket.state == State::Listen => cell.write_str("-"),
        Column::Peer => write!(cell, "{}", socket.peer),
        Column::Keepalive => cell.write_str(match row.enabled() {
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
        Column::Options => push_options(cell, row),
        Column::Notices => push_notice(cell, row),
        Column::Keepidle => push_option(cell, row, |options, origins| {
            (Some(options.keepalive.idle), origins.idle)
        }),
        Column::Interval => push_option(cell, row, |options, origins| {
            (Some(options.keepalive.interval), origins.interval)
        }),
        Column::UserTimeout => push_option(cell, row, |options, origins| {
            (options.keepalive.user_timeout, origins.user_timeout)
        }),
        Column::Count => match row.options {
            Options::Read(options) => {
                let origins = options.origins(&row.namespace.tunables);
                let count = options.keepalive.count;
                write!(cell, "{count}{}", Mark(&origins.count))
            }
            Options::NotAsked | Options::Unknown(_) => cell.write_str("?"),
        },
        Column::Survives => push_verdict(cell, row),
        Column::Margin => push_margin(cell, row, limit),
        Column::Netns => push_netns(cell, row),
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
        text::push_escaped(cell, &holder.name);
        write!(cell, "[{}]:{}", holder.pid, holder.fd)?;
    }
    Ok(())
}

/// `*` behind a value that is surely the socket's own; where that is not known, `?`.
struct Mark<'a>(&'a Origin);

impl fmt::Display for Mark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Origin::Socket => "*",
            Origin::Sysctl | Origin::SocketOrSysctl | Origin::Default => "",
            Origin::Unknown(_) => "?",
        })
    }
}

/// Such as `60s*/10s*/9`, and ` U30s` with a TCP_USER_TIMEOUT; `off` without SO_KEEPALIVE, where they do not
/// apply.
fn push_options(cell: &mut String, row: &Row) -> fmt::Result {
    let options = match row.options {
        Options::Read(options) => options,
        Options::Unknown(Unread::NoDescriptor) => return cell.write_str("-"),
        Options::NotAsked | Options::Unknown(_) => return cell.write_str("?"),
    };
    if !options.enabled {
        return cell.write_str("off");
    }
    let origins = options.origins(&row.namespace.tunables);
    let keepalive = options.keepalive;
    write!(
        cell,
        "{}{}/{}{}/{}{}",
        Tight(keepalive.idle),
        Mark(&origins.idle),
        Tight(keepalive.interval),
        Mark(&origins.interval),
        keepalive.count,
        Mark(&origins.count),
    )?;
    match keepalive.user_timeout {
        Some(limit) => write!(cell, " U{}", Tight(limit)),
        None => Ok(()),
    }
}

fn push_notice(cell: &mut String, row: &Row) -> fmt::Result {
    match row.notice() {
        None => cell.write_str("-"),
        Some(Ok(Notice::Never)) => cell.write_str("never"),
        Some(Ok(Notice::Idle(prediction))) => write!(cell, "{}", Brief(prediction.nominal)),
        Some(Ok(Notice::InFlight(_, least))) => write!(cell, ">={}", Brief(least)),
        Some(Err(_)) => cell.write_str("?"),
    }
}

fn push_option(
    cell: &mut String,
    row: &Row,
    pick: impl FnOnce(&LiveOptions, Origins) -> (Option<Duration>, Origin),
) -> fmt::Result {
    let Options::Read(options) = row.options else {
        return cell.write_str("?");
    };
    let (value, origin) = pick(&options, options.origins(&row.namespace.tunables));
    match value {
        Some(value) => write!(cell, "{}{}", Brief(value), Mark(&origin)),
        None => cell.write_str("off"),
    }
}

/// A duration in one exact unit, for cells that hold several: `2h`, `75s`, `1500ms`.
struct Tight(Duration);

impl fmt::Display for Tight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (unit, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
            if milliseconds >= unit && milliseconds.is_multiple_of(unit) {
                return write!(f, "{}{name}", milliseconds / unit);
            }
        }
        write!(f, "{milliseconds}ms")
    }
}

/// Such as `yes` or `no: idle 2h`: the reason in as few words as a column has room for.
fn push_verdict(cell: &mut String, row: &Row) -> fmt::Result {
    let Some(verdict) = row.verdict else {
        return cell.write_str("-");
    };
    match verdict {
        Verdict::Protected(_) => cell.write_str("yes"),
        Verdict::AtRisk(risk) => match risk {
            Risk::NoKeepalive => cell.write_str("no: keepalive off"),
            Risk::IdleTooLong(_) => push_idle(cell, row),
            Risk::IntervalTooLong(_) => cell.write_str("no: interval"),
            Risk::LateTimer(probes) => write!(cell, "no: late, {}", Brief(probes.first_latest)),
            Risk::ArmedForLonger(probes) => write!(cell, "no: once {}", Brief(probes.first_latest)),
            Risk::OneTry(_) => cell.write_str("no: only 1 try"),
            Risk::OneProbeEndsIt(_) => cell.write_str("no: 1 lost ends it"),
            Risk::TimerTooLong(left) => write!(cell, "no: timer {}", Brief(left)),
        },
        Verdict::Unknown(doubt) => match doubt {
            Doubt::Hidden(_) | Doubt::Suspended => cell.write_str("?: data in flight"),
            Doubt::TimerOnly => cell.write_str("?: timer only"),
        },
    }
}

fn push_idle(cell: &mut String, row: &Row) -> fmt::Result {
    match row.options {
        Options::Read(options) => {
            let origins = options.origins(&row.namespace.tunables);
            let idle = options.keepalive.idle;
            write!(cell, "no: idle {}{}", Tight(idle), Mark(&origins.idle))
        }
        Options::NotAsked | Options::Unknown(_) => cell.write_str("no: idle too long"),
    }
}

fn push_margin(cell: &mut String, row: &Row, limit: Option<Duration>) -> fmt::Result {
    let probes = row.verdict.and_then(|verdict| verdict.probes());
    match (probes, limit) {
        (Some(probes), Some(limit)) => match limit.checked_sub(probes.needed_latest) {
            Some(margin) => write!(cell, "{}", Brief(margin)),
            None => write!(
                cell,
                "-{}",
                Brief(probes.needed_latest.saturating_sub(limit))
            ),
        },
        _ => cell.write_str(match row.verdict {
            None | Some(Verdict::AtRisk(Risk::NoKeepalive)) => "-",
            Some(Verdict::Protected(_) | Verdict::AtRisk(_) | Verdict::Unknown(_)) => "?",
        }),
    }
}

fn push_netns(cell: &mut String, row: &Row) -> fmt::Result {
    let namespace = row.namespace;
    match (namespace.names.first(), &namespace.container, namespace.id) {
        (Some(name), _, _) | (None, Some(name), _) => {
            text::push_escaped(cell, name);
            Ok(())
        }
        (None, None, Some(id)) => write!(cell, "{id}"),
        (None, None, None) => cell.write_str("?"),
    }
}

//! TCP sockets from /proc/net/tcp and tcp6 (`get_tcp4_sock` and its kin in net/ipv4/tcp_ipv4.c): the
//! fallback where sock_diag is missing, and the source for a copy of /proc.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead, Read as _};
use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::digits::{decimal, hexadecimal};
use crate::domain::socket::{Socket, Timer, TimerKind};
use crate::domain::state::State;

/// The unit of times in /proc, `USER_HZ`: 10 ms on every architecture that Rust has a Linux target for.
const CLOCK_TICK: Duration = Duration::from_millis(10);
/// Longer lines than this do not come from a kernel; what is beyond is a malformed line too.
const LONGEST_LINE: u64 = 1024;

/// What went wrong with single lines of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableLoss {
    /// Lines that do not follow the format.
    pub(crate) malformed: usize,
    /// The first of them, counted from 1.
    pub(crate) first_malformed: Option<usize>,
    /// Lines that came twice. The kernel steps back where connections come and go while the table is read
    /// (seen on 6.18, never with sock_diag); what makes it repeat lines can make it miss some too.
    pub(crate) repeated: usize,
}

/// Hands each socket of the table to `each`, once. A malformed line costs that line.
///
/// # Errors
/// Those of the reader and of `each`.
pub(crate) fn read<E: From<io::Error>>(
    mut table: impl BufRead,
    mut each: impl FnMut(&Socket) -> Result<(), E>,
) -> Result<TableLoss, E> {
    let mut loss = TableLoss::default();
    let hasher = RandomState::new();
    // Hashes, not rows: this table may be long.
    let mut seen = HashSet::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if (&mut table)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        let heading = number == 1 && line.trim_ascii_start().starts_with(b"sl");
        if heading || line.trim_ascii().is_empty() {
            continue;
        }
        let Some(socket) = str::from_utf8(&line).ok().and_then(parse) else {
            loss.malformed += 1;
            loss.first_malformed.get_or_insert(number);
            continue;
        };
        if seen.insert(hasher.hash_one((socket.local, socket.peer, socket.inode))) {
            each(&socket)?;
        } else {
            loss.repeated += 1;
        }
    }
    Ok(loss)
}

fn parse(line: &str) -> Option<Socket> {
    let mut columns = line.split_ascii_whitespace();
    let _slot = columns.next()?.strip_suffix(':')?;
    let (local, peer) = (address(columns.next()?)?, address(columns.next()?)?);
    let state = hexadecimal(columns.next()?)?;
    let (send_queue, receive_queue) = pair(columns.next()?)?;
    let (timer, expires) = pair(columns.next()?)?;
    let retransmissions: u32 = hexadecimal(columns.next()?)?;
    let uid = decimal(columns.next()?)?;
    let unanswered: u32 = decimal(columns.next()?)?;
    let inode: u32 = decimal(columns.next()?)?;
    let (_references, _pointer) = (columns.next()?, columns.next()?);
    let is_full_socket = columns.next().is_some();

    let state = told_apart(State::from_kernel(state), is_full_socket);
    let kind = TimerKind::from_kernel(u8::try_from(timer).ok()?);
    let count = match kind {
        TimerKind::Keepalive | TimerKind::Persist => unanswered,
        TimerKind::None | TimerKind::Retransmit | TimerKind::TimeWait | TimerKind::Unknown(_) => {
            retransmissions
        }
    };
    Some(Socket {
        state,
        local,
        peer,
        receive_queue,
        send_queue,
        timer: Timer {
            kind,
            expires: (kind != TimerKind::None).then(|| CLOCK_TICK * expires),
            count: u8::try_from(count).unwrap_or(u8::MAX),
        },
        uid: (state != State::TimeWait).then_some(uid),
        inode: (inode != 0).then_some(inode),
        cookie: None,
        activity: None,
    })
}

/// A request in a listener's queue (NEW-SYN-RECV) is printed as SYN-RECV, but without the columns that only
/// a full socket has.
fn told_apart(state: State, is_full_socket: bool) -> State {
    if state == State::SynReceived && !is_full_socket {
        State::NewSynReceived
    } else {
        state
    }
}

/// An address as the kernel prints it: 32-bit words of network order, each in the host's.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port: u16 = hexadecimal(port).filter(|_| port.len() == 4)?;
    let word = |index: usize| {
        let digits = ip.get(index * 8..index * 8 + 8)?;
        hexadecimal(digits).map(u32::to_ne_bytes)
    };
    match ip.len() {
        8 => Some((word(0)?, port).into()),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            Some((octets, port).into())
        }
        _ => None,
    }
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(':')?;
    Some((hexadecimal(first)?, hexadecimal(second)?))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::hostile::{attack, attack_text};

    fn sockets(table: &str) -> (Vec<Socket>, TableLoss) {
        let mut found = Vec::new();
        let loss = read(table.as_bytes(), |socket| {
            found.push(socket.clone());
            Ok::<_, io::Error>(())
        })
        .unwrap();
        (found, loss)
    }

    /// Lines that Linux 6.18 printed.
    const CAPTURED: &str = include_str!("../../tests/data/proc-net-tcp");
    const CAPTURED6: &str = include_str!("../../tests/data/proc-net-tcp6");

    #[test]
    fn a_captured_table() {
        let (found, loss) = sockets(CAPTURED);
        assert_eq!(loss, TableLoss::default());
        insta::assert_debug_snapshot!(found);
    }

    #[test]
    fn a_captured_table_of_ipv6() {
        let (found, loss) = sockets(CAPTURED6);
        assert_eq!(loss, TableLoss::default());
        insta::assert_debug_snapshot!(found);
    }

    #[test]
    fn a_malformed_line_costs_that_line() {
        let whole = CAPTURED.lines().count() - 1;
        let mut lines: Vec<&str> = CAPTURED.lines().collect();
        lines.insert(2, "   1: 0100007F:0016 00000000");
        lines.insert(
            4,
            "   1: 0100007F:0G16 00000000:0000 0A 0:0 00:0 0 0 0 7 1 0",
        );
        let (found, loss) = sockets(&lines.join("\n"));
        assert_eq!(found.len(), whole);
        assert_eq!((loss.malformed, loss.first_malformed), (2, Some(3)));
    }

    #[test]
    fn a_line_that_comes_twice_counts_once() {
        let body = CAPTURED.split_once('\n').unwrap().1;
        let (found, loss) = sockets(&[CAPTURED, body].concat());
        assert_eq!(found.len(), body.lines().count());
        assert_eq!(loss.repeated, found.len());
    }

    #[test]
    fn an_empty_table_has_no_sockets() {
        assert_eq!(sockets("  sl  local_address rem_address\n").0, []);
        assert_eq!(sockets("").0, []);
    }

    /// Wherever a copy was cut off, what it tells is what the whole table tells.
    #[test]
    fn a_cut_table_tells_no_socket_that_is_not_there() {
        for table in [CAPTURED, CAPTURED6] {
            let (all, _) = sockets(table);
            for length in 0..table.len() {
                let (found, _) = sockets(&table[..length]);
                assert!(all.starts_with(&found), "{length}");
            }
        }
    }

    /// No line is lost without being counted.
    #[test]
    fn hostile_tables() {
        attack(&[CAPTURED.as_bytes(), CAPTURED6.as_bytes()], |table| {
            let mut found = 0;
            let loss = read(table, |_| {
                found += 1;
                Ok::<_, io::Error>(())
            });
            let loss = loss.unwrap();
            let lines = table.split(|&byte| byte == b'\n').enumerate();
            let lines = lines.filter(|(index, line)| {
                let heading = *index == 0 && line.trim_ascii_start().starts_with(b"sl");
                !heading && !line.trim_ascii().is_empty()
            });
            let told = found + loss.malformed + loss.repeated;
            // A line that is too long is more than one.
            assert!(told >= lines.count());
        });
    }

    /// What is told of a line stands in it, to the last digit.
    #[test]
    fn hostile_lines() {
        let lines: Vec<&str> = CAPTURED.lines().chain(CAPTURED6.lines()).collect();
        attack_text(&lines, |line| {
            let Some(socket) = parse(line) else {
                return;
            };
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let number = |text: &str, radix| {
                assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
                u64::from_str_radix(text, radix).unwrap()
            };
            for (address, column) in [(socket.local, columns[1]), (socket.peer, columns[2])] {
                let words = match address.ip() {
                    IpAddr::V4(ip) => ip.octets().to_vec(),
                    IpAddr::V6(ip) => ip.octets().to_vec(),
                };
                let words = words
                    .chunks(4)
                    .map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap())));
                let expected = format!("{}:{:04X}", words.collect::<String>(), address.port());
                assert_eq!(column.to_uppercase(), expected);
            }
            let state = match socket.state {
                State::NewSynReceived if columns[3] == "03" => 3,
                state => state.number(),
            };
            assert_eq!(number(columns[3], 16), u64::from(state));
            let (send, receive) = columns[4].split_once(':').unwrap();
            assert_eq!(number(send, 16), u64::from(socket.send_queue));
            assert_eq!(number(receive, 16), u64::from(socket.receive_queue));
            let inode = socket.inode.unwrap_or_default();
            assert_eq!(number(columns[9], 10), u64::from(inode));
            let uid = socket.uid.map_or(number(columns[7], 10), u64::from);
            assert_eq!(number(columns[7], 10), uid);
        });
    }
}

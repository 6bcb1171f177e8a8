//! `kalive inspect` beside `ss` and the bare kernel dump, on loopback sockets of several processes in a private
//! network namespace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kalive::lab::{Lab, Plan};

use crate::{KALIVE, child, dump};

/// How many times each command runs; the median counts.
const RUNS: usize = 9;
/// A process may hold this many descriptors here.
const SOCKETS_A_PROCESS: usize = 19_000;

/// The first argument of a process that only holds sockets.
pub(crate) const HOLD_SOCKETS: &str = "hold-sockets";
const WITHOUT_OWNERS: &str =
    "inspect -s --state all --columns state,local,peer,keepalive,idle,timer,user";
const WITH_OWNERS: &str = "inspect -s --state all";
const WITH_OPTIONS: &str = "inspect -s --state all --options";
const VERDICTS: &str = "inspect -s --state all --options --survives 350s -o ndjson";
const METRICS: &str = "inspect --options --survives 350s -o openmetrics";

pub(crate) fn compare_all() {
    let lab = Lab::build(&Plan::default()).unwrap();
    println!("| sockets | work | time | peer | its time | ratio | memory |");
    println!("|---:|---|---:|---|---:|---:|---:|");
    let mut holders = hold(&lab, 38_000);
    compare(&lab, 38_000, WITHOUT_OWNERS, "ss -tanoi");
    beside_the_dump(&lab, 38_000);
    compare(&lab, 38_000, WITH_OWNERS, "ss -tanop");
    compare(&lab, 38_000, WITH_OPTIONS, "ss -tanop");
    alone(&lab, 38_000, VERDICTS);
    alone(&lab, 38_000, METRICS);
    each_option(&lab, 38_000);
    holders.extend(hold(&lab, 200_000 - 38_000));
    compare(&lab, 200_000, WITHOUT_OWNERS, "ss -tanoi");
    beside_the_dump(&lab, 200_000);
    alone(&lab, 200_000, WITH_OWNERS);
    alone(&lab, 200_000, WITH_OPTIONS);
    for mut holder in holders {
        drop(holder.stdin.take());
        holder.wait().unwrap();
    }
    compare(&lab, 0, "--version", "true");
}

/// Starts processes that hold `sockets` connected sockets between them.
fn hold(lab: &Lab, sockets: usize) -> Vec<Child> {
    let processes = sockets.div_ceil(SOCKETS_A_PROCESS).max(4);
    (0..processes)
        .map(|_| {
            let mut command = Command::new("/proc/self/exe");
            command.args([HOLD_SOCKETS, &(sockets / processes).to_string()]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            lab.client().adopt(&mut command).unwrap();
            let mut child = command.spawn().unwrap();
            let mut ready = String::new();
            BufReader::new(child.stdout.take().unwrap())
                .read_line(&mut ready)
                .unwrap();
            assert_eq!(ready, "ready\n");
            child
        })
        .collect()
}

/// Opens connections to itself, half of them with SO_KEEPALIVE, and keeps them until its input ends.
pub(crate) fn hold_sockets(sockets: usize) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::with_capacity(sockets);
    while held.len() < sockets {
        let client = TcpStream::connect(address).unwrap();
        let keepalive = held.len() % 4 == 0;
        socket2::SockRef::from(&client)
            .set_keepalive(keepalive)
            .unwrap();
        held.push(client);
        held.push(listener.accept().unwrap().0);
    }
    let mut stdout = std::io::stdout();
    stdout.write_all(b"ready\n").unwrap();
    stdout.flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]).unwrap();
}

/// The median time and the largest memory in KiB of a command in the lab.
fn measure(lab: &Lab, program: &str, line: &str) -> Option<(Duration, i64)> {
    let (mut time, mut memory) = (Duration::ZERO, 0);
    let mut command = Command::new(program);
    command
        .args(line.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    lab.client().adopt(&mut command).unwrap();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let child = command.spawn().ok()?;
        // 1 is an answer, such as that connections are at risk.
        memory = memory.max(child::wait(child, &[0, 1]));
        times.push(started.elapsed());
        times.sort_unstable();
        time = times[times.len() / 2];
    }
    Some((time, memory))
}

fn compare(lab: &Lab, sockets: usize, ours: &str, peer: &str) {
    let (time, memory) = measure(lab, KALIVE, ours).unwrap();
    let (program, line) = peer.split_once(' ').unwrap_or((peer, ""));
    let Some((other, _)) = measure(lab, program, line) else {
        println!("skipped: {program} is not installed, so there is nothing to compare with");
        return;
    };
    row(sockets, ours, time, &format!("`{peer}`"), other, memory);
}

/// The same list beside what the kernel needs to write all of it, with tcp_info, into our buffer.
fn beside_the_dump(lab: &Lab, sockets: usize) {
    let (time, memory) = measure(lab, KALIVE, WITHOUT_OWNERS).unwrap();
    let mut dumps: Vec<(Duration, usize)> = (0..RUNS)
        .map(|_| lab.client().run(dump::all).unwrap())
        .collect();
    dumps.sort_unstable();
    let (bare, records) = dumps[dumps.len() / 2];
    assert!(records >= sockets, "the dump had {records} of {sockets}");
    row(
        sockets,
        WITHOUT_OWNERS,
        time,
        "the bare sock_diag dump, unread",
        bare,
        memory,
    );
}

fn row(sockets: usize, ours: &str, time: Duration, peer: &str, other: Duration, memory: i64) {
    println!(
        "| {sockets} | `kalive {ours}` | {:.1} ms | {peer} | {:.1} ms | {:.2} | {:.1} MiB |",
        milliseconds(time),
        milliseconds(other),
        time.as_secs_f64() / other.as_secs_f64(),
        mebibytes(memory),
    );
}

/// What reading the options costs a socket: the difference to the same list without them.
fn each_option(lab: &Lab, sockets: u32) {
    let (with, _) = measure(lab, KALIVE, WITH_OPTIONS).unwrap();
    let (without, _) = measure(lab, KALIVE, WITH_OWNERS).unwrap();
    let each = with.saturating_sub(without) / sockets;
    println!(
        "| {sockets} | all options of one socket | {:.1} us | | | | |",
        each.as_secs_f64() * 1e6
    );
}

fn alone(lab: &Lab, sockets: usize, ours: &str) {
    let (time, memory) = measure(lab, KALIVE, ours).unwrap();
    println!(
        "| {sockets} | `kalive {ours}` | {:.1} ms | | | | {:.1} MiB |",
        milliseconds(time),
        mebibytes(memory),
    );
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn mebibytes(kibibytes: i64) -> f64 {
    kibibytes as f64 / 1_024.0
}

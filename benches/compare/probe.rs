//! How exact `kalive probe` is and what it costs, in a lab. The truth about an end is the kernel's own event:
//! when it gives a silent peer up it sends a RST, which a packet socket sees with the kernel's timestamp, as it
//! saw the last segment that came before.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kalive::lab::{Behaviour, Change, FarEnd, Lab, Path, Plan, servers};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::ReceiveTimestampns,
};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::{KALIVE, child};

/// How many ends are compared.
const ENDS: usize = 50;

pub(crate) fn exactness_and_costs() {
    exactness();
    costs();
}

fn lab() -> Lab {
    Lab::build(&Plan {
        behaviour: Behaviour::default(),
        far_end: FarEnd::Echo,
    })
    .unwrap()
}

fn probe(lab: &Lab, line: &str) -> Child {
    let mut command = Command::new(KALIVE);
    command
        .args(["probe", "-o", "ndjson"])
        .args(line.split_whitespace())
        .stdout(Stdio::piped());
    lab.client().adopt(&mut command).unwrap();
    command.spawn().unwrap()
}

/// The report's times to the end beside those of the packets.
fn exactness() {
    let lab = lab();
    let packets = Packets::capture(&lab);
    let target = format!("{} ", servers()[0]).repeat(ENDS);
    let mut child = probe(
        &lab,
        &format!("{target} --idle 1s --interval 1s --count 2 --rounds 0"),
    );
    let mut connected = 0;
    let mut report = Value::Null;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        report = serde_json::from_str(&line.unwrap()).unwrap();
        connected += usize::from(report["event"] == "connected");
        if connected == ENDS {
            lab.change(Change::Path(Path::Cut)).unwrap();
            connected += 1;
        }
    }
    child.wait().unwrap();
    let truth = packets.times_to_the_end();
    let mut errors: Vec<f64> = report["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| {
            assert_eq!(target["outcome"], "timed-out", "{target}");
            let (_, port) = target["local"].as_str().unwrap().rsplit_once(':').unwrap();
            let reported = target["after_s"].as_f64().unwrap();
            (reported - truth[&port.parse().unwrap()].as_secs_f64()).abs() * 1_000.0
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    println!("| error of the reported time of the end, {ENDS} ends | ms |");
    println!("|---|---:|");
    println!("| median | {:.2} |", errors[errors.len() / 2]);
    println!(
        "| p99 | {:.2} |",
        errors[(errors.len() * 99).div_ceil(100) - 1]
    );
    println!();
}

/// A thread that reads the packets of the lab's client.
struct Packets {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<HashMap<u16, [Option<Duration>; 2]>>,
}

impl Packets {
    fn capture(lab: &Lab) -> Self {
        let all = Protocol::from(i32::from(u16::try_from(libc::ETH_P_ALL).unwrap().to_be()));
        let socket = lab
            .client()
            .run(|| Socket::new(Domain::PACKET, Type::RAW, Some(all)))
            .unwrap()
            .unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        socket.set_recv_buffer_size(8 << 20).unwrap();
        setsockopt(&socket, ReceiveTimestampns, &true).unwrap();
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let socket = OwnedFd::from(socket);
            let mut seen = HashMap::new();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                while let Some((packet, at)) = receive(&socket) {
                    note(&mut seen, &packet, at);
                }
            }
            seen
        });
        Self { stop, thread }
    }

    /// By the client's port: from the last segment received to the RST sent.
    fn times_to_the_end(self) -> HashMap<u16, Duration> {
        self.stop.send(()).unwrap();
        let seen = self.thread.join().unwrap();
        let time = |[heard, reset]: [Option<Duration>; 2]| reset?.checked_sub(heard?);
        seen.into_iter()
            .filter_map(|(port, times)| Some((port, time(times)?)))
            .collect()
    }
}

/// A packet and when the kernel saw it.
fn receive(socket: &OwnedFd) -> Option<(Vec<u8>, Duration)> {
    let mut buffer = [0; 128];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut control = nix::cmsg_space!(libc::timespec);
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::empty(),
    )
    .ok()?;
    let at = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    })?;
    let length = message.bytes.min(128);
    Some((buffer[..length].to_vec(), at))
}

/// Ethernet, IPv4 without options, TCP: enough for the lab.
fn note(seen: &mut HashMap<u16, [Option<Duration>; 2]>, packet: &[u8], at: Duration) {
    const RST: u8 = 4;
    if packet.len() < 48 || packet[12..14] != [8, 0] || packet[23] != 6 {
        return;
    }
    let port = |offset: usize| u16::from_be_bytes([packet[offset], packet[offset + 1]]);
    if port(34) == servers()[0].port() {
        seen.entry(port(36)).or_default()[0] = Some(at);
    } else if packet[47] & RST != 0 {
        seen.entry(port(34)).or_default()[1] = Some(at);
    }
}

/// Processor and memory for few and many targets: with two rounds each, and between rounds.
fn costs() {
    println!(
        "| targets | rounds seen | processor, of one core | between rounds | memory | a target |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut base = 0;
    for targets in [1, 1_000, 10_000] {
        let busy = cost(targets, "--idle 5s --for 12s");
        let idle = cost(targets, "--idle 60s --for 12s");
        if targets == 1 {
            base = busy.memory;
        }
        let each = (busy.memory - base).max(0) as f64 * 1_024.0 / targets as f64;
        println!(
            "| {targets} | {} | {:.2} % | {:.2} % | {:.1} MiB | {each:.0} bytes |",
            busy.rounds,
            busy.share,
            idle.share,
            busy.memory as f64 / 1_024.0
        );
    }
}

/// What a run costs from the moment when all targets are connected until its report.
struct Cost {
    rounds: usize,
    /// Of one core, in percent.
    share: f64,
    /// The largest resident memory in KiB.
    memory: i64,
}

fn cost(targets: usize, options: &str) -> Cost {
    let lab = lab();
    let target = format!("{} ", servers()[0]).repeat(targets);
    let mut child = probe(&lab, &format!("{target} {options}"));
    let (mut connected, mut rounds) = (0, 0);
    let mut from = (Instant::now(), Duration::ZERO);
    let mut share = 0.0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        rounds += usize::from(line.contains("\"event\":\"round\""));
        if line.contains("\"event\":\"connected\"") {
            connected += 1;
            if connected == targets {
                from = (Instant::now(), child::processor(&child));
            }
        } else if line.contains("\"event\":\"ended\"") && share == 0.0 {
            let passed = from.0.elapsed().as_secs_f64();
            share =
                (child::processor(&child).saturating_sub(from.1)).as_secs_f64() / passed * 100.0;
        }
    }
    Cost {
        rounds,
        share,
        memory: child::wait(child, &[0]),
    }
}

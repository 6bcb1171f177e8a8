//! `kalive serve` among thousands of hostile connections: who is honest notices nothing of them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[cfg(test)]
#[path = "common/lab.rs"]
mod common;

use std::fmt;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::in_lab_user_namespace;
use kalive::lab::{Behaviour, Change, FarEnd, Lab, NatTimeout, Path, Plan, servers};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procfs::process::Process;
use serde_json::Value;
use socket2::SockRef;

/// Only what hangs takes longer, on a machine that leaves little to those in the background.
const PATIENCE: Duration = Duration::from_secs(120);
/// As many as the limit of open files allows.
const HOSTILE: usize = 5_000;
const THREADS: usize = 4;
/// What the router forgets after, in whole seconds.
const FORGETS: f64 = 4.0;
/// conntrack counts in jiffies of at most 10 ms.
const JIFFIES: f64 = 0.021;
/// One that is idle takes less; a hostile one can make the server keep a read of 4 KiB and the answers to it.
const BYTES_EACH: u64 = 12 * 1024;
/// By how much a busy machine may be later than one that is not.
const LATE: Duration = Duration::from_millis(500);

#[test]
fn honest_sessions_keep_their_timing_among_hostile_ones() {
    in_lab_user_namespace(|| {
        let behaviour = Behaviour {
            nat_timeout: NatTimeout::new(Duration::from_secs_f64(FORGETS)).unwrap(),
            ..Behaviour::default()
        };
        let far_end = FarEnd::Nothing;
        let lab = Lab::build(&Plan { behaviour, far_end }).unwrap();
        let serve = Serve::start(&lab);
        let alone = Timing::measure(&lab);
        let count = hostile_connections();
        let before = serve.memory();

        let hostility = Hostility::default();
        let among = thread::scope(|scope| {
            let stop = Stop(&hostility.over);
            for _ in 0..THREADS {
                let server = lab.server();
                let hostility = &hostility;
                scope.spawn(move || server.run(|| hostility.go_on(count / THREADS)).unwrap());
            }
            let start = Instant::now();
            while hostility.connected.load(Ordering::Relaxed) < count {
                assert!(start.elapsed() < PATIENCE, "{hostility:?}");
                thread::sleep(Duration::from_millis(10));
            }
            let among = Timing::measure(&lab);
            drop(stop);
            among
        });
        println!("{count} hostile connections: {hostility:?}");
        println!("alone: {alone}\namong them: {among}");
        let each = serve.peak().saturating_sub(before) / u64::try_from(count).unwrap();
        println!("{each} bytes of memory for each of them");
        assert!(each < BYTES_EACH);
        among.is_as_good_as(&alone);
    });
}

/// As many as this process may have open, beside those of the honest.
fn hostile_connections() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let room = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .saturating_sub(200);
    HOSTILE.min(room) / THREADS * THREADS
}

/// `kalive serve` in the lab's server.
struct Serve(Child);

impl Serve {
    fn start(lab: &Lab) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
        command
            .args([
                "serve",
                "--max-sessions-per-client",
                "20000",
                "-o",
                "ndjson",
            ])
            .stdout(Stdio::piped());
        lab.server().adopt(&mut command).unwrap();
        let mut child = command.spawn().unwrap();
        let mut events = BufReader::new(child.stdout.take().unwrap());
        let mut listening = String::new();
        events.read_line(&mut listening).unwrap();
        assert!(listening.contains("listening"), "{listening}");
        thread::spawn(move || std::io::copy(&mut events, &mut std::io::sink()));
        Self(child)
    }

    fn status(&self) -> procfs::process::Status {
        let pid = self.0.id().try_into().unwrap();
        Process::new(pid).unwrap().status().unwrap()
    }

    /// In bytes.
    fn memory(&self) -> u64 {
        self.status().vmrss.unwrap() * 1024
    }

    /// The most that it has ever had.
    fn peak(&self) -> u64 {
        self.status().vmhwm.unwrap() * 1024
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What honest clients see of the server's time.
struct Timing {
    /// From asking it to speak to the byte.
    spoken: Vec<Duration>,
    /// From asking it to speak where nothing comes back to hearing so.
    lost: Vec<Duration>,
    /// The brackets of `kalive hold`, in seconds: outbound, then inbound, where the server has to speak in time.
    brackets: Vec<(f64, f64)>,
}

/// Asked for four bytes with so much between them, the server waits as long after each, twice after the last.
const SPACING: Duration = Duration::from_millis(100);
const GIVES_UP: Duration = Duration::from_millis(500);

impl Timing {
    fn measure(lab: &Lab) -> Self {
        let mut honest: Vec<Honest> = (0..5).map(|_| Honest::connect(lab)).collect();
        let spoken = (0..10).flat_map(|_| honest.iter_mut().map(Honest::hears).collect::<Vec<_>>());
        let spoken = spoken.collect();
        lab.change(Change::Path(Path::Cut)).unwrap();
        let lost = thread::scope(|scope| {
            let asked: Vec<_> = (honest.iter_mut())
                .map(|one| scope.spawn(|| one.is_lost()))
                .collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        lab.change(Change::Path(Path::Open)).unwrap();
        let brackets = brackets(lab);
        Self {
            spoken,
            lost,
            brackets,
        }
    }
}

impl Timing {
    /// Never early, and usually not later than without them: that a busy machine lets one of them wait says
    /// nothing. A bracket always holds the truth.
    fn is_as_good_as(&self, alone: &Self) {
        assert!(self.lost.iter().all(|&lost| lost >= GIVES_UP), "{self}");
        let later = |times: &[Duration], alone: &[Duration]| usual(times) > usual(alone) + LATE;
        assert!(!later(&self.lost, &alone.lost), "{alone}, then {self}");
        assert!(!later(&self.spoken, &alone.spoken), "{alone}, then {self}");
        for (lower, upper) in &self.brackets {
            let right = *lower <= FORGETS + JIFFIES && *upper >= FORGETS - JIFFIES;
            assert!(right, "{self}");
        }
        // Outbound it is the kernels that speak and answer, and hold that has to keep time.
        let width = |timing: &Self| timing.brackets.last().map(|(lower, upper)| upper - lower);
        let most = width(alone).unwrap() + 2.0 * LATE.as_secs_f64();
        assert!(width(self).unwrap() < most, "{self}");
    }
}

impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = |times: &[Duration]| times.iter().max().copied().unwrap_or_default();
        write!(
            f,
            "spoken usually within {:?}, at most {:?}, lost after {:?}, at most {:?}, brackets {:?}",
            usual(&self.spoken),
            worst(&self.spoken),
            usual(&self.lost),
            worst(&self.lost),
            self.brackets
        )
    }
}

/// The median.
fn usual(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// A session through the router, and a control connection beside it.
struct Honest {
    session: TcpStream,
    token: String,
    control: BufReader<TcpStream>,
}

impl Honest {
    fn connect(lab: &Lab) -> Self {
        let [server, _] = servers();
        let connect = || {
            let mut stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut greeting = [0; 32];
            stream.read_exact(&mut greeting).unwrap();
            (
                stream,
                String::from_utf8(greeting[15..31].to_vec()).unwrap(),
            )
        };
        let (session, token) = lab.client().run(connect).unwrap();
        let (mut control, _) = lab.server().run(connect).unwrap();
        control.write_all(CONTROL).unwrap();
        let control = BufReader::new(control);
        Self {
            session,
            token,
            control,
        }
    }

    fn ask(&mut self) -> Instant {
        let request = format!("speak {} 4 {}", self.token, SPACING.as_millis());
        let asked = Instant::now();
        writeln!(self.control.get_mut(), "{request:<63}").unwrap();
        asked
    }

    fn told(&mut self) -> String {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        line
    }

    /// The server speaks: how long it took.
    fn hears(&mut self) -> Duration {
        let asked = self.ask();
        self.session.read_exact(&mut [0]).unwrap();
        let took = asked.elapsed();
        let told = self.told();
        assert!(told.starts_with("acknowledged "), "{told}");
        took
    }

    /// The server speaks in vain: how long that took.
    fn is_lost(&mut self) -> Duration {
        let asked = self.ask();
        let told = self.told();
        assert!(
            told.starts_with("silence ") && told.ends_with(" 4\n"),
            "{told}"
        );
        asked.elapsed()
    }
}

/// Both directions, by `kalive hold` at the client.
fn brackets(lab: &Lab) -> Vec<(f64, f64)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
    command
        .args([
            "hold",
            &servers()[0].to_string(),
            "--max",
            "8s",
            "-o",
            "json",
        ])
        .args(["--direction", "both", "--resolution", "200ms"]);
    lab.client().adopt(&mut command).unwrap();
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["directions"].as_array().unwrap().iter();
    let bound = |found: &Value, name: &str| found["timeout"][name].as_f64();
    let found: Option<Vec<_>> = found
        .map(|found| Some((bound(found, "lower_s")?, bound(found, "upper_s")?)))
        .collect();
    found.unwrap_or_else(|| panic!("{report}"))
}

const CONTROL: &[u8] = b"\0kalive-control/1\n";

/// What the hostile have done.
#[derive(Debug, Default)]
struct Hostility {
    over: AtomicBool,
    connected: AtomicUsize,
    again: AtomicUsize,
    bytes: AtomicUsize,
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Hostility {
    /// Keeps so many connections, and does to each in turn the worst that it can think of. In the background:
    /// it is the server that shall keep them apart, not the scheduler.
    fn go_on(&self, count: usize) {
        rustix::process::nice(19).unwrap();
        let mut all: Vec<Hostile> = (0..count).map(|number| self.one(number)).collect();
        while !self.over.load(Ordering::Relaxed) {
            for (number, hostile) in all.iter_mut().enumerate() {
                if let Ok(bytes) = hostile.act() {
                    self.bytes.fetch_add(bytes, Ordering::Relaxed);
                } else {
                    *hostile = self.one(number);
                    self.again.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn one(&self, number: usize) -> Hostile {
        let port = servers()[0].port();
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        stream.set_nonblocking(true).unwrap();
        // However it ends, it ends with a RST.
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        self.connected.fetch_add(1, Ordering::Relaxed);
        Hostile {
            stream,
            number,
            acts: 0,
        }
    }
}

/// A connection that means no good.
struct Hostile {
    stream: TcpStream,
    number: usize,
    acts: usize,
}

impl Hostile {
    /// The next hostile act: how many bytes were sent, or that it is over.
    fn act(&mut self) -> Result<usize, ()> {
        self.acts += 1;
        let first = self.acts == 1;
        let ping = format!("{:<63}\n", "ping 7");
        let sent = match self.number % 6 {
            // Garbage, which comes back.
            0 => {
                let mut back = [0; 16 * 1024];
                let _nothing_there = self.stream.read(&mut back);
                self.stream.write(&[b'\xa5'; 4_000])
            }
            // Half a line, and never the rest.
            1 if first => self.stream.write(&[CONTROL, b"speak 0123"].concat()),
            // Questions without end, whose answers are not read.
            2 | 3 if first => self.stream.write(CONTROL),
            2 => self.stream.write(ping.repeat(64).as_bytes()),
            // A byte at a time.
            3 => self.stream.write(&ping.as_bytes()[self.acts % 64..][..1]),
            // Malformed, and again.
            4 if first => self
                .stream
                .write(&[CONTROL, [b'x'; 64].as_slice()].concat()),
            4 if self.acts.is_multiple_of(8) => return Err(()),
            1 | 4 => return Ok(0),
            // Comes, and resets at once.
            _ => return Err(()),
        };
        match sent {
            Ok(sent) => Ok(sent),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(()),
        }
    }
}

//! The long run: `inspect --watch 1s`, `hold` with about 5,000 sessions and `serve` side by side in a lab, with
//! connections that come and go. Prints, as Markdown, what each process takes of memory, descriptors and
//! processor time; exits with 1 if memory or descriptors grow.
//! `cargo run --release --example soak -- --for 1h`.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example prints its result; a JSON value's index does not panic"
)]

#[path = "../src/edge.rs"]
mod edge;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Parser;
use kalive::Exit;
use kalive::lab::{Behaviour, FarEnd, Lab, Namespace, NatTimeout, Plan, servers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use serde_json::Value;
use socket2::SockRef;

/// The first argument of a copy of this process that is to be `kalive` itself.
const KALIVE: &str = "kalive";
/// A plan that needs about 2,500 sessions for each direction and outlasts every soak.
const HOLD: &str = "--max 6h30m --resolution 20ms --sessions 3000 --connect-rate 1000 -o json";
const SERVE: &str = "--max-sessions-per-client 10000 -o ndjson";
const INSPECT: &str = "inspect --watch 1s --sockets --state all -o ndjson";
const HELD: u32 = 5_000;
const BETWEEN_SAMPLES: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_secs(120);
/// A round of `inspect --watch 1s` that has no report by then is missing.
const ROUND: Duration = Duration::from_secs(10);
/// Connections that come and go each round.
const PASSING: usize = 10;
/// How much memory may grow from the second quarter to the last: a share, and KiB.
const GROWTH: (f64, f64) = (0.05, 256.0);

/// Watches what kalive takes in the long run.
#[derive(Parser)]
struct Args {
    /// How long, at least 2m
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    time: Duration,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.peek().is_some_and(|word| word == KALIVE) {
        return edge::run(words);
    }
    match soak(Args::parse().time) {
        Ok(true) => Exit::Holds.into(),
        Ok(false) => Exit::Negative.into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            Exit::Failed.into()
        }
    }
}

fn soak(time: Duration) -> Result<bool> {
    // By then hold has opened its sessions within the first quarter.
    ensure!(time >= SHORTEST, "--for is at least 2m");
    kalive::lab::become_root()?;
    let lab = Lab::build(&Plan {
        behaviour: Behaviour {
            nat_timeout: NatTimeout::new(Duration::from_secs(86_400))?,
            ..Behaviour::default()
        },
        far_end: FarEnd::Nothing,
    })?;
    let [server, _] = servers();
    let mut serve = Kalive::start(&lab.server(), &format!("serve --listen {server} {SERVE}"))?;
    let events = serve.events("listening")?;
    events
        .recv_timeout(ROUND)
        .context("serve does not listen")?;
    let mut hold = Kalive::start(lab.client(), &format!("hold {server} {HOLD}"))?;
    let report = hold.output()?;
    let mut inspect = Kalive::start(lab.client(), INSPECT)?;
    let rounds = inspect.events("report")?;

    let mut all = [inspect, hold, serve];
    let watched = watch(&mut all, &rounds, time, || {
        lab.client().run(|| come_and_go(server))?
    })?;
    for process in &mut all {
        process.end()?;
    }
    let report = report.join().map_err(|_| anyhow!("a reader panicked"))??;
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["complete"] == false, "hold was not cut short");
    println!(
        "{} of `inspect --watch 1s`, `hold` and `serve`: {} rounds, each with its report, the slowest after {:.2} s; \
         {} sessions opened by hold; {} connections came and went.\n",
        humantime::format_duration(Duration::from_secs(watched.passed.as_secs())),
        watched.rounds,
        watched.slowest.as_secs_f64(),
        report["cost"]["sessions"],
        watched.rounds * PASSING,
    );
    let [_, hold, _] = &all;
    let kept = hold.samples.last().map_or(0, |sample| sample.descriptors);
    ensure!(kept >= HELD, "hold kept {kept} descriptors only");
    Ok(table(&all, watched.passed))
}

/// What was seen of the rounds of `inspect --watch`.
struct Watched {
    passed: Duration,
    rounds: usize,
    slowest: Duration,
}

/// Takes samples for so long, and lets connections come and go between the rounds.
fn watch(
    all: &mut [Kalive],
    rounds: &Receiver<Value>,
    time: Duration,
    between: impl Fn() -> Result<()>,
) -> Result<Watched> {
    let start = Instant::now();
    let mut watched = Watched {
        passed: Duration::ZERO,
        rounds: 0,
        slowest: Duration::ZERO,
    };
    let mut next = Duration::ZERO;
    while watched.passed < time {
        let round = rounds
            .recv_timeout(ROUND)
            .context("a round of inspect --watch without its report")?;
        ensure!(round["complete"] == true, "an incomplete round: {round}");
        watched.rounds += 1;
        let before = std::mem::replace(&mut watched.passed, start.elapsed());
        watched.slowest = watched.slowest.max(watched.passed.saturating_sub(before));
        // Between two rounds nobody is amidst anything: descriptors can be compared.
        if watched.passed >= next {
            next += BETWEEN_SAMPLES;
            for process in &mut *all {
                process.sample(watched.passed)?;
            }
        }
        between()?;
    }
    Ok(watched)
}

/// Connections that the client opens and ends, every second one with a RST.
fn come_and_go(server: SocketAddr) -> Result<()> {
    for number in 0..PASSING {
        let mut stream = TcpStream::connect(server)?;
        stream.read_exact(&mut [0; 32])?;
        if number % 2 == 0 {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
    }
    Ok(())
}

/// What a process takes at a moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    /// VmRSS in KiB.
    resident: u32,
    descriptors: u32,
    /// Since it started.
    processor: Duration,
}

/// A running subcommand.
struct Kalive {
    name: String,
    child: Child,
    samples: Vec<Sample>,
}

impl Kalive {
    fn start(namespace: &Namespace, line: &str) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(KALIVE)
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        namespace.adopt(&mut command)?;
        Ok(Self {
            name: line.split(' ').next().unwrap_or_default().to_owned(),
            child: command.spawn()?,
            samples: Vec::new(),
        })
    }

    fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("read already")
    }

    /// The events of this kind; others are read and thrown away, and so are all when nobody listens any more.
    fn events(&mut self, event: &str) -> Result<Receiver<Value>> {
        let stdout = BufReader::new(self.stdout()?);
        let wanted = format!("\"event\":\"{event}\"");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(io::Result::ok) {
                if line.contains(&wanted)
                    && let Ok(event) = serde_json::from_str(&line)
                {
                    let _nobody_listens = sender.send(event);
                }
            }
        });
        Ok(receiver)
    }

    /// Everything that it prints, when it has ended.
    fn output(&mut self) -> Result<JoinHandle<io::Result<String>>> {
        let stdout = self.stdout()?;
        Ok(thread::spawn(move || io::read_to_string(stdout)))
    }

    fn sample(&mut self, at: Duration) -> Result<()> {
        let process = Process::new(i32::try_from(self.child.id())?)?;
        let (stat, status) = (process.stat()?, process.status()?);
        let ticks = u32::try_from(stat.utime + stat.stime)?;
        self.samples.push(Sample {
            at,
            resident: u32::try_from(status.vmrss.context("no VmRSS")?)?,
            descriptors: u32::try_from(process.fd_count()?)?,
            processor: Duration::from_secs(1) * ticks / u32::try_from(procfs::ticks_per_second())?,
        });
        Ok(())
    }

    /// Asks it to end, and checks that it does so as promised.
    fn end(&mut self) -> Result<()> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGTERM,
        )?;
        let code = self.child.wait()?.code();
        ensure!(code == Some(143), "{} ended with {code:?}", self.name);
        Ok(())
    }
}

/// Prints a row for each process; whether none has grown.
fn table(all: &[Kalive], passed: Duration) -> bool {
    println!(
        "| process | RSS first quarter | second | last | greatest | slope | descriptors | processor | flat |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|---|");
    // A row for each of them, also after one that has grown.
    let flat: Vec<bool> = all.iter().map(|process| row(process, passed)).collect();
    flat.into_iter().all(|flat| flat)
}

fn row(process: &Kalive, passed: Duration) -> bool {
    let quarter = |number: u32| {
        let (from, to) = (passed / 4 * number, passed / 4 * (number + 1));
        let samples = process.samples.iter();
        samples.filter(move |sample| (from..to).contains(&sample.at))
    };
    let median = |number, of: fn(&Sample) -> u32| {
        let mut all: Vec<u32> = quarter(number).map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let resident = |number| f64::from(median(number, |sample| sample.resident));
    // On a busy machine a sample may come amidst the next round; what leaks is there between rounds too.
    let descriptors = |number| median(number, |sample| sample.descriptors);
    let (second, last) = (resident(1), resident(3));
    let flat = last <= second * (1.0 + GROWTH.0) + GROWTH.1 && descriptors(1) == descriptors(3);
    let greatest = process.samples.iter().map(|sample| sample.resident).max();
    let settled: Vec<Sample> = (1..4).flat_map(quarter).copied().collect();
    println!(
        "| {} | {:.0} KiB | {second:.0} KiB | {last:.0} KiB | {} KiB | {:+.0} KiB/h | {} → {} | {:.1} % | {} |",
        process.name,
        resident(0),
        greatest.unwrap_or_default(),
        slope(&settled),
        descriptors(1),
        descriptors(3),
        share(&settled) * 100.0,
        if flat { "yes" } else { "NO" },
    );
    flat
}

/// By how many KiB memory grows in an hour: least squares.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.iter().fold(0.0, |count, _| count + 1.0);
    let point = |sample: &Sample| (sample.at.as_secs_f64() / 3600.0, f64::from(sample.resident));
    let mean =
        |of: fn((f64, f64)) -> f64| samples.iter().map(|s| of(point(s))).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let deviations = samples.iter().map(point).map(|p| (p.0 - x, p.1 - y));
    let (both, own) = deviations.fold((0.0, 0.0), |(both, own), (dx, dy)| {
        (both + dx * dy, own + dx * dx)
    });
    both / own
}

/// The share of one processor.
fn share(samples: &[Sample]) -> f64 {
    match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => {
            let busy = last.processor.saturating_sub(first.processor);
            busy.as_secs_f64() / last.at.saturating_sub(first.at).as_secs_f64()
        }
        _ => f64::NAN,
    }
}

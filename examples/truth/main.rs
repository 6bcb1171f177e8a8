//! The truth suite: runs kalive on random networks whose truth is known, and tells how often it was right.
//!
//! `cargo run --release --example truth -- --runs 200 --seed N` prints a table in Markdown, and ends with 1 if
//! anything was wrong or one case in twenty inconclusive. `--only K` repeats a single case and shows all of it; which
//! packets get lost, and how busy the machine is, is drawn anew.
//! Needs what `kalive lab` needs. Two hundred runs take some six minutes on two cores: they wait more than they
//! work, so several labs stand side by side.

mod case;
mod dice;
#[path = "../../src/edge.rs"]
mod edge;
mod generate;
mod judge;
mod run;
mod server;
mod table;

use std::io::{self, Write as _};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getres};

use case::Case;
use judge::{Judgement, Tick};
use table::Judged;

/// As its first word makes this program kalive itself.
const KALIVE: &str = "--as-kalive";

/// Runs kalive on random networks whose truth is known, and tells how often it was right.
#[derive(Debug, Parser)]
#[command(name = "truth")]
struct Args {
    /// How many cases
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Which series of cases
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only this case of the series, and everything about it
    #[arg(long, value_name = "K", conflicts_with = "runs")]
    only: Option<u32>,
    /// How many labs side by side [default: 4 for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == KALIVE) {
        return edge::run(std::iter::once("kalive".into()).chain(words));
    }
    let args = Args::parse();
    match prove(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "truth: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// A command that is the kalive of this build.
fn kalive() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(KALIVE)
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR");
    command
}

fn prove(args: &Args) -> Result<bool> {
    // Before any thread is started.
    kalive::lab::become_root()?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // The far ends of all labs are in this process.
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).context("clock_getres")?;
    let tick = Tick(std::time::Duration::from(tick).as_secs_f64());
    let start = Instant::now();
    if let Some(number) = args.only {
        let case = generate::case(args.seed, number);
        writeln!(
            io::stdout(),
            "{case:#?}\nkalive {}",
            case.arguments(0).join(" ")
        )?;
        let all = [try_case(case, tick, true)];
        write!(
            io::stdout(),
            "{}",
            table::markdown(&all, args.seed, start.elapsed())
        )?;
        return Ok(table::count(&all).hold());
    }
    let mut cases: Vec<Case> = (0..args.runs)
        .map(|number| generate::case(args.seed, number))
        .collect();
    // Taken from the end: the longest first, so that none is waited for alone.
    cases.sort_by_key(Case::estimate);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(processors * 4, usize::from);
    let all = side_by_side(cases, jobs, tick);
    let counts = table::count(&all);
    write!(
        io::stdout(),
        "{}",
        table::markdown(&all, args.seed, start.elapsed())
    )?;
    Ok(counts.hold())
}

/// In the order of their numbers.
fn side_by_side(cases: Vec<Case>, jobs: usize, tick: Tick) -> Vec<Judged> {
    let runs = cases.len();
    let waiting = Mutex::new(cases);
    let done = Mutex::new(Vec::new());
    let work = || {
        // A lock is held for no longer than it takes.
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(case) = next() {
            let judged = try_case(case, tick, false);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push(judged);
            if let Some(Judged {
                case,
                judgement,
                elapsed,
            }) = done.last()
            {
                let _ = writeln!(
                    io::stderr(),
                    "{:>4}/{runs} {:>6.1} s  {:12}  {:3} {} {}",
                    done.len(),
                    elapsed.as_secs_f64(),
                    judgement.verdict().to_string(),
                    case.number,
                    case.kind,
                    judgement.why()
                );
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let mut all = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by_key(|judged: &Judged| judged.case.number);
    all
}

fn try_case(case: Case, tick: Tick, show: bool) -> Judged {
    let start = Instant::now();
    let judgement = match run::run(&case) {
        Ok(seen) => {
            if show {
                let _ = writeln!(io::stdout(), "{seen:#?}");
            }
            judge::judge(&case, &seen, tick)
        }
        Err(error) => {
            let mut judgement = Judgement::default();
            judgement.wrong(format!("it could not be run: {error:#}"));
            judgement
        }
    };
    Judged {
        case,
        judgement,
        elapsed: start.elapsed(),
    }
}

//! How long a lab takes to build and to tear down, alone and four at once. Goals: 10 ms, 40 ms.
//! Tearing down is what the caller waits for: the kernel frees the namespaces afterwards, on its
//! own time, which is why building right after it varies. `cargo bench --bench lab`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::thread;
use std::time::{Duration, Instant};

use kalive::lab::{Lab, Plan};

const ROUNDS: usize = 100;

fn main() -> kalive::Result<()> {
    kalive::lab::become_root()?;
    // The first one may load kernel modules.
    drop(Lab::build(&Plan::default())?);
    for labs in [1, 4] {
        let mut rounds = (0..ROUNDS)
            .map(|_| round(labs))
            .collect::<kalive::Result<Vec<_>>>()?;
        rounds.sort();
        let (builds, drops): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        show(&format!("build {labs} at once"), builds);
        show(&format!("tear down {labs} at once"), drops);
    }
    Ok(())
}

/// Times from the start of the first to the end of the last.
fn round(labs: usize) -> kalive::Result<(Duration, Duration)> {
    let start = Instant::now();
    let labs = thread::scope(|scope| {
        let builders: Vec<_> = (0..labs)
            .map(|_| scope.spawn(|| Lab::build(&Plan::default())))
            .collect();
        builders
            .into_iter()
            .filter_map(|builder| builder.join().ok())
            .collect::<kalive::Result<Vec<_>>>()
    })?;
    let built = start.elapsed();
    let start = Instant::now();
    thread::scope(|scope| {
        for lab in labs {
            scope.spawn(|| drop(lab));
        }
    });
    Ok((built, start.elapsed()))
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .map(Duration::as_secs_f64)
    };
    if let (Some(median), Some(most), Some(worst)) = (at(50), at(90), times.last()) {
        println!(
            "{what:<22} median {:6.2} ms   90 % within {:6.2} ms   worst {:6.2} ms",
            median * 1e3,
            most * 1e3,
            worst.as_secs_f64() * 1e3
        );
    }
}

//! How long a lab takes to build and to tear down, alone and four at once. Goals: 10 ms, 40 ms.
//! Tearing down is what the caller waits for: the kernel frees the namespaces afterwards, on its
//! own time, which is why building right after it varies.

use std::thread;
use std::time::{Duration, Instant};

use kalive::lab::{Lab, Plan};

const ROUNDS: usize = 100;

pub(crate) fn times() {
    // The first one may load kernel modules.
    drop(Lab::build(&Plan::default()).unwrap());
    println!("| `kalive lab` | median | 90 % within | worst |");
    println!("|---|---:|---:|---:|");
    for labs in [1, 4] {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(labs)).collect();
        rounds.sort();
        let (builds, drops): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        show(&format!("build {labs} at once"), builds);
        show(&format!("tear down {labs} at once"), drops);
    }
}

/// Times from the start of the first to the end of the last.
fn round(labs: usize) -> (Duration, Duration) {
    let start = Instant::now();
    let labs: Vec<Lab> = thread::scope(|scope| {
        let builders: Vec<_> = (0..labs)
            .map(|_| scope.spawn(|| Lab::build(&Plan::default())))
            .collect();
        let built = builders.into_iter().map(thread::ScopedJoinHandle::join);
        built.map(|lab| lab.unwrap().unwrap()).collect()
    });
    let built = start.elapsed();
    let start = Instant::now();
    thread::scope(|scope| {
        for lab in labs {
            scope.spawn(|| drop(lab));
        }
    });
    (built, start.elapsed())
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at =
        |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "| {what} | {:.2} ms | {:.2} ms | {:.2} ms |",
        at(50),
        at(90),
        at(100)
    );
}

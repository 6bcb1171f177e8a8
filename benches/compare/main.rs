//! What kalive costs and how exact it is, each beside its peer in the same run: `ss` and the bare kernel dump,
//! serial bisection with the same probe, a packet capture. Ratios count, not the times of one machine.
//!
//! `cargo bench` prints Markdown; `cargo bench -- inspect hold` runs only those of inspect, lab, probe, hold.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a bench prints, and may panic"
)]

mod child;
mod dump;
mod hold;
mod inspect;
mod lab;
mod probe;

use kalive::lab::become_root;

const KALIVE: &str = env!("CARGO_BIN_EXE_kalive");

const ALL: [(&str, fn()); 4] = [
    ("inspect", inspect::compare_all),
    ("lab", lab::times),
    ("probe", probe::exactness_and_costs),
    ("hold", hold::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, sockets] = &arguments[..]
        && word == inspect::HOLD_SOCKETS
    {
        return inspect::hold_sockets(sockets.parse().unwrap());
    }
    // cargo adds --bench.
    let wanted: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with("--"))
        .collect();
    for word in &wanted {
        assert!(
            ALL.iter().any(|(name, _)| name == word),
            "there is no bench {word}: write inspect, lab, probe or hold"
        );
    }
    become_root().unwrap();
    println!("{}\n", machine());
    for (name, bench) in ALL {
        if wanted.is_empty() || wanted.contains(&name) {
            bench();
            println!();
        }
    }
}

/// What it ran on, and when.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    format!(
        "{} x {}, Linux {}, {}",
        std::thread::available_parallelism().unwrap(),
        model.map_or("a processor without a name", |(_, name)| name),
        read("/proc/sys/kernel/osrelease").trim(),
        &now[..10],
    )
}

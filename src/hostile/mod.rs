//! Attacks on every parser of outside bytes: real captures, damaged. Each parser's tests say what must hold of
//! whatever comes; here is how it is damaged, how often, and how much memory that may take.
//!
//! A short run is part of `cargo test`. The long one:
//! `KALIVE_FUZZ=100000 cargo test --lib hostile -- --nocapture` (so many inputs for each parser), with
//! `KALIVE_SEED=N` to have one run again. Not in release, where an overflow passes unseen.

mod memory;
mod mutator;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(crate) use mutator::Mutator;

/// How often each parser is attacked in a short run.
const SHORT: u64 = 5_000;
/// What a parser may take at once, whatever comes. clap takes most.
const MEMORY: usize = 512 * 1024;
/// And beside it for each byte.
const MEMORY_PER_BYTE: usize = 64;

/// Expects `property` of the `captures` as they are and of what damage makes of them.
pub(crate) fn attack(captures: &[&[u8]], property: impl Fn(&[u8])) {
    let number = |name| std::env::var(name).map(|number| number.parse().unwrap());
    let seed = number("KALIVE_SEED").unwrap_or_else(|_| fastrand::u64(..));
    let count = number("KALIVE_FUZZ").unwrap_or(SHORT);
    println!("KALIVE_SEED={seed} KALIVE_FUZZ={count}");
    let hold = |input: &[u8]| {
        let peak = catch_unwind(AssertUnwindSafe(|| memory::peak(|| property(input))));
        let most = MEMORY + MEMORY_PER_BYTE * input.len();
        match peak {
            Ok(peak) if peak <= most => {}
            Ok(peak) => panic!("{peak} bytes for \"{}\"", input.escape_ascii()),
            Err(panic) => {
                println!("with \"{}\"", input.escape_ascii());
                resume_unwind(panic)
            }
        }
    };
    for capture in captures {
        hold(capture);
    }
    let mut mutator = Mutator::new(captures, seed);
    for _ in 0..count {
        hold(&mutator.damaged());
    }
}

/// The same for parsers of text: of what is valid UTF-8, and of the rest as it is shown.
pub(crate) fn attack_text(captures: &[&str], property: impl Fn(&str)) {
    let captures: Vec<&[u8]> = captures.iter().map(|text| text.as_bytes()).collect();
    attack(&captures, |bytes| property(&String::from_utf8_lossy(bytes)));
}

//! The kernel's clocks.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::domain::moment::Moment;

/// Now, by CLOCK_MONOTONIC, which stands still while the machine is suspended.
pub(crate) fn now() -> io::Result<Moment> {
    read(ClockId::CLOCK_MONOTONIC).map(Moment::after_start)
}

/// When the last tick was, by the same clock: the kernel runs its timers at ticks.
pub(crate) fn last_tick() -> io::Result<Moment> {
    read(ClockId::CLOCK_MONOTONIC_COARSE).map(Moment::after_start)
}

/// How long the machine has been suspended since it started: CLOCK_BOOTTIME goes on meanwhile. The two
/// clocks are read one after the other, so that the value jitters by microseconds.
pub(crate) fn suspended() -> io::Result<Duration> {
    let monotonic = read(ClockId::CLOCK_MONOTONIC)?;
    Ok(read(ClockId::CLOCK_BOOTTIME)?.saturating_sub(monotonic))
}

fn read(clock: ClockId) -> io::Result<Duration> {
    Ok(clock_gettime(clock)?.into())
}

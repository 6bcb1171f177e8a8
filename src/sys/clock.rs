//! The kernel's clocks.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::domain::moment::Moment;

/// Now, by CLOCK_MONOTONIC, which stands still while the machine is suspended.
pub(crate) fn now() -> io::Result<Moment> {
    read(ClockId::CLOCK_MONOTONIC).map(Moment::after_start)
}

/// When the last tick before `now` was: the kernel runs its timers at ticks. CLOCK_MONOTONIC_COARSE stands at
/// a tick, but may lag behind by several on an idle processor.
pub(crate) fn last_tick(now: Moment, jiffy: Duration) -> io::Result<Moment> {
    let earlier = Moment::after_start(read(ClockId::CLOCK_MONOTONIC_COARSE)?);
    let since = now.since(earlier).as_nanos() % jiffy.as_nanos().max(1);
    Ok(now - Duration::from_nanos(u64::try_from(since).unwrap_or_default()))
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

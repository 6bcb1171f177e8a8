//! The rate of the kernel's ticks, CONFIG_HZ.

use nix::time::{ClockId, clock_getres};

use crate::domain::wheel::{Hz, TickRate};

/// The resolution of the coarse clock is one tick (`KTIME_LOW_RES` in the kernel), which needs no
/// configuration file and no rights.
pub(crate) fn rate() -> TickRate {
    clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)
        .ok()
        .filter(|tick| tick.tv_sec() == 0)
        .and_then(|tick| u64::try_from(tick.tv_nsec()).ok())
        .and_then(hz_of_tick)
        .map_or(TickRate::Unknown, TickRate::Known)
}

fn hz_of_tick(nanoseconds: u64) -> Option<Hz> {
    let half = nanoseconds / 2;
    let hz = (1_000_000_000 + half).checked_div(nanoseconds)?;
    Hz::new(u32::try_from(hz).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's `TICK_NSEC` is rounded: 3333333 for HZ=300.
    #[test]
    fn ticks_to_rates() {
        for (tick, hz) in [
            (4_000_000, 250),
            (1_000_000, 1000),
            (10_000_000, 100),
            (3_333_333, 300),
        ] {
            assert_eq!(hz_of_tick(tick).map(Hz::get), Some(hz));
        }
        assert_eq!(hz_of_tick(0), None);
        assert_eq!(
            hz_of_tick(1),
            None,
            "a clock that is not coarse says nothing of the tick"
        );
    }
}

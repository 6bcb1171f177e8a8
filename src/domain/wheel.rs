//! How late the kernel's timer wheel lets a timer fire. It never fires early.
//! Source: kernel/time/timer.c (`LVL_START`, `LVL_GRAN`, `calc_index`), which rounds up to the
//! granularity of the level that the delay falls into.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// The first level takes delays below this many jiffies (`LVL_SIZE` - 1).
const FIRST_LEVEL: u128 = 63;
/// Each further level is coarser, and reaches further, by this factor (2^`LVL_CLK_SHIFT`).
const FACTOR: u128 = 8;
/// The highest level (`LVL_DEPTH` - 1).
const TOP_LEVEL: u32 = 8;

/// The tick rates that distributions build with; assumed, all of them, where the real one is not known.
const USUAL: [u32; 4] = [100, 250, 300, 1000];

/// CONFIG_HZ: how many jiffies a second has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(into = "Option<u32>")]
#[schemars(with = "Option<u32>")]
pub enum TickRate {
    /// Ticks a second.
    Known(Hz),
    /// Not known: every answer is the worst among the usual rates (100, 250, 300, 1000).
    Unknown,
}

/// A plausible number of ticks a second, 24 to 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hz(u32);

impl Hz {
    /// `None` for a number that no kernel is built with.
    #[must_use]
    pub fn new(hz: u32) -> Option<Self> {
        (24..=10_000).contains(&hz).then_some(Self(hz))
    }

    /// Ticks a second.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<TickRate> for Option<u32> {
    fn from(rate: TickRate) -> Self {
        match rate {
            TickRate::Known(hz) => Some(hz.get()),
            TickRate::Unknown => None,
        }
    }
}

impl TickRate {
    /// The most by which a timer of this delay fires late: one step of its level of the wheel.
    #[must_use]
    pub fn lateness(self, delay: Duration) -> Duration {
        self.worst(|hz| step(hz, delay))
    }

    /// One tick.
    #[must_use]
    pub fn jiffy(self) -> Duration {
        self.worst(|hz| Duration::from_secs(1) / hz)
    }

    fn worst(self, value: impl Fn(u32) -> Duration) -> Duration {
        match self {
            Self::Known(hz) => value(hz.get()),
            Self::Unknown => USUAL.into_iter().map(value).max().unwrap_or_default(),
        }
    }
}

fn step(hz: u32, delay: Duration) -> Duration {
    let jiffies = (delay.as_nanos() * u128::from(hz)).div_ceil(1_000_000_000);
    let mut level = 0;
    let mut below = FIRST_LEVEL;
    while jiffies >= below && level < TOP_LEVEL {
        level += 1;
        below *= FACTOR;
    }
    Duration::from_secs(8_u64.pow(level)) / hz
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(hz: u32) -> TickRate {
        TickRate::Known(Hz::new(hz).unwrap())
    }

    /// The table in kernel-facts: from which delay on the step is how large.
    #[test]
    fn steps_by_tick_rate() {
        for (hz, delay_s, step_ms) in [
            (1000, 4.04, 512),
            (1000, 32.3, 4_096),
            (1000, 258.1, 32_768),
            (1000, 2_064.4, 262_144),
            (250, 16.2, 2_048),
            (250, 129.1, 16_384),
            (250, 1_032.2, 131_072),
            (250, 8_258.0, 1_048_576),
            (100, 40.4, 5_120),
            (100, 322.6, 40_960),
            (100, 2_580.5, 327_680),
        ] {
            let delay = Duration::from_secs_f64(delay_s);
            let expected = Duration::from_millis(step_ms);
            assert_eq!(known(hz).lateness(delay), expected, "HZ {hz}, {delay_s} s");
            assert!(
                known(hz).lateness(delay.mul_f64(0.99)) < expected,
                "HZ {hz}: {delay_s} s is where this step begins"
            );
        }
    }

    #[test]
    fn the_first_level_is_exact_to_a_jiffy() {
        assert_eq!(known(250).lateness(Duration::ZERO), known(250).jiffy());
        assert_eq!(
            known(250).lateness(Duration::from_millis(248)),
            known(250).jiffy()
        );
        assert_eq!(
            known(250).lateness(Duration::from_millis(252)),
            Duration::from_millis(32)
        );
    }

    #[test]
    fn an_unknown_rate_is_the_worst_of_the_usual_ones() {
        let delay = Duration::from_secs(300);
        let worst = USUAL.map(|hz| known(hz).lateness(delay)).into_iter().max();
        assert_eq!(Some(TickRate::Unknown.lateness(delay)), worst);
        assert_eq!(TickRate::Unknown.jiffy(), Duration::from_millis(10));
    }

    /// Lateness relative to the delay has a bound: 8^n jiffies from a delay of 63 * 8^(n-1).
    #[test]
    fn never_later_than_12_7_percent() {
        for seconds in (1..40_000).step_by(7) {
            let delay = Duration::from_secs(seconds);
            for hz in USUAL {
                assert!(
                    known(hz).lateness(delay).as_secs_f64() <= delay.as_secs_f64() * 8.0 / 63.0
                );
            }
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        assert_eq!(
            [0, 23, 24, 250, 10_000, 10_001].map(|hz| Hz::new(hz).is_some()),
            [false, false, true, true, true, false]
        );
    }
}

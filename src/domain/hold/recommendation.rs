//! The keepalive settings that hold a path: the longest `TCP_KEEPIDLE` for which several tries, each as late
//! as the timer wheel allows, fall inside the shortest silence that the path may forget after.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::seconds::{self, Seconds};
use crate::domain::wheel::TickRate;

/// The most that `TCP_KEEPIDLE` and `TCP_KEEPINTVL` take, in seconds.
const MAX_SECONDS: u64 = 32_767;
/// Tries are at most so far apart, in seconds.
const LONGEST_INTERVAL: u64 = 30;
/// There are as many tries after the path's limit as this: an outage of the network is not the peer's death.
const SPARE: u32 = 2;

/// Settings under which the path does not forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Recommendation {
    /// `TCP_KEEPIDLE`.
    #[serde(rename = "idle_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) idle: Duration,
    /// `TCP_KEEPINTVL`.
    #[serde(rename = "interval_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) interval: Duration,
    /// `TCP_KEEPCNT`.
    pub(crate) count: u32,
    /// `TCP_USER_TIMEOUT`: the same moment as idle + interval * count.
    #[serde(rename = "user_timeout_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) user_timeout: Duration,
    /// So many probes in a row may get lost.
    pub(crate) survives_lost_probes: u32,
}

/// What settings have to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// The path remembers at least so long.
    pub(crate) remembers: Duration,
    /// So many probes have to arrive before it forgets.
    pub(crate) tries: u32,
    pub(crate) round_trip: Duration,
    /// That of the machine whose timers send the probes.
    pub(crate) rate: TickRate,
}

impl Held {
    /// The longest idle time, in seconds, with which every try arrives in time, for software that makes its
    /// interval of it.
    pub(crate) fn longest(&self, interval: impl Fn(u64) -> u64) -> Option<u64> {
        let fits = |idle: u64| {
            let interval = Duration::from_secs(interval(idle));
            self.fits(Duration::from_secs(idle), interval)
        };
        largest(self.remembers.as_secs().min(MAX_SECONDS), fits)
    }

    /// Whether the last of the tries arrives in time, every timer as late as can be.
    fn fits(&self, idle: Duration, interval: Duration) -> bool {
        let late = |delay| delay + self.rate.lateness(delay);
        let later = late(interval) * self.tries.saturating_sub(1);
        late(idle) + later + self.round_trip < self.remembers
    }
}

/// `None` where even the shortest settings are too long.
pub(crate) fn recommend(held: &Held) -> Option<Recommendation> {
    let interval = (held.remembers.as_secs() / 20).clamp(1, LONGEST_INTERVAL);
    let idle = Duration::from_secs(held.longest(|_| interval)?);
    let interval = Duration::from_secs(interval);
    let count = held.tries + SPARE;
    Some(Recommendation {
        idle,
        interval,
        count,
        user_timeout: idle + interval * count,
        survives_lost_probes: held.tries.saturating_sub(1),
    })
}

/// The largest number from 1 to `most` that fits. What fits does not fit for every smaller one only in
/// theory: idle + lateness(idle) grows with idle.
fn largest(most: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    let (mut good, mut bad) = (0, most + 1);
    while bad - good > 1 {
        let middle = u64::midpoint(good, bad);
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    (good > 0).then_some(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::wheel::Hz;

    fn recommended(remembers: u64, hz: u32) -> Option<Recommendation> {
        let rate = TickRate::Known(Hz::new(hz).unwrap());
        recommend(&Held {
            remembers: Duration::from_secs(remembers),
            tries: 3,
            round_trip: Duration::from_millis(50),
            rate,
        })
    }

    #[test]
    fn a_cloud_load_balancer_of_350_s() {
        let recommended = recommended(350, 250).unwrap();
        assert_eq!(
            recommended,
            Recommendation {
                idle: Duration::from_secs(295),
                interval: Duration::from_secs(17),
                count: 5,
                user_timeout: Duration::from_secs(380),
                survives_lost_probes: 2,
            }
        );
    }

    #[test]
    fn a_very_short_memory_cannot_be_held() {
        assert_eq!(recommended(1, 250), None);
        assert_eq!(recommended(3, 250), None);
        assert_eq!(recommended(5, 250).unwrap().idle, Duration::from_secs(2));
    }

    proptest::proptest! {
        /// The last of three tries, every timer as late as can be, still arrives in time.
        #[test]
        fn every_try_fits(remembers in 1_u64..100_000, index in 0_usize..4) {
            let rate = [Hz::new(100), Hz::new(250), Hz::new(1000), None][index].map_or(TickRate::Unknown, TickRate::Known);
            let remembers = Duration::from_secs(remembers);
            let held = Held { remembers, tries: 3, round_trip: Duration::ZERO, rate };
            let last = |idle, interval| idle + rate.lateness(idle) + (interval + rate.lateness(interval)) * 2;
            if let Some(found) = recommend(&held) {
                proptest::prop_assert!(last(found.idle, found.interval) < remembers);
                // Software with one value for both always gets one, too.
                let both = Duration::from_secs(held.longest(|idle| idle).unwrap());
                proptest::prop_assert!(last(both, both) < remembers);
            }
        }
    }
}

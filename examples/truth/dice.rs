//! Chance: what is drawn for a case, from a seed. The same seed gives the same values.

use std::time::Duration;

use kalive::lab::{Behaviour, Loss, OnExpiry};

use crate::case::{Direction, Ending, Hold, Options, Probe, Server, Traffic};

/// The longest silence to try where the end comes sooner.
pub(crate) const MINUTES: Duration = Duration::from_secs(600);

/// Chance.
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64, number: u32) -> Self {
        // Neighbours differ in every bit, about (the constant of SplitMix64).
        let mixed = seed ^ (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(fastrand::Rng::with_seed(mixed))
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0.u32(..limit)
    }

    pub(crate) fn chance(&mut self, times: u32, of: u32) -> bool {
        self.below(of) < times
    }

    #[expect(clippy::indexing_slicing, reason = "below the length")]
    pub(crate) fn choose<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.0.usize(..N)]
    }

    pub(crate) fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.0.u64(least..=most))
    }

    pub(crate) fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.0.u64(least..=most))
    }

    pub(crate) fn server(&mut self) -> Server {
        self.choose([Server::Serve, Server::Serve, Server::Echo])
    }

    pub(crate) fn on_expiry(&mut self) -> OnExpiry {
        self.choose([OnExpiry::Drop, OnExpiry::Reset, OnExpiry::Forget])
    }

    /// 0.5 to 20 %, in one direction or both.
    pub(crate) fn lose(&mut self, behaviour: &mut Behaviour) {
        let (out, into) = self.choose([(true, true), (true, false), (false, true)]);
        let mut share = |lossy: bool| {
            let parts = if lossy {
                self.0.u32(5_000..=200_000)
            } else {
                0
            };
            Loss::parts_per_million(parts).unwrap_or_default()
        };
        behaviour.loss_outbound = share(out);
        behaviour.loss_inbound = share(into);
    }

    pub(crate) fn hold(&mut self) -> Hold {
        let resolution = self.choose([200, 500, 1_000, 1_000, 2_000]);
        Hold {
            max: MINUTES,
            resolution: Duration::from_millis(resolution),
            direction: self.choose([
                Direction::Auto,
                Direction::Outbound,
                Direction::Inbound,
                Direction::Both,
            ]),
            sessions: self.choose([256, 256, 128, 48]),
            at_least: None,
            verify: None,
        }
    }

    pub(crate) fn probe(&mut self) -> Probe {
        let (idle, interval) = (self.seconds(1, 6), self.seconds(1, 3));
        let count = self.below(5) + 1;
        let most = idle + interval * (count + 2);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        let limited = self.chance(1, 2);
        let user_timeout = limited.then(|| self.milliseconds(500, most));
        let ending = if self.chance(1, 3) {
            Ending::For(self.milliseconds(2_000, 9_000))
        } else {
            Ending::Rounds(self.below(3) + 1)
        };
        Probe {
            idle,
            interval,
            count,
            user_timeout,
            ending,
            traffic: Traffic::None,
            connect_timeout: Duration::from_secs(10),
            require: "alive",
            closed_port: false,
        }
    }

    /// For a limit of `survives`: too few, too late, one try, or enough, each clear of a late timer.
    pub(crate) fn options(&mut self, survives: Duration) -> Options {
        let limit = survives.as_secs();
        let early = (limit * 3 / 10).max(1);
        let set = |idle: u64, interval: u64| Options {
            keepalive: true,
            idle: Some(Duration::from_secs(idle)),
            interval: Some(Duration::from_secs(interval)),
            ..Options::default()
        };
        match self.below(6) {
            0 => Options::default(),
            1 => Options {
                keepalive: true,
                ..Options::default()
            },
            2 => {
                let interval = self.0.u64(1..=3);
                set(limit + self.0.u64(0..=5), interval)
            }
            3 => set(early, limit + self.0.u64(0..=5) - early),
            4 => Options {
                count: Some(1),
                ..set(early, 1)
            },
            _ => Options {
                count: self.chance(1, 2).then(|| self.below(6) + 2),
                user_timeout: self
                    .chance(1, 3)
                    .then(|| survives + self.milliseconds(1_000, 9_000)),
                ..set(early, self.0.u64(1..=early))
            },
        }
    }
}

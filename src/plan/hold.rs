//! The plan of `kalive hold`: what to search for, with which sessions, and how long that takes.

use std::net::SocketAddr;
use std::time::Duration;

use super::families;
use crate::cli::hold::{DirectionArg, HoldArgs};
use crate::domain::hold::ladder::{FINEST, LONGEST, Ladder, SHORTEST, Search, VERDICT};
use crate::domain::options::Idle;
use crate::domain::target::{Families, Target};
use crate::domain::words::counted;
use crate::error::{Error, Result};
use crate::sys::tcp::Origin;

/// Connections that carry traffic all along.
pub(crate) const CONTROLS: usize = 3;
/// Keepers that nobody asked for, each idle three times as long as the one before, from a second on.
const MOST_KEEPERS: u32 = 8;
const FACTOR: u32 = 3;
/// The longest silence that is tried if nothing else was asked.
const LONG: Duration = Duration::from_secs(2 * 3_600);
/// What a search cannot do without.
const FEWEST: usize = 2;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    pub(crate) families: Families,
    pub(crate) origin: Origin,
    pub(crate) direction: DirectionArg,
    /// Its sessions are those that are left for rungs and vernier.
    pub(crate) search: Search,
    pub(crate) keepers: Vec<Keeper>,
    pub(crate) at_least: Option<Duration>,
    /// Between two connections.
    pub(crate) spacing: Duration,
}

/// A connection that the kernel keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) idle: Idle,
    /// Whether it was asked for with --verify.
    pub(crate) asked: bool,
}

impl Plan {
    /// The ladder of the first pass, and how many passes the resolution takes.
    pub(crate) fn first(&self) -> Result<(Ladder, u32)> {
        let planned = self.search.plan().ok_or_else(|| {
            Error::Usage("there are not enough sessions for a search: raise --sessions".to_owned())
        })?;
        Ok((planned.first, planned.passes))
    }

    /// How long it takes if the path never forgets, connecting included.
    pub(crate) fn at_most(&self) -> Duration {
        let opening = self.spacing * u32::try_from(self.search.sessions).unwrap_or(u32::MAX);
        self.search.max + VERDICT + opening.min(Duration::from_secs(60))
    }

    /// The same with at most so many sessions in all.
    pub(crate) fn within(&self, sessions: usize) -> Result<Self> {
        let mut smaller = self.clone();
        // Those that were asked for stay.
        let asked = |keeper: &&Keeper| keeper.asked;
        if sessions < CONTROLS + self.keepers.len() + 2 * FEWEST {
            smaller.keepers = self.keepers.iter().filter(asked).copied().collect();
        }
        let left = sessions.saturating_sub(CONTROLS + smaller.keepers.len());
        if left < FEWEST {
            return Err(Error::Usage(format!(
                "{}: not enough for a search",
                counted(sessions, "connection")
            )));
        }
        smaller.search.sessions = left.min(self.search.sessions);
        Ok(smaller)
    }
}

/// Descriptors that are not connections of a measurement.
const RESERVED: u64 = 64;

/// How many connections this machine has room for, if those are fewer than planned.
pub(crate) fn room(plan: &Plan, descriptors: u64, ports: Option<u64>) -> Option<usize> {
    let directions = match plan.direction {
        DirectionArg::Outbound | DirectionArg::Inbound => 1,
        DirectionArg::Auto | DirectionArg::Both => 2,
    };
    let wanted = plan.search.sessions + plan.keepers.len() + CONTROLS;
    let room = descriptors.saturating_sub(RESERVED);
    let room = ports.map_or(room, |ports| room.min(ports));
    let each = usize::try_from(room / directions).unwrap_or(usize::MAX);
    (each < wanted).then_some(each)
}

/// # Errors
/// When the arguments contradict each other or ask for what the kernel cannot do.
pub(crate) fn plan(args: &HoldArgs) -> Result<Plan> {
    let wrong = |text: String| Err(Error::Usage(text));
    if args.min < SHORTEST {
        return wrong("--min is at least 1s: TCP_KEEPIDLE takes no less".to_owned());
    }
    // What is longer than --at-least does not change the answer.
    let max = args.max.or(args.at_least).unwrap_or(LONG);
    if max > LONGEST {
        return wrong("--max is at most 9h 5m: TCP_KEEPIDLE takes no more".to_owned());
    }
    if max <= args.min {
        return wrong("--max, else --at-least, has to be longer than --min".to_owned());
    }
    if args.resolution < FINEST {
        return wrong("--resolution is at least 20ms: the kernel's tick is no finer".to_owned());
    }
    if args.resolution > max {
        return wrong("--resolution is longer than --max: nothing so coarse is needed".to_owned());
    }
    if args.at_least.is_some_and(|at_least| at_least > max) {
        return wrong("--at-least is longer than --max: nothing so long would be tried".to_owned());
    }
    let keepers = keepers(args, max)?;
    let sessions = usize::try_from(args.sessions).unwrap_or(usize::MAX);
    let everything = Plan {
        target: args.target.clone(),
        families: families(args.families.into(), args.bind)?,
        origin: Origin {
            address: args.bind.map(|address| SocketAddr::new(address, 0)),
            interface: args.interface.clone(),
        },
        direction: args.direction,
        search: Search {
            min: args.min,
            max,
            resolution: args.resolution,
            sessions,
        },
        keepers,
        at_least: args.at_least,
        spacing: Duration::from_secs(1) / args.connect_rate,
    };
    everything.within(sessions)
}

fn keepers(args: &HoldArgs, max: Duration) -> Result<Vec<Keeper>> {
    let asked = args.verify.iter().map(|&idle| {
        if idle > max {
            return Err(Error::Usage(format!(
                "--verify {} is longer than the longest silence: --max is {}",
                humantime::format_duration(idle),
                humantime::format_duration(max)
            )));
        }
        Idle::new(idle)
            .map(|idle| Keeper { idle, asked: true })
            .map_err(|error| Error::Usage(format!("--verify: {error}")))
    });
    let mut keepers = asked.collect::<Result<Vec<_>>>()?;
    let own = (0..MOST_KEEPERS)
        .map(|n| Duration::from_secs(u64::from(FACTOR.pow(n))))
        .take_while(|&idle| idle < max)
        .filter_map(|idle| Idle::new(idle).ok());
    for idle in own {
        if keepers.iter().all(|keeper| keeper.idle != idle) {
            keepers.push(Keeper { idle, asked: false });
        }
    }
    keepers.sort_by_key(|keeper| keeper.idle);
    Ok(keepers)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn planned(line: &str) -> Result<Plan> {
        let words = format!("kalive hold {line}");
        match Cli::try_parse_from(words.split_whitespace())
            .unwrap()
            .command
        {
            Command::Hold(args) => plan(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_plan() {
        let keeper = |seconds, asked| Keeper {
            idle: Idle::new(Duration::from_secs(seconds)).unwrap(),
            asked,
        };
        let expected = Plan {
            target: Target::parse("db:5432", None).unwrap(),
            families: Families::OnlyV4,
            origin: Origin::default(),
            direction: DirectionArg::Auto,
            search: Search {
                min: Duration::from_secs(1),
                max: Duration::from_secs(20),
                resolution: Duration::from_millis(500),
                sessions: 100 - 3 - 4,
            },
            keepers: vec![
                keeper(1, false),
                keeper(3, true),
                keeper(5, true),
                keeper(9, false),
            ],
            at_least: Some(Duration::from_secs(10)),
            spacing: Duration::from_millis(5),
        };
        let line =
            "db:5432 -4 --max 20s --resolution 500ms --verify 5s,3s --at-least 10s --sessions 100";
        assert_eq!(planned(line).unwrap(), expected);
    }

    #[test]
    fn the_default_takes_one_pass_within_256_sessions() {
        let plan = planned("db:5432").unwrap();
        let (first, passes) = plan.first().unwrap();
        assert_eq!(passes, 1);
        assert!(first.sessions() + plan.keepers.len() + CONTROLS <= 256);
    }

    #[test]
    fn what_is_longer_than_at_least_is_not_tried() {
        let plan = planned("db:5432 --at-least 5m").unwrap();
        assert_eq!(plan.search.max, Duration::from_secs(300));
        let (first, _) = plan.first().unwrap();
        assert!(first.rungs.last() >= Some(&plan.search.max), "{first:?}");
    }

    #[test]
    fn a_smaller_plan_gives_up_what_nobody_asked_for() {
        let plan = planned("db:5432 --verify 60s").unwrap();
        let smaller = plan.within(10).unwrap();
        assert_eq!(smaller.keepers.len(), 1);
        assert_eq!(smaller.search.sessions, 6);
        assert!(plan.within(5).is_err());
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        for (line, why) in [
            ("a:1 --min 500ms", "--min is at least 1s"),
            ("a:1 --max 10h", "--max is at most"),
            ("a:1 --max 1s", "has to be longer"),
            ("a:1 --resolution 1ms", "--resolution is at least"),
            ("a:1 --resolution 3h", "--resolution is longer"),
            ("a:1 --max 2h --at-least 3h", "--at-least is longer"),
            (
                "a:1 --at-least 1s",
                "--at-least, has to be longer than --min",
            ),
            ("a:1 --verify 1500ms", "TCP_KEEPIDLE cannot be"),
            ("a:1 --verify 3h", "--max is 2h"),
            ("a:1 --bind ::1 -4", "--bind ::1 is not of the family"),
        ] {
            let error = planned(line).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}

//! Random cases from all that a lab can do. Pure: the same seed and number make the same case, whatever else
//! is run. Limits that a late timer may or may not reach are left out, since nobody knows their truth.

use std::time::Duration;

use kalive::lab::{Behaviour, Change, NatTimeout, OnExpiry, Path};

use crate::case::{Case, Direction, Ending, Inspect, Kind, Probe, Server, Step, Tool, Traffic};
use crate::dice::{Dice, MINUTES};

/// How often each kind comes in a round of all.
const WEIGHTS: [(Kind, usize); 23] = [
    (Kind::HoldDrop, 3),
    (Kind::ProbeCut, 3),
    (Kind::HoldLoss, 6),
    (Kind::ProbeLoss, 4),
    (Kind::HoldReset, 2),
    (Kind::ProbeForgotten, 3),
    (Kind::Inspect, 3),
    (Kind::HoldForget, 2),
    (Kind::ProbeReboot, 2),
    (Kind::HoldCut, 2),
    (Kind::ProbeInFlight, 3),
    (Kind::HoldAge, 3),
    (Kind::ProbeAlive, 2),
    (Kind::HoldReboot, 2),
    (Kind::ProbeService, 3),
    (Kind::HoldFarKeepalive, 2),
    (Kind::ProbeClosed, 2),
    (Kind::HoldUntracked, 1),
    (Kind::ProbeConnect, 2),
    (Kind::HoldUnreachable, 1),
    (Kind::ProbeUnreachable, 1),
    (Kind::HoldRemembers, 1),
    (Kind::ProbeFarKeepalive, 1),
];

/// Case `number` of the series `seed`.
pub(crate) fn case(seed: u64, number: u32) -> Case {
    let kind = kind(number);
    let mut dice = Dice::new(seed, number);
    let mut case = Case {
        number,
        kind,
        server: dice.server(),
        behaviour: Behaviour::default(),
        v6: dice.chance(1, 2),
        step: None,
        tool: Tool::Hold(dice.hold()),
    };
    match kind {
        Kind::HoldDrop
        | Kind::HoldReset
        | Kind::HoldForget
        | Kind::HoldUntracked
        | Kind::HoldRemembers
        | Kind::HoldLoss => forgetful(&mut case, &mut dice),
        Kind::HoldCut | Kind::HoldUnreachable | Kind::HoldReboot => {
            let change = match kind {
                Kind::HoldCut => Change::Path(Path::Cut),
                Kind::HoldUnreachable => Change::Path(Path::Unreachable),
                _ => Change::RebootPeer,
            };
            // In the middle of a silence, or while connections are still being made.
            let after = dice.milliseconds(1_000, 14_000);
            case.step = Some(Step { after, change });
            if dice.chance(1, 2) {
                let later = after.as_secs() + 3;
                case.behaviour.nat_timeout = timeout(dice.seconds(later, later + 12));
            }
        }
        Kind::HoldAge => closing(&mut case, &mut dice),
        Kind::HoldFarKeepalive => far_keepalive(&mut case, &mut dice),
        Kind::Inspect => inspected(&mut case, &mut dice),
        Kind::ProbeAlive
        | Kind::ProbeForgotten
        | Kind::ProbeCut
        | Kind::ProbeUnreachable
        | Kind::ProbeReboot
        | Kind::ProbeInFlight
        | Kind::ProbeLoss
        | Kind::ProbeClosed
        | Kind::ProbeService
        | Kind::ProbeConnect
        | Kind::ProbeFarKeepalive => probed(&mut case, &mut dice),
    }
    fit(&mut case);
    case
}

/// In turn, so that a short series has something of everything.
fn kind(number: u32) -> Kind {
    let most = WEIGHTS.iter().map(|(_, weight)| *weight).max();
    let sequence: Vec<Kind> = (0..most.unwrap_or_default())
        .flat_map(|round| WEIGHTS.iter().filter(move |(_, weight)| *weight > round))
        .map(|(kind, _)| *kind)
        .collect();
    let place = usize::try_from(number).unwrap_or_default() % sequence.len().max(1);
    sequence.get(place).copied().unwrap_or(Kind::HoldDrop)
}

/// What the far end cannot do is not asked of it.
fn fit(case: &mut Case) {
    let speaks = matches!(case.server, Server::Serve | Server::ServeAge(_));
    if let Tool::Hold(hold) = &mut case.tool
        && !speaks
    {
        hold.direction = match hold.direction {
            Direction::Auto | Direction::Both => Direction::Auto,
            Direction::Outbound | Direction::Inbound => Direction::Outbound,
        };
    }
}

fn forgetful(case: &mut Case, dice: &mut Dice) {
    let forgets = match case.kind {
        Kind::HoldLoss => dice.seconds(2, 20),
        Kind::HoldForget | Kind::HoldUntracked => dice.seconds(2, 18),
        _ => dice.seconds(2, 30),
    };
    case.behaviour.nat_timeout = timeout(forgets);
    case.behaviour.on_expiry = match case.kind {
        Kind::HoldReset => OnExpiry::Reset,
        Kind::HoldForget => OnExpiry::Forget,
        Kind::HoldUntracked => dice.choose([OnExpiry::Drop, OnExpiry::Reset]),
        Kind::HoldLoss => dice.on_expiry(),
        _ => OnExpiry::Drop,
    };
    case.behaviour.untracked_keepalives = case.kind == Kind::HoldUntracked;
    if case.kind == Kind::HoldLoss {
        dice.lose(&mut case.behaviour);
    }
    let Tool::Hold(hold) = &mut case.tool else {
        return;
    };
    let reached = forgets + forgets / 5 + Duration::from_secs(2);
    // Where this side sees no end, the search goes on to --max.
    let endless = case.behaviour.on_expiry == OnExpiry::Forget
        || case.kind == Kind::HoldUntracked
        || case.kind == Kind::HoldRemembers;
    hold.max = match case.kind {
        Kind::HoldRemembers => (forgets * 2 / 3).max(Duration::from_millis(1_500)),
        _ if endless => reached + dice.milliseconds(0, 6_000),
        _ => dice.choose([reached, forgets * 2 + Duration::from_secs(2), MINUTES]),
    };
    hold.resolution = hold.resolution.min(hold.max);
    if case.kind == Kind::HoldRemembers {
        return;
    }
    let second = Duration::from_secs(1);
    // Not what lies within the bracket, and may be answered either way.
    let away = hold.resolution + second * 2;
    let (long, short) = (forgets + away, forgets.checked_sub(away));
    if dice.chance(1, 3) && case.kind != Kind::HoldLoss {
        let below = short.filter(|short| *short >= second && dice.chance(1, 2));
        hold.at_least = Some(below.unwrap_or(long).min(hold.max));
    }
    let plain = matches!(case.kind, Kind::HoldDrop | Kind::HoldReset);
    if plain && dice.chance(1, 3) {
        // Late by an eighth at the most.
        let below = Duration::from_secs((forgets * 3 / 4).as_secs());
        let holds = below >= second && dice.chance(2, 3);
        let idle = if holds { below } else { forgets + second };
        hold.verify = Some(idle).filter(|idle| *idle <= hold.max);
    }
}

fn closing(case: &mut Case, dice: &mut Dice) {
    let age = dice.milliseconds(2_500, 20_000);
    case.server = match dice.below(3) {
        0 => Server::ServeAge(age),
        1 => Server::Closing { age, reset: false },
        _ => Server::Closing { age, reset: true },
    };
    if let Tool::Hold(hold) = &mut case.tool {
        hold.max = (age * 2).max(hold.max);
    }
    let plain = matches!(case.server, Server::Closing { reset: false, .. });
    if case.kind == Kind::HoldAge && plain && dice.chance(1, 2) {
        // The path forgets before the server closes. (Not where it resets, as a peer does that has rebooted, nor
        // kalive serve, which cannot speak any more on what it has closed.)
        let before = age.as_secs() * 2 / 3;
        case.behaviour.nat_timeout = timeout(Duration::from_secs(before.max(2)));
    }
}

fn far_keepalive(case: &mut Case, dice: &mut Dice) {
    let idle = dice.seconds(1, 8);
    case.server = Server::Keepalive(idle);
    let earlier = idle.checked_sub(Duration::from_secs(2));
    let earlier = earlier.filter(|earlier| earlier.as_secs() >= 2 && dice.chance(1, 3));
    if let Some(earlier) = earlier {
        // It comes too late.
        case.behaviour.nat_timeout = timeout(earlier);
    } else if dice.chance(1, 2) {
        case.behaviour.nat_timeout = timeout(idle * 2 + Duration::from_secs(1));
    }
    case.behaviour.on_expiry = dice.choose([OnExpiry::Drop, OnExpiry::Reset]);
}

fn probed(case: &mut Case, dice: &mut Dice) {
    let mut probe = dice.probe();
    let wait = probe.idle.max(probe.interval);
    let step = |after, change| Some(Step { after, change });
    let moment = dice.milliseconds(1_000, 8_000);
    match case.kind {
        Kind::ProbeForgotten => {
            case.behaviour.on_expiry = dice.on_expiry();
            case.behaviour.nat_timeout = timeout(dice.seconds(2, 6));
            probe.idle = case.behaviour.nat_timeout.get() + dice.seconds(1, 2);
            if case.behaviour.on_expiry != OnExpiry::Forget {
                probe.ending = Ending::Never;
            }
        }
        Kind::ProbeCut | Kind::ProbeUnreachable | Kind::ProbeReboot => {
            probe.ending = Ending::Never;
            let change = match case.kind {
                Kind::ProbeCut => Change::Path(Path::Cut),
                Kind::ProbeUnreachable => Change::Path(Path::Unreachable),
                _ => Change::RebootPeer,
            };
            case.step = step(moment, change);
        }
        Kind::ProbeInFlight => {
            probe.ending = Ending::Never;
            probe.user_timeout = Some(dice.milliseconds(1_000, 8_000));
            let change = dice.choose([
                Change::Path(Path::Cut),
                Change::Path(Path::Unreachable),
                Change::RebootPeer,
            ]);
            let told = change == Change::Path(Path::Unreachable) && dice.chance(1, 2);
            probe.traffic = Traffic::InFlight { icmp_errors: told };
            case.step = step(moment, change);
        }
        Kind::ProbeLoss => {
            dice.lose(&mut case.behaviour);
            probe.ending = Ending::Rounds(dice.below(5) + 2);
            if dice.chance(1, 4) {
                probe.traffic = Traffic::InFlight { icmp_errors: false };
                probe.user_timeout = probe.user_timeout.map(|limit| limit * 4);
            }
        }
        Kind::ProbeClosed => {
            probe.ending = Ending::Never;
            closing(case, dice);
        }
        Kind::ProbeService => service(case, &mut probe, dice),
        Kind::ProbeConnect => {
            match dice.below(3) {
                0 => probe.closed_port = true,
                1 => case.behaviour.path = Path::Unreachable,
                _ => case.behaviour.path = Path::Cut,
            }
            probe.connect_timeout = dice.milliseconds(500, 5_000);
        }
        Kind::ProbeFarKeepalive => {
            let far = dice.seconds(1, 3);
            case.server = Server::Keepalive(far);
            // This side's own keepalive would come too late: the far end's holds the path.
            case.behaviour.nat_timeout = timeout(far + Duration::from_secs(2));
            probe.idle = far + dice.seconds(3, 4);
            // Until this side has spoken once, the far end has.
            probe.ending = Ending::Rounds(dice.below(2) + 1);
        }
        _ if dice.chance(1, 2) => {
            // Keepalives that hold the path, however late.
            let holds = wait + wait / 7 + Duration::from_secs(2);
            case.behaviour.nat_timeout = timeout(Duration::from_secs(holds.as_secs()));
        }
        _ => {}
    }
    if !dice.chance(1, 3) {
        probe.require = crate::judge::truth::expected(case, &probe);
    }
    case.tool = Tool::Probe(probe);
}

/// Is the service stuck, or the network? Or neither.
fn service(case: &mut Case, probe: &mut Probe, dice: &mut Dice) {
    let every = dice.seconds(1, 4);
    probe.traffic = Traffic::Heartbeat(every);
    match dice.below(3) {
        0 => case.server = Server::Echo,
        1 => {
            case.server = Server::Stuck {
                answers: dice.below(3),
            };
            probe.ending = Ending::Never;
        }
        _ => {
            case.server = Server::Echo;
            probe.ending = Ending::Never;
            // Without it, data in flight takes a quarter of an hour.
            probe.user_timeout = Some(dice.milliseconds(1_000, 8_000));
            let after = dice.milliseconds(1_000, 8_000);
            let change = Change::Path(Path::Cut);
            case.step = Some(Step { after, change });
        }
    }
}

fn inspected(case: &mut Case, dice: &mut Dice) {
    let survives = dice.seconds(4, 14);
    case.server = Server::Echo;
    case.behaviour.nat_timeout = timeout(survives);
    let sockets = (0..dice.below(8) + 3)
        .map(|_| dice.options(survives))
        .collect();
    case.tool = Tool::Inspect(Inspect { survives, sockets });
}

fn timeout(time: Duration) -> NatTimeout {
    NatTimeout::new(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use kalive::lab::Loss;

    use super::*;

    #[test]
    fn a_case_depends_on_its_seed_and_number_alone() {
        for number in 0..500 {
            assert_eq!(case(7, number), case(7, number));
        }
        let differs = (0..500).filter(|&number| case(7, number) != case(8, number));
        assert!(differs.count() > 490);
    }

    #[test]
    fn a_round_has_every_kind_as_often_as_it_weighs() {
        let round: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        for (kind, weight) in WEIGHTS {
            let round = 0..u32::try_from(round).unwrap();
            let found = round.filter(|&n| case(1, n).kind == kind).count();
            assert_eq!(found, weight, "{kind}");
        }
        assert_eq!(
            (0..23)
                .map(kind)
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            23
        );
    }

    /// Everything that the lab can do comes up, and nothing beyond what is promised.
    #[test]
    fn the_ranges_are_used_and_kept() {
        let cases: Vec<Case> = (0..5_000).map(|number| case(3, number)).collect();
        let forgets = |case: &&Case| case.behaviour.nat_timeout != NatTimeout::default();
        let timeouts: std::collections::BTreeSet<u64> = cases
            .iter()
            .filter(forgets)
            .filter(|case| matches!(case.tool, Tool::Hold(_)))
            .map(|case| case.behaviour.nat_timeout.get().as_secs())
            .collect();
        for seconds in 2..=30 {
            assert!(timeouts.contains(&seconds), "{seconds}");
        }
        let most = |loss: fn(&Behaviour) -> Loss| {
            cases
                .iter()
                .map(|case| loss(&case.behaviour).get())
                .max()
                .unwrap()
        };
        for loss in [
            most(|behaviour| behaviour.loss_outbound),
            most(|behaviour| behaviour.loss_inbound),
        ] {
            assert!((190_000..=200_000).contains(&loss), "{loss}");
        }
        assert!(cases.iter().any(|case| case.v6) && cases.iter().any(|case| !case.v6));
        for case in &cases {
            assert!(case.estimate() < Duration::from_secs(120), "{case:?}");
        }
    }

    /// No keepalive option or limit that kalive refuses: every case is a measurement.
    #[test]
    fn every_command_line_is_understood() {
        use clap::Parser as _;
        for number in 0..2_000 {
            let case = case(11, number);
            let words = std::iter::once("kalive".to_owned()).chain(case.arguments(1));
            kalive::cli::Cli::try_parse_from(words).unwrap_or_else(|e| panic!("{case:?}: {e}"));
            if let Tool::Hold(hold) = &case.tool {
                for asked in [hold.at_least, hold.verify].into_iter().flatten() {
                    assert!(asked <= hold.max, "{case:?}");
                }
            }
        }
    }
}

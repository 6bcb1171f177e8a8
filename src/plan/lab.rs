//! The plan of `kalive lab`: which network, what happens to it when, and what is done in it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::lab::LabArgs;
use crate::cli::probe;
use crate::domain::lab::Outcome;
use crate::lab::{self, Behaviour, Change, FarEnd, Loss, OnExpiry, Path};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The network to build.
    pub(crate) lab: lab::Plan,
    /// What happens to it, in the order of time.
    pub(crate) steps: Vec<Step>,
    /// What to do in it.
    pub(crate) work: Work,
    /// What kalive itself is to find out about it meanwhile.
    pub(crate) tools: Vec<Tool>,
}

/// A subcommand of kalive that measures the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) arguments: Vec<String>,
    pub(crate) truth: ToolTruth,
}

/// What a subcommand is to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolTruth {
    /// `hold`: after how much silence the router forgets, and what it does with packets that are late.
    Forgets { after: Duration, then: OnExpiry },
    /// `probe`: with this outcome.
    Ends(probe::Outcome),
}

/// A change so long after the network stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) change: Change,
}

/// What is done in the client's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Run a command.
    Command {
        program: OsString,
        arguments: Vec<OsString>,
    },
    /// Try these connections, all at once.
    Demonstration(Vec<Trial>),
}

/// A connection that is silent for a while, and what the network is known to do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) server: SocketAddr,
    /// `TCP_KEEPIDLE` and `TCP_KEEPINTVL`, if keepalive is on.
    pub(crate) keepalive: Option<Duration>,
    pub(crate) silence: Duration,
    pub(crate) truth: Outcome,
}

pub(crate) fn plan(args: &LabArgs) -> Plan {
    let behaviour = Behaviour {
        nat_timeout: args.nat_timeout,
        on_expiry: args.on_expiry.into(),
        loss_outbound: args.loss,
        loss_inbound: args.loss,
        path: Path::Open,
        untracked_keepalives: args.untracked_keepalives,
    };
    let steps = steps(args);
    let work = match args.command.split_first() {
        Some((program, arguments)) => Work::Command {
            program: program.clone(),
            arguments: arguments.to_vec(),
        },
        None => Work::Demonstration(trials(&behaviour, &steps)),
    };
    let far_end = args.server.clone().map_or(FarEnd::Serve, FarEnd::Command);
    let tools = match &work {
        Work::Command { .. } => Vec::new(),
        Work::Demonstration(_) => tools(&behaviour, &steps),
    };
    Plan {
        lab: lab::Plan { behaviour, far_end },
        steps,
        work,
        tools,
    }
}

/// The longest timeout that the demonstration has kalive measure, so that it stays short.
const LONGEST_MEASURED: Duration = Duration::from_secs(60);

/// `hold` finds the timeout; `probe` meets it with keepalives that come too late. Only where the network stays
/// as it is and loses nothing is it known beforehand what they must find.
fn tools(behaviour: &Behaviour, steps: &[Step]) -> Vec<Tool> {
    let timeout = behaviour.nat_timeout.get();
    let measured = Duration::from_secs(2)..=LONGEST_MEASURED;
    if !steps.is_empty() || behaviour.loss_outbound.get() > 0 || !measured.contains(&timeout) {
        return Vec::new();
    }
    let [server, _] = lab::servers();
    let tool = |line: String, truth| Tool {
        arguments: line.split(' ').map(str::to_owned).collect(),
        truth,
    };
    let (max, resolution) = (timeout * 8 / 5, timeout / 10);
    let hold = format!(
        "hold {server} --min 1s --max {}ms --resolution {}ms -o json",
        max.as_millis(),
        resolution.as_millis()
    );
    let late = timeout.as_secs() + 1;
    let probe = format!("probe {server} --idle {late}s --interval 1s --count 2 --rounds 1 -o json");
    let outcome = match (behaviour.untracked_keepalives, behaviour.on_expiry) {
        (true, _) | (false, OnExpiry::Forget) => probe::Outcome::Alive,
        (false, OnExpiry::Drop) => probe::Outcome::TimedOut,
        (false, OnExpiry::Reset) => probe::Outcome::Reset,
    };
    vec![
        tool(
            hold,
            ToolTruth::Forgets {
                after: timeout,
                then: behaviour.on_expiry,
            },
        ),
        tool(probe, ToolTruth::Ends(outcome)),
    ]
}

fn steps(args: &LabArgs) -> Vec<Step> {
    let mut steps: Vec<Step> = [
        (args.reboot_peer_after, Change::RebootPeer),
        (args.unreachable_after, Change::Path(Path::Unreachable)),
        (args.cut_after, Change::Path(Path::Cut)),
    ]
    .into_iter()
    .filter_map(|(after, change)| after.map(|after| Step { after, change }))
    .collect();
    steps.sort_by_key(|step| step.after);
    steps
}

/// One connection is silent for less than the timeout and one for longer; one is silent for longer but
/// has keepalive. Each over IPv4 and IPv6.
fn trials(behaviour: &Behaviour, steps: &[Step]) -> Vec<Trial> {
    let timeout = behaviour.nat_timeout.get();
    let (shorter, longer) = (timeout * 4 / 5, timeout * 6 / 5);
    // Whole seconds, a third of the timeout: where that is none, nothing protects.
    let third = Duration::from_secs(timeout.as_secs() / 3);
    let protected = (!third.is_zero()).then_some((Some(third), longer));
    lab::servers()
        .into_iter()
        .flat_map(|server| {
            [(None, shorter), (None, longer)]
                .into_iter()
                .chain(protected)
                .map(move |(keepalive, silence)| Trial {
                    server,
                    keepalive,
                    silence,
                    truth: truth(behaviour, steps, keepalive, silence),
                })
        })
        .collect()
}

/// What becomes of a connection that is silent for so long and then sends.
fn truth(
    behaviour: &Behaviour,
    steps: &[Step],
    keepalive: Option<Duration>,
    silence: Duration,
) -> Outcome {
    let happened = || steps.iter().filter(|step| step.after <= silence);
    let path = happened()
        .rev()
        .find_map(|step| {
            if let Change::Path(path) = step.change {
                Some(path)
            } else {
                None
            }
        })
        .unwrap_or(behaviour.path);
    // Sent data that ICMP says cannot arrive is repeated all the same (kernel-facts.md).
    if path != Path::Open || behaviour.loss_outbound.get() == Loss::PARTS {
        return Outcome::Silent;
    }
    let refreshed = keepalive.is_some() && !behaviour.untracked_keepalives;
    let forgotten = silence >= behaviour.nat_timeout.get() && !refreshed;
    let rebooted = happened().any(|step| step.change == Change::RebootPeer);
    match (behaviour.on_expiry, forgotten) {
        (OnExpiry::Drop, true) => Outcome::Silent,
        (OnExpiry::Reset, true) => Outcome::Reset,
        (OnExpiry::Forget, true) | (OnExpiry::Drop | OnExpiry::Reset | OnExpiry::Forget, false) => {
            if rebooted {
                Outcome::Reset
            } else {
                Outcome::Alive
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn planned(line: &str) -> Plan {
        let words = format!("kalive lab {line}");
        match Cli::try_parse_from(words.split_whitespace())
            .unwrap()
            .command
        {
            Command::Lab(args) => plan(&args),
            other => panic!("{other:?}"),
        }
    }

    /// The truths over IPv4; over IPv6 they are the same.
    fn truths(line: &str) -> Vec<Outcome> {
        let Work::Demonstration(trials) = planned(line).work else {
            panic!("{line}")
        };
        let (v4, v6) = trials.split_at(trials.len() / 2);
        assert!(v4.iter().zip(v6).all(|(a, b)| a.truth == b.truth));
        v4.iter().map(|trial| trial.truth).collect()
    }

    #[test]
    fn what_each_network_does_to_silence() {
        use Outcome::{Alive, Reset, Silent};
        for (line, expected) in [
            ("", [Alive, Silent, Alive]),
            ("--on-expiry reset", [Alive, Reset, Alive]),
            ("--on-expiry forget", [Alive, Alive, Alive]),
            ("--untracked-keepalives", [Alive, Silent, Silent]),
            ("--cut-after 4500ms", [Alive, Silent, Silent]),
            ("--unreachable-after 1s", [Silent, Silent, Silent]),
            ("--reboot-peer-after 1s", [Reset, Silent, Reset]),
            (
                "--reboot-peer-after 1s --cut-after 5s",
                [Reset, Silent, Silent],
            ),
            ("--loss 100", [Silent, Silent, Silent]),
        ] {
            assert_eq!(truths(line), expected, "{line}");
        }
    }

    #[test]
    fn silence_is_taken_from_the_timeout() {
        let Work::Demonstration(trials) = planned("--nat-timeout 10s").work else {
            panic!("no demonstration")
        };
        let seen: Vec<_> = trials
            .iter()
            .take(3)
            .map(|trial| {
                (
                    trial.keepalive.map(|d| d.as_secs()),
                    trial.silence.as_secs(),
                )
            })
            .collect();
        assert_eq!(seen, [(None, 8), (None, 12), (Some(3), 12)]);
        assert_eq!(truths("--nat-timeout 2s").len(), 2);
    }

    #[test]
    fn events_are_in_the_order_of_time() {
        let plan = planned("--cut-after 9s --reboot-peer-after 3s --server x -- prog -a");
        let step = |seconds, change| Step {
            after: Duration::from_secs(seconds),
            change,
        };
        assert_eq!(
            plan.steps,
            [
                step(3, Change::RebootPeer),
                step(9, Change::Path(Path::Cut))
            ]
        );
        assert_eq!(plan.lab.far_end, FarEnd::Command("x".to_owned()));
        let work = Work::Command {
            program: "prog".into(),
            arguments: vec!["-a".into()],
        };
        assert_eq!(plan.work, work);
    }

    #[test]
    fn tools_measure_a_network_that_stays_as_it_is() {
        let outcomes = |line: &str| -> Vec<ToolTruth> {
            planned(line).tools.iter().map(|tool| tool.truth).collect()
        };
        for (line, then, outcome) in [
            ("", OnExpiry::Drop, probe::Outcome::TimedOut),
            ("--on-expiry reset", OnExpiry::Reset, probe::Outcome::Reset),
            (
                "--on-expiry forget",
                OnExpiry::Forget,
                probe::Outcome::Alive,
            ),
            (
                "--untracked-keepalives",
                OnExpiry::Drop,
                probe::Outcome::Alive,
            ),
        ] {
            let after = Duration::from_secs(5);
            let expected = [ToolTruth::Forgets { after, then }, ToolTruth::Ends(outcome)];
            assert_eq!(outcomes(line), expected, "{line}");
        }
        for line in [
            "--loss 1",
            "--cut-after 9s",
            "--nat-timeout 1s",
            "--nat-timeout 61s",
            "-- true",
        ] {
            assert_eq!(outcomes(line), [], "{line}");
        }
        let hold = "hold 198.51.100.2:7117 --min 1s --max 8000ms --resolution 500ms -o json";
        assert_eq!(planned("").tools[0].arguments.join(" "), hold);
    }
}

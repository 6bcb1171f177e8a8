//! What is true of a case, and so has to be found.

use std::time::Duration;

use kalive::lab::{Change, OnExpiry, Path};

use super::Seen;
use crate::case::{Case, Hold, Probe, Server, Traffic};

/// What is true of a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Truth {
    /// The path forgets after so long.
    Forgets { after: f64, expiry: &'static str },
    /// Nothing that this side can do shows an end.
    Remembers,
    /// The server closes connections of this age, and was late by `late` at most.
    Ends {
        age: f64,
        late: f64,
        expiry: &'static str,
    },
    /// The far end breaks every silence.
    Speaks { every: f64 },
}

/// What `hold` can find in one direction.
pub(super) fn truth(case: &Case, hold: &Hold, outbound: bool, seen: &Seen) -> Truth {
    let behaviour = &case.behaviour;
    let forgets = behaviour.nat_timeout.get();
    let shortest = forgets.min(hold.max);
    let ends = |age: Duration, expiry| Truth::Ends {
        age: age.as_secs_f64(),
        late: seen.closed_late,
        expiry,
    };
    match case.server {
        Server::ServeAge(age) | Server::Closing { age, reset: false } if age < shortest => {
            return ends(age, "closed-by-peer");
        }
        Server::Closing { age, reset: true } if age < shortest => {
            return ends(age, "reset-at-expiry");
        }
        Server::Keepalive(every) if every < shortest => {
            return Truth::Speaks {
                every: every.as_secs_f64(),
            };
        }
        _ => {}
    }
    // Whoever speaks only by keepalives sees them answered.
    let blind = behaviour.untracked_keepalives && case.server == Server::Echo;
    let let_in = behaviour.on_expiry == OnExpiry::Forget && outbound;
    if forgets > hold.max || blind || let_in {
        return Truth::Remembers;
    }
    Truth::Forgets {
        after: forgets.as_secs_f64(),
        expiry: match behaviour.on_expiry {
            OnExpiry::Drop => "silent",
            // With forget the router itself answers the server.
            OnExpiry::Reset | OnExpiry::Forget => "reset-on-probe",
        },
    }
}

/// In which directions `hold` looks.
pub(super) fn directions(case: &Case, hold: &Hold) -> Vec<&'static str> {
    use crate::case::Direction::{Auto, Both, Inbound, Outbound};
    let serve = matches!(case.server, Server::Serve | Server::ServeAge(_));
    match hold.direction {
        Inbound => vec!["inbound"],
        Auto | Both if serve => vec!["outbound", "inbound"],
        Outbound | Auto | Both => vec!["outbound"],
    }
}

/// The outcome that nothing but loss can change.
pub(crate) fn expected(case: &Case, probe: &Probe) -> &'static str {
    let behaviour = &case.behaviour;
    if probe.closed_port {
        return "refused";
    }
    match (
        behaviour.path,
        case.step.map(|step| step.change),
        probe.traffic,
    ) {
        (Path::Unreachable, _, _)
        | (_, Some(Change::Path(Path::Unreachable)), Traffic::InFlight { .. }) => {
            return "unreachable";
        }
        (Path::Cut, _, _) | (_, Some(Change::Path(_)), _) => return "timed-out",
        (_, Some(_), _) => return "reset",
        (Path::Open, None, _) => {}
    }
    let forgotten = probe.traffic == Traffic::None && probe.idle > behaviour.nat_timeout.get();
    match case.server {
        Server::ServeAge(_) | Server::Closing { reset: false, .. } => "closed",
        Server::Closing { reset: true, .. } => "reset",
        Server::Stuck { .. } => "unresponsive",
        Server::Echo | Server::Serve if forgotten => match behaviour.on_expiry {
            OnExpiry::Drop => "timed-out",
            OnExpiry::Reset => "reset",
            OnExpiry::Forget => "alive",
        },
        // A far end's keepalives hold the path.
        Server::Echo | Server::Serve | Server::Keepalive(_) => "alive",
    }
}

//! Judges `kalive hold`: does it say what the path does to silence, and does its bracket hold the truth?

use super::reports::{Found, HoldReport, Timeout};
use super::truth::{Truth, directions, truth};
use super::{Judgement, Measure, Seen, Tick, kernel, report};
use crate::case::{Case, Hold, Server};

/// With loss a bracket has to be right, not narrow; one that is wider than --resolution by more than this says
/// too little, and counts as none.
const VAGUE: f64 = 6.0;
/// Sessions are opened unevenly on a busy machine.
const UNEVEN: f64 = 0.05;
/// How long the connections that carry traffic may not have spoken when the path fails: their period.
const PERIOD: f64 = 1.5;
/// What is said of keepalives that get through and refresh nothing.
const UNCOUNTED: &str = "passes them without counting them";

pub(super) fn judge(case: &Case, hold: &Hold, seen: &Seen, tick: Tick, judgement: &mut Judgement) {
    if let Some(stepped) = seen.stepped {
        return failing(case, seen, stepped, judgement);
    }
    let refused = seen.code == Some(2) && seen.stdout.is_empty();
    if case.is_lossy() && seen.lost > 0 && refused && seen.stderr.starts_with("kalive: ") {
        // Every packet of the first connection was lost, or of the greeting: no report, but the reason.
        judgement.inconclusive(seen.stderr.trim());
        return;
    }
    let Some(report) = report::<HoldReport>(seen, "kalive.hold/1", judgement) else {
        return;
    };
    let wanted = directions(case, hold);
    let found: Vec<&str> = report
        .directions
        .iter()
        .map(|f| f.direction.as_str())
        .collect();
    judgement.must(found == wanted, || {
        format!("directions {found:?}, not {wanted:?}")
    });
    let mut speaks = false;
    let mut truths = Vec::new();
    for found in &report.directions {
        let truth = truth(case, hold, found.direction == "outbound", seen);
        truths.push(truth);
        speaks |= matches!(truth, Truth::Speaks { .. });
        let reason = found.inconclusive.as_ref().or(report.inconclusive.as_ref());
        judgement.must(found.expiry.is_some() || reason.is_some(), || {
            format!("{}: no verdict, and no reason", found.direction)
        });
        direction(case, hold, found, truth, tick, judgement);
    }
    let closes = matches!(case.server, Server::ServeAge(_) | Server::Closing { .. });
    judgement.must(report.control.alive || closes, || {
        format!("the path is said to have failed: {:?}", report.inconclusive)
    });
    if let Some(why) = &report.inconclusive {
        judgement.inconclusive(why.clone());
    }
    no_slander(case, &report, judgement);
    if case.behaviour.untracked_keepalives {
        explained(&report, case.server == Server::Serve, judgement);
    }
    for truth in &truths {
        match *truth {
            Truth::Speaks { every } => far_end(&report, every, tick, judgement),
            Truth::Forgets { after, .. } => recommended(&report, after, tick, judgement),
            Truth::Ends { .. } => judgement.must(report.recommendation.is_none(), || {
                "keepalive is recommended against a limit of the server's own".to_owned()
            }),
            Truth::Remembers => {}
        }
    }
    let code = code(case, hold, &report, &truths, tick, judgement);
    exit(seen, hold, &report, (code, speaks), judgement);
}

/// One direction's finding.
fn direction(
    case: &Case,
    hold: &Hold,
    found: &Found,
    truth: Truth,
    tick: Tick,
    judgement: &mut Judgement,
) {
    let name = &found.direction;
    if let Truth::Speaks { every } = truth {
        judgement.must(
            found.timeout.is_none() && found.inconclusive.is_some(),
            || format!("{name}: a limit where no connection is ever silent: {found:?}"),
        );
        let longest = found.answered_s.unwrap_or_default();
        let most = kernel::late(every, tick) + UNEVEN;
        judgement.within(&format!("{name}: the longest silence"), longest, 0.0, most);
        return;
    }
    if found.expiry.is_none() {
        judgement.must(found.timeout.is_none(), || {
            format!("{name}: a bracket without an expiry")
        });
        let why = found.inconclusive.clone();
        judgement.inconclusive(format!("{name}: {}", why.unwrap_or_default()));
        return;
    }
    let expiry = found.expiry.as_deref().unwrap_or_default();
    let resolution = hold.resolution.as_secs_f64();
    match truth {
        Truth::Forgets {
            after,
            expiry: true_expiry,
        } => {
            judgement.must(expiry == true_expiry, || {
                format!("{name}: expiry {expiry}, not {true_expiry}")
            });
            bracket(
                found,
                (after, after),
                (resolution, case.is_lossy()),
                tick,
                judgement,
            );
        }
        Truth::Ends {
            age,
            late,
            expiry: true_expiry,
        } => {
            judgement.must(expiry == true_expiry, || {
                format!("{name}: expiry {expiry}, not {true_expiry}")
            });
            let from = found.counted_from.as_deref();
            judgement.must(matches!(from, Some("start" | "unknown")), || {
                format!("{name}: counted from {from:?}, not from the start")
            });
            bracket(
                found,
                (age, age + late),
                (resolution, false),
                tick,
                judgement,
            );
        }
        Truth::Remembers => {
            judgement.must(expiry == "none" && found.timeout.is_none(), || {
                format!(
                    "{name}: {expiry}, {:?}, where nothing shows an end",
                    found.timeout
                )
            });
            let longest = found.answered_s.unwrap_or_default();
            let least = hold.max.as_secs_f64() - resolution - tick.0;
            judgement.within(
                &format!("{name}: the longest silence answered"),
                longest,
                least,
                f64::MAX,
            );
        }
        Truth::Speaks { .. } => {}
    }
}

fn bracket(
    found: &Found,
    (least, most): (f64, f64),
    (resolution, lossy): (f64, bool),
    tick: Tick,
    judgement: &mut Judgement,
) {
    let name = &found.direction;
    let Some(Timeout { lower_s, upper_s }) = found.timeout else {
        judgement.wrong(format!("{name}: an expiry without a bracket"));
        return;
    };
    let outside = (lower_s - most).max(least - upper_s).max(0.0);
    judgement.must(outside <= tick.0 + 1e-6 && lower_s < upper_s, || {
        format!("{name}: {lower_s:.3} to {upper_s:.3} s does not hold {least:.3} to {most:.3} s")
    });
    judgement.measure(Measure::Outside, outside);
    let wide = upper_s - lower_s - resolution;
    let (measure, allowed) = if lossy {
        (Measure::WidthWithLoss, VAGUE)
    } else {
        (Measure::Width, UNEVEN)
    };
    judgement.measure(measure, wide);
    if wide > allowed {
        judgement.inconclusive(format!(
            "{name}: {lower_s:.3} to {upper_s:.3} s is wider than {resolution} s"
        ));
    }
}

/// What is not true is not said either.
fn no_slander(case: &Case, report: &HoldReport, judgement: &mut Judgement) {
    let said = report
        .explanation
        .iter()
        .any(|text| text.contains(UNCOUNTED));
    judgement.must(!said || case.behaviour.untracked_keepalives, || {
        "keepalives are said not to count".to_owned()
    });
    let speaks = matches!(case.server, Server::Keepalive(_));
    let every = report.far_end_speaks_every_s;
    judgement.must(speaks || every.is_none(), || {
        format!("the far end is said to speak every {every:?} s")
    });
}

/// Keepalives that get through and refresh nothing have to be told, as far as can be seen.
fn explained(report: &HoldReport, serve: bool, judgement: &mut Judgement) {
    let clue = if serve {
        UNCOUNTED
    } else {
        "Measured with keepalive probes from this side only"
    };
    // From the far end alone keepalives are not tried.
    let outbound = report
        .directions
        .iter()
        .any(|found| found.direction == "outbound");
    let said = report.explanation.iter().any(|text| text.contains(clue));
    judgement.must(said || !outbound, || {
        format!("not explained with {clue:?}: {:?}", report.explanation)
    });
    judgement.must(
        !serve || !outbound || report.recommendation.is_none(),
        || "keepalives are recommended that do not hold the path".to_owned(),
    );
}

fn far_end(report: &HoldReport, every: f64, tick: Tick, judgement: &mut Judgement) {
    match report.far_end_speaks_every_s {
        Some(told) => {
            let most = kernel::late(every, tick) + UNEVEN;
            // What the looks of a session are apart from one another.
            judgement.within("the far end's period", told, every - 0.3, most);
        }
        None => judgement.wrong("that the far end speaks by itself is not told"),
    }
}

/// All tries of what is recommended come before the path forgets, however late the timers are.
fn recommended(report: &HoldReport, after: f64, tick: Tick, judgement: &mut Judgement) {
    let Some(recommended) = &report.recommendation else {
        return;
    };
    let last = kernel::late(recommended.idle_s, tick)
        + recommended.survives_lost_probes * kernel::late(recommended.interval_s, tick);
    judgement.must(last <= after, || {
        format!("{recommended:?} comes at {last:.3} s, after {after} s")
    });
    judgement.measure(Measure::Recommended, after - last);
}

/// The exit code that truth asks for, and whether --verify was answered rightly.
fn code(
    case: &Case,
    hold: &Hold,
    report: &HoldReport,
    truths: &[Truth],
    tick: Tick,
    judgement: &mut Judgement,
) -> i32 {
    let mut code = 0;
    if let Some(idle) = hold.verify {
        let idle = idle.as_secs_f64();
        let holds = kernel::late(idle, tick) < case.behaviour.nat_timeout.get().as_secs_f64();
        let told = report
            .verify
            .iter()
            .find(|v| v.asked && (v.idle_s - idle).abs() < 1e-6);
        match told {
            None => judgement.wrong("--verify has no answer"),
            Some(told) => {
                let kept = told.survived && told.data_ok != Some(false);
                judgement.must(kept == holds, || format!("{told:?}, and it holds: {holds}"));
            }
        }
        code = code.max(i32::from(!holds));
    }
    if let Some(at_least) = hold.at_least {
        let at_least = at_least.as_secs_f64();
        let earlier = |truth: &Truth| match truth {
            Truth::Forgets { after, .. } => *after < at_least,
            Truth::Ends { age, .. } => *age < at_least,
            Truth::Remembers | Truth::Speaks { .. } => false,
        };
        code = code.max(i32::from(truths.iter().any(earlier)));
    }
    code
}

fn exit(
    seen: &Seen,
    hold: &Hold,
    report: &HoldReport,
    (code, speaks): (i32, bool),
    judgement: &mut Judgement,
) {
    let undecided = |found: &Found| found.inconclusive.is_some() || found.expiry.is_none();
    let undecided = report.inconclusive.is_some() || report.directions.iter().any(undecided);
    let asked = hold.at_least.is_some() && !speaks;
    // A yes or no to --at-least may be known all the same, and a no to --verify.
    let expected = if undecided && !asked && code == 0 {
        2
    } else {
        code
    };
    if seen.code == Some(expected) {
        return;
    }
    let untold = report
        .explanation
        .iter()
        .any(|text| text.contains("cannot be told"));
    if seen.code == Some(2) && (undecided || untold) {
        judgement.inconclusive("exit 2");
    } else {
        judgement.wrong(format!("exit {:?}, not {expected}", seen.code));
    }
}

/// The path, or the peer, failed in the middle: that is no timeout of idle connections, and has to be said.
fn failing(case: &Case, seen: &Seen, (began, done): (f64, f64), judgement: &mut Judgement) {
    judgement.must(seen.code == Some(2), || {
        format!("exit {:?}, not 2", seen.code)
    });
    let Some(report) = report::<HoldReport>(seen, "kalive.hold/1", judgement) else {
        return;
    };
    no_slander(case, &report, judgement);
    judgement.must(report.inconclusive.is_some(), || {
        "not inconclusive".to_owned()
    });
    judgement.must(
        report.directions.iter().all(|f| f.timeout.is_none()),
        || format!("a timeout where the path failed: {:?}", report.directions),
    );
    judgement.must(report.recommendation.is_none(), || {
        "a recommendation".to_owned()
    });
    judgement.must(!report.control.alive, || {
        "the path is said to work".to_owned()
    });
    match report.control.lost_at_s {
        // It counts from when its first connection stood.
        Some(at) => {
            judgement.within(
                "last sign of life",
                at,
                began - PERIOD - super::PROCESS,
                done,
            );
            judgement.measure(Measure::Noticed, began - at);
        }
        None => judgement.wrong("when the path failed is not told"),
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;

//! What became of a target, in words.

use crate::cli::probe::Outcome;
use crate::render::text;
use crate::report::probe::TargetReport;
use crate::run::probe::CountedFrom;

/// The target as it was given.
pub(super) fn name(target: &TargetReport) -> String {
    let mut name = String::new();
    text::push_escaped(&mut name, &target.target);
    name
}

/// What happened, and from when the time to it counts.
pub(super) fn explained(target: &TargetReport) -> String {
    format!("{}{}", target.explanation, counted(target))
}

/// The same, and of which target.
pub(super) fn sentence(target: &TargetReport) -> String {
    format!("{}: {}", name(target), explained(target))
}

/// From when the time to the end counts.
fn counted(target: &TargetReport) -> &'static str {
    match (target.outcome, target.counted_from) {
        (Some(Outcome::Alive), _) | (_, None) => "",
        (_, Some(CountedFrom::Connect)) => " The time counts from the first SYN to that address.",
        (_, Some(CountedFrom::LastSegmentReceived)) => {
            " The time counts from the last segment received."
        }
        (_, Some(CountedFrom::DataSent)) => " The time counts from the sending of the data.",
        (_, Some(CountedFrom::HeartbeatSent)) => {
            " The time counts from the sending of the heartbeat."
        }
    }
}

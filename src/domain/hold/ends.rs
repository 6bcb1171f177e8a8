//! What connections that end by themselves tell: a box or a server that speaks at expiry, what it counts
//! from, or something that happened to all of them at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::Expiry;
use crate::domain::seconds::{self, Seconds};

/// A connection ended although nobody had asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct End {
    /// By a RST or a FIN.
    #[serde(rename = "how")]
    pub(crate) expiry: Expiry,
    /// Since the run began.
    #[serde(rename = "at_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) at: Duration,
    /// Since the connection was made.
    #[serde(rename = "age_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) age: Duration,
    /// Since its last packet.
    #[serde(rename = "idle_s", with = "seconds")]
    #[schemars(with = "Seconds")]
    pub(crate) silence: Duration,
}

/// What the ends count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CountedFrom {
    /// The last packet: keepalive prevents it.
    LastPacket,
    /// The connection's start, or its last data: keepalive does not prevent it.
    Start,
    /// The connections at hand were as old as they were silent.
    Unknown,
}

/// What ends tell together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Each came at the same age or silence: between these.
    Limit {
        expiry: Expiry,
        lower: Duration,
        upper: Duration,
        from: CountedFrom,
    },
    /// All came at the same moment, whatever their age.
    AtOnce { at: Duration },
    /// No pattern.
    Unclear,
}

/// Judges ends: those that differ by no more than `tolerance` are the same. A delay on the way only makes
/// them later, so the earliest is the limit, within `exact`. `None` without any.
pub(crate) fn judge(ends: &[End], tolerance: Duration, exact: Duration) -> Option<Told> {
    let first = ends.iter().min_by_key(|end| end.at)?;
    let spread = |value: fn(&End) -> Duration| {
        let least = ends.iter().map(value).min().unwrap_or_default();
        let most = ends.iter().map(value).max().unwrap_or_default();
        (least, most.saturating_sub(least))
    };
    let (age, ages) = spread(|end| end.age);
    let (silence, silences) = spread(|end| end.silence);
    let (_, moments) = spread(|end| end.at);
    let same = |range: Duration| range <= tolerance;
    let limit = |least: Duration, from| Told::Limit {
        expiry: first.expiry,
        lower: least.saturating_sub(exact),
        upper: least + exact,
        from,
    };
    Some(match (same(ages), same(silences)) {
        (true, true) if first.age.abs_diff(first.silence) <= tolerance => {
            limit(age, CountedFrom::Unknown)
        }
        (_, true) => limit(silence, CountedFrom::LastPacket),
        (true, false) => limit(age, CountedFrom::Start),
        (false, false) if same(moments) => Told::AtOnce { at: first.at },
        (false, false) => Told::Unclear,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(list: &[(u64, u64, u64)]) -> Vec<End> {
        list.iter()
            .map(|&(at, age, silence)| End {
                expiry: Expiry::ClosedByPeer,
                at: Duration::from_millis(at),
                age: Duration::from_millis(age),
                silence: Duration::from_millis(silence),
            })
            .collect()
    }

    fn told(list: &[(u64, u64, u64)]) -> Option<Told> {
        judge(
            &ends(list),
            Duration::from_millis(50),
            Duration::from_millis(20),
        )
    }

    fn limit(lower: u64, upper: u64, from: CountedFrom) -> Told {
        Told::Limit {
            expiry: Expiry::ClosedByPeer,
            lower: Duration::from_millis(lower),
            upper: Duration::from_millis(upper),
            from,
        }
    }

    #[test]
    fn scenarios() {
        use CountedFrom::{LastPacket, Start, Unknown};
        for (list, expected) in [
            (&[][..], None),
            (&[(5_000, 5_000, 5_000)], Some(limit(4_980, 5_020, Unknown))),
            // One had been probed after 2 s, and ended with the others of its age.
            (
                &[(5_000, 5_000, 5_000), (5_010, 5_010, 3_000)],
                Some(limit(4_980, 5_020, Start)),
            ),
            // It was given as much silence as the others, and was older.
            (
                &[(5_000, 5_000, 5_000), (7_000, 7_000, 5_010)],
                Some(limit(4_980, 5_020, LastPacket)),
            ),
            // Opened later, and dead at the same moment.
            (
                &[(5_000, 5_000, 5_000), (5_001, 3_000, 3_000)],
                Some(Told::AtOnce {
                    at: Duration::from_secs(5),
                }),
            ),
            (
                &[(5_000, 5_000, 5_000), (6_001, 3_000, 2_000)],
                Some(Told::Unclear),
            ),
        ] {
            assert_eq!(told(list), expected, "{list:?}");
        }
    }
}

//! What a measurement means, in words.

use std::time::Duration;

use super::{Found, Limit, Report, Verdict};
use crate::domain::hold::ends::CountedFrom;
use crate::domain::hold::{Direction, Expiry};

impl Report {
    /// A sentence or two on everything that numbers do not say by themselves.
    pub(super) fn explain(&self) -> Vec<String> {
        let mut said = Vec::new();
        let of = |direction| self.directions.iter().find(|d| d.direction == direction);
        let expiry = |direction| of(direction).and_then(|found| found.expiry);
        let outbound = expiry(Direction::Outbound);
        let inbound = expiry(Direction::Inbound);
        if outbound == Some(Expiry::None)
            && matches!(inbound, Some(Expiry::Silent | Expiry::ResetOnProbe))
        {
            said.push("The path does forget, but a late packet from this side makes it remember anew: seen from here there is no timeout, and whatever the far end says after it is lost until this side speaks.".to_owned());
        }
        // A limit that counts from anything else ends connections however well keepalives are counted, and if
        // it is one of age, data does not help either.
        let counts_packets = self
            .limit
            .is_none_or(|limit| limit.from == CountedFrom::LastPacket);
        if counts_packets
            && self.usable()
            && (self.keepalive_only == Some(true) || self.keepers_die())
        {
            said.push("Keepalives get through and are answered, and yet do not keep connections open: something on the path passes them without counting them. Only data keeps it open.".to_owned());
        }
        match self.limit {
            Some(Limit {
                from: CountedFrom::Start,
                ..
            }) => said.push("The limit counts from the connection's start or from its last data, not from its last packet: that is the server's own limit or a proxy's, and keepalive does not prevent it.".to_owned()),
            Some(Limit {
                from: CountedFrom::Unknown,
                ..
            }) => said.push("Whether the limit counts from the connection's start or from its last packet is not known: the connections at hand were as old as they were silent.".to_owned()),
            Some(Limit {
                from: CountedFrom::LastPacket,
                ..
            })
            | None => {}
        }
        if let Some(every) = self.far_end_speaks_every {
            said.push(format!(
                "The far end spoke by itself after {:.1} s of silence, as keepalive of its own does: silences are counted from there.",
                every.as_secs_f64()
            ));
        }
        if outbound == Some(Expiry::None) && inbound.is_none() {
            said.push("Measured with keepalive probes from this side only: a NAT that lets late clients back in, or a firewall that passes keepalives without counting them, shows itself only with kalive serve at the far end.".to_owned());
        }
        if let Some(at_least) = self.at_least {
            let answer = |found: &Found| match found.verdict(Some(at_least)) {
                Verdict::Holds => None,
                Verdict::Negative => Some(format!(
                    "Silent connections do not last for {} s, {}: --at-least is not met.",
                    at_least.as_secs_f64(),
                    found.direction
                )),
                Verdict::Unknown => untold(found, at_least),
            };
            said.extend(self.directions.iter().filter_map(answer));
        }
        said
    }
}

/// Why --at-least is answered with neither yes nor no, where nothing is inconclusive otherwise.
fn untold(found: &Found, at_least: Duration) -> Option<String> {
    let why = match (found.timeout, found.expiry) {
        (Some(timeout), _) if timeout.lower < at_least && at_least < timeout.upper => format!(
            "it ends somewhere between {} and {}",
            hundredths(timeout.lower.as_millis() / 10),
            hundredths(timeout.upper.as_millis().div_ceil(10))
        ),
        (None, Some(Expiry::None)) => {
            let longest = found.answered.filter(|longest| *longest < at_least)?;
            let longest = hundredths(longest.as_millis() / 10);
            format!("the longest silence that was tried and answered is {longest}")
        }
        _ => return None,
    };
    Some(format!(
        "Whether a silent connection lasts for {} s cannot be told, {}: {why}.",
        at_least.as_secs_f64(),
        found.direction
    ))
}

fn hundredths(count: u128) -> String {
    format!("{}.{:02} s", count / 100, count % 100)
}

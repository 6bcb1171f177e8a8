//! What a measurement means, in words.

use super::{Limit, Report};
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
        if self.keepalive_only || self.keepers_die() {
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
        said
    }
}

//! The kernel's tunables that decide when a silent peer is noticed: names, units, defaults and
//! meaning (Documentation/networking/ip-sysctl.rst and nf_conntrack-sysctl.rst).

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use super::prediction::{self, Keepalive, Prediction};
use super::wheel::TickRate;

/// One tunable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunable {
    /// The last part of its path, as sysctl(8) prints it.
    pub name: &'static str,
    /// Its path below /proc/sys.
    pub path: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// The value the kernel starts with.
    pub default: u64,
    /// What it decides, in a few words.
    pub decides: &'static str,
}

/// What a tunable's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Times.
    Times,
}

impl Tunable {
    /// The tunable's value as time; `None` if it counts something else.
    #[must_use]
    pub fn time(&self, value: u64) -> Option<Duration> {
        match self.unit {
            Unit::Seconds => Some(Duration::from_secs(value)),
            Unit::Milliseconds => Some(Duration::from_millis(value)),
            Unit::Times => None,
        }
    }

    /// Its name in JSON: durations are seconds there and end in `_s`.
    #[must_use]
    pub fn json_name(&self) -> String {
        match self.unit {
            Unit::Seconds => format!("{}_s", self.name),
            Unit::Milliseconds => format!("{}_s", self.name.trim_end_matches("_ms")),
            Unit::Times => self.name.to_owned(),
        }
    }
}

macro_rules! tunables {
    ($($constant:ident $directory:literal $name:literal $unit:ident $default:literal $decides:literal)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $decides, ".")]
            pub const $constant: Tunable = Tunable {
                name: $name,
                path: concat!($directory, $name),
                unit: Unit::$unit,
                default: $default,
                decides: $decides,
            };
        )*
        /// Every tunable, in the order of their importance for keepalive.
        pub const ALL: &[Tunable] = &[$($constant),*];
    };
}

tunables! {
    KEEPALIVE_TIME "net/ipv4/" "tcp_keepalive_time" Seconds 7200 "silence before a probe"
    KEEPALIVE_INTVL "net/ipv4/" "tcp_keepalive_intvl" Seconds 75 "between unanswered probes"
    KEEPALIVE_PROBES "net/ipv4/" "tcp_keepalive_probes" Times 9 "lost probes that end it"
    RETRIES1 "net/ipv4/" "tcp_retries1" Times 3 "retries, then a new route"
    RETRIES2 "net/ipv4/" "tcp_retries2" Times 15 "data retries that end it"
    SYN_RETRIES "net/ipv4/" "tcp_syn_retries" Times 6 "SYN retries to connect"
    SYNACK_RETRIES "net/ipv4/" "tcp_synack_retries" Times 5 "SYN+ACK retries to accept"
    ORPHAN_RETRIES "net/ipv4/" "tcp_orphan_retries" Times 0 "retries once closed (0=8)"
    FIN_TIMEOUT "net/ipv4/" "tcp_fin_timeout" Seconds 60 "FIN-WAIT-2 once closed"
    RTO_MAX_MS "net/ipv4/" "tcp_rto_max_ms" Milliseconds 120_000 "longest retry interval"
    CONNTRACK_ESTABLISHED "net/netfilter/" "nf_conntrack_tcp_timeout_established" Seconds 432_000
        "local NAT/firewall memory"
}

/// The values of all tunables of a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Vec<(Tunable, Value)>);

/// A tunable's value, or why there is none.
pub type Value = std::result::Result<u64, String>;

impl Values {
    /// Reads every tunable with `read`, which says why where it cannot.
    #[must_use]
    pub fn read(mut read: impl FnMut(&Tunable) -> Value) -> Self {
        Self(
            ALL.iter()
                .map(|tunable| (*tunable, read(tunable)))
                .collect(),
        )
    }

    /// Each tunable with its value, in the order of [`ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &(Tunable, Value)> {
        self.0.iter()
    }

    /// The value of one.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn get(&self, tunable: &Tunable) -> Value {
        self.0
            .iter()
            .find(|(candidate, _)| candidate == tunable)
            .map_or_else(|| Err(String::from("not read")), |(_, value)| value.clone())
            .map_err(|why| format!("{}: {why}", tunable.name))
    }

    /// What a socket with SO_KEEPALIVE and no values of its own follows.
    ///
    /// # Errors
    /// Which value is not known, and why.
    pub fn keepalive(&self) -> std::result::Result<Keepalive, String> {
        let probes = self.get(&KEEPALIVE_PROBES)?;
        Ok(Keepalive {
            idle: Duration::from_secs(self.get(&KEEPALIVE_TIME)?),
            interval: Duration::from_secs(self.get(&KEEPALIVE_INTVL)?),
            count: u8::try_from(probes)
                .map_err(|_| format!("{}: {probes} is not from 0 to 255", KEEPALIVE_PROBES.name))?,
            user_timeout: None,
        })
    }

    /// When such a socket notices a silent peer.
    ///
    /// # Errors
    /// Which value is not known, and why.
    pub fn detection(&self, rate: TickRate) -> std::result::Result<Prediction, String> {
        Ok(prediction::idle(&self.keepalive()?, rate))
    }

    /// The least time that `tcp_retries2` grants unacknowledged data.
    ///
    /// # Errors
    /// Which value is not known, and why.
    pub fn in_flight_at_least(&self) -> std::result::Result<Duration, String> {
        let retries = self.get(&RETRIES2)?;
        let retries = u8::try_from(retries)
            .map_err(|_| format!("{}: {retries} is not from 0 to 255", RETRIES2.name))?;
        // Kernels without the tunable have its default built in (TCP_RTO_MAX).
        let rto_max = self.get(&RTO_MAX_MS).unwrap_or(RTO_MAX_MS.default);
        Ok(prediction::retries2_timeout(
            retries,
            Duration::from_millis(rto_max),
        ))
    }
}

/// In JSON: each by its name there, and why where it is not known.
impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Tunables")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for tunable in ALL {
            let name = tunable.json_name();
            let kind = match tunable.unit {
                Unit::Seconds | Unit::Milliseconds => "number",
                Unit::Times => "integer",
            };
            let value = json_schema!({
                "description": format!("/proc/sys/{}: {}; null if not known.", tunable.path, tunable.decides),
                "type": [kind, "null"],
                "minimum": 0,
            });
            let why = json_schema!({
                "description": format!("Why {name} is null; absent if it is not."),
                "type": "string",
            });
            properties.insert(name.clone(), value.into());
            properties.insert(format!("{name}_unknown"), why.into());
            required.push(Json::String(name));
        }
        json_schema!({
            "description": "The kernel's tunables.",
            "type": "object",
            "properties": properties,
            "required": required,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_add_up() {
        let values = Values::read(|tunable| Ok(tunable.default));
        let detection = values.detection(TickRate::Unknown).unwrap();
        assert_eq!(detection.nominal, Duration::from_secs(7_875));
        assert_eq!(
            values.in_flight_at_least(),
            Ok(Duration::from_millis(924_600))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let values = Values::read(|tunable| match tunable.name {
            "tcp_keepalive_intvl" => Err(String::from("Permission denied")),
            _ => Ok(tunable.default),
        });
        let why = values.detection(TickRate::Unknown).unwrap_err();
        assert_eq!(why, "tcp_keepalive_intvl: Permission denied");
    }

    #[test]
    fn names_in_json() {
        let names: Vec<String> = ALL.iter().map(Tunable::json_name).collect();
        assert_eq!(
            names[..3],
            [
                "tcp_keepalive_time_s",
                "tcp_keepalive_intvl_s",
                "tcp_keepalive_probes"
            ]
        );
        assert!(names.contains(&String::from("tcp_rto_max_s")));
    }
}

//! What a lab's network does to connections, as checked plain data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};

/// How the network behaves. The default is a NAT that keeps everything for five days and loses
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// How long the router remembers a silent connection.
    pub nat_timeout: NatTimeout,
    /// What the router does with a packet of a connection that it has forgotten.
    pub on_expiry: OnExpiry,
    /// Packets lost on the way from the client to the server.
    pub loss_outbound: Loss,
    /// Packets lost on the way from the server to the client.
    pub loss_inbound: Loss,
    /// Whether packets get through at all.
    pub path: Path,
    /// The router passes TCP segments that are nothing but an ACK without looking them up, so that
    /// keepalives get through and do not refresh its memory. It is then a firewall without address
    /// translation: what it does not look up it cannot translate.
    pub untracked_keepalives: bool,
}

/// What the router does with a late packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExpiry {
    /// Drops it silently.
    #[default]
    Drop,
    /// Answers with a RST.
    Reset,
    /// Linux's default, `nf_conntrack_tcp_loose=1`: a late packet from the client makes a new
    /// entry and passes; one from the server is answered with a RST by the router itself.
    Forget,
}

impl fmt::Display for OnExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Forget => "forget",
        })
    }
}

/// Whether packets get through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Path {
    /// They do.
    #[default]
    Open,
    /// They vanish silently, both ways.
    Cut,
    /// Those of the client are answered with ICMP host unreachable (type 3 code 1) or `ICMPv6`
    /// address unreachable (type 1 code 3); those of the server vanish.
    Unreachable,
}

/// A NAT timeout: whole seconds, since `nf_conntrack_tcp_timeout_established` counts in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatTimeout(u32);

impl NatTimeout {
    /// The kernel keeps it as jiffies in a signed 32-bit number, at most 1000 to a second.
    const MAX: u32 = i32::MAX as u32 / 1000;

    /// Checks the kernel's bounds.
    ///
    /// # Errors
    /// [`Error::Usage`] unless it is 1 s to 2147483 s, without a fraction.
    pub fn new(timeout: Duration) -> Result<Self> {
        let seconds = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
        if timeout.subsec_nanos() == 0 && (1..=Self::MAX).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(Error::Usage(format!(
            "a NAT timeout of {} cannot be set: it is whole seconds, 1s to {}s",
            humantime::format_duration(timeout),
            Self::MAX
        )))
    }

    /// The timeout.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_secs(self.0.into())
    }

    pub(super) fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for NatTimeout {
    /// Linux's own: five days.
    fn default() -> Self {
        Self(432_000)
    }
}

/// A share of packets that get lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Loss(u32);

impl Loss {
    /// What a [`Loss`] counts in: a share of 1 is so many.
    pub const PARTS: u32 = 1_000_000;

    /// Checks that it is a share.
    ///
    /// # Errors
    /// [`Error::Usage`] above [`Loss::PARTS`].
    pub fn parts_per_million(parts: u32) -> Result<Self> {
        if parts <= Self::PARTS {
            return Ok(Self(parts));
        }
        Err(Error::Usage(format!(
            "a loss of {parts} parts per million is more than everything"
        )))
    }

    /// In parts per million.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Loss {
    type Err = Error;

    /// Reads a percentage with up to four decimals: `5`, `0.25`, `12.5%`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::Usage(format!(
                "{text:?} is not a loss: write a percentage from 0 to 100, as in 5 or 0.25"
            ))
        };
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 4 || whole.len() > 3 {
            return Err(wrong());
        }
        let parts: u32 = format!("{whole}{decimals:0<4}")
            .parse()
            .map_err(|_| wrong())?;
        Self::parts_per_million(parts).map_err(|_| wrong())
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.0 % 10_000);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{} %", self.0 / 10_000),
            decimals => write!(f, "{}.{decimals} %", self.0 / 10_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_a_percentage() {
        for (text, parts, shown) in [
            ("0", 0, "0 %"),
            ("5", 50_000, "5 %"),
            ("0.25", 2_500, "0.25 %"),
            ("12.5%", 125_000, "12.5 %"),
            ("0.0001", 1, "0.0001 %"),
            ("100", 1_000_000, "100 %"),
        ] {
            let loss: Loss = text.parse().unwrap();
            assert_eq!((loss.get(), loss.to_string().as_str()), (parts, shown));
        }
        for text in [
            "", "%", "-1", "101", "100.0001", ".5", "5.", "1.00001", "x", "+5", "1e1",
        ] {
            assert!(text.parse::<Loss>().is_err(), "{text}");
        }
        assert!(Loss::parts_per_million(1_000_001).is_err());
    }

    #[test]
    fn a_nat_timeout_is_whole_seconds_within_the_kernels_bounds() {
        let timeout = |duration| NatTimeout::new(duration).map(NatTimeout::get);
        for seconds in [1, 350, 2_147_483] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(timeout(duration).unwrap(), duration);
        }
        for wrong in [
            Duration::ZERO,
            Duration::from_millis(1500),
            Duration::from_secs(2_147_484),
            Duration::MAX,
        ] {
            assert!(timeout(wrong).is_err(), "{wrong:?}");
        }
    }
}

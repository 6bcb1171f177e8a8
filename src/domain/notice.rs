//! How soon a live connection notices that its peer has fallen silent, by its own options. Pure.

use std::time::Duration;

use super::prediction::{self, Keepalive, Prediction, Rule};
use super::socket::Enabled;
use super::survival::{self, Evidence};
use super::tunables::Values;
use super::wheel::TickRate;

/// When a connection that exists gives its silent peer up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// SO_KEEPALIVE is off, and nothing is in flight.
    Never,
    /// It is idle: counted from the last segment received.
    Idle(Prediction),
    /// Data is in flight, and retransmission decides: no sooner than this after the data was sent.
    InFlight(Rule, Duration),
}

/// # Errors
/// Why it is not known.
pub fn notice(evidence: &Evidence, sysctls: &Values, rate: TickRate) -> Result<Notice, String> {
    if !evidence.suspended && evidence.enabled == Enabled::Off {
        return Ok(Notice::Never);
    }
    let keepalive = evidence
        .keepalive
        .ok_or("its options were not read: --options asks")?;
    if !evidence.suspended {
        // A timer that was set before TCP_KEEPIDLE became shorter keeps its length.
        let first = survival::outdated_timer(evidence, rate)
            .map(|left| left.saturating_add(evidence.silence.unwrap_or_default()));
        let now = Keepalive {
            idle: first.unwrap_or(keepalive.idle),
            ..keepalive
        };
        return Ok(Notice::Idle(prediction::idle(&now, rate)));
    }
    Ok(match keepalive.user_timeout {
        Some(limit) => Notice::InFlight(Rule::RetransmissionUserTimeout, limit),
        None => Notice::InFlight(Rule::Retries2, sysctls.in_flight_at_least()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::socket::Hidden;
    use crate::domain::survival::Armed;

    #[test]
    fn each_case_has_its_rule() {
        let sysctls = Values::read(|tunable| Ok(tunable.default));
        let keepalive = |user_timeout| {
            Some(Keepalive {
                idle: Duration::from_secs(60),
                interval: Duration::from_secs(10),
                count: 5,
                user_timeout,
            })
        };
        let noticed = |enabled, keepalive, suspended| {
            let evidence = Evidence {
                enabled,
                keepalive,
                armed: None,
                suspended,
                silence: None,
            };
            notice(&evidence, &sysctls, TickRate::Unknown)
        };
        assert_eq!(
            noticed(Enabled::Off, keepalive(None), false),
            Ok(Notice::Never)
        );
        assert_eq!(noticed(Enabled::Off, None, false), Ok(Notice::Never));
        match noticed(Enabled::On, keepalive(None), false) {
            Ok(Notice::Idle(prediction)) => {
                assert_eq!(prediction.nominal, Duration::from_secs(110));
            }
            other => panic!("{other:?}"),
        }
        assert!(noticed(Enabled::On, None, false).is_err());
        // Whether keepalive is on does not matter while data is in flight.
        for enabled in [Enabled::Off, Enabled::On] {
            assert_eq!(
                noticed(enabled, keepalive(None), true),
                Ok(Notice::InFlight(
                    Rule::Retries2,
                    Duration::from_millis(924_600)
                ))
            );
        }
        let limit = Duration::from_secs(30);
        assert_eq!(
            noticed(Enabled::On, keepalive(Some(limit)), true),
            Ok(Notice::InFlight(Rule::RetransmissionUserTimeout, limit))
        );
        assert!(noticed(Enabled::Unknown(Hidden::InFlight), None, true).is_err());
    }

    /// As when the sysctl was lowered after two hours had been set.
    #[test]
    fn an_older_timer_fires_first() {
        let sysctls = Values::read(|tunable| Ok(tunable.default));
        let evidence = |left| Evidence {
            enabled: Enabled::On,
            keepalive: Some(Keepalive {
                idle: Duration::from_secs(2),
                interval: Duration::from_secs(1),
                count: 2,
                user_timeout: None,
            }),
            armed: Some(Armed {
                left: Duration::from_secs(left),
                unanswered: 0,
            }),
            suspended: false,
            silence: Some(Duration::from_secs(60)),
        };
        for (left, nominal) in [(7_140, 7_202), (0, 62)] {
            match notice(&evidence(left), &sysctls, TickRate::Unknown) {
                Ok(Notice::Idle(prediction)) => {
                    assert_eq!(prediction.nominal, Duration::from_secs(nominal));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

//! How common software is told the recommended settings, and what misleads there. Text, no judgement.

use super::recommendation::{Held, Recommendation};

/// A program, what to write where, and what misleads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Setting {
    /// Which program.
    pub(crate) software: &'static str,
    /// What to write.
    #[serde(rename = "setting")]
    pub(crate) text: String,
    /// What misleads; null where nothing does.
    pub(crate) trap: Option<&'static str>,
}

/// The lines of /etc/sysctl.d.
pub(crate) fn sysctl(recommended: &Recommendation) -> [String; 3] {
    let Recommendation {
        idle,
        interval,
        count,
        ..
    } = recommended;
    [
        format!("net.ipv4.tcp_keepalive_time = {}", idle.as_secs()),
        format!("net.ipv4.tcp_keepalive_intvl = {}", interval.as_secs()),
        format!("net.ipv4.tcp_keepalive_probes = {count}"),
    ]
}

/// The options of a socket.
pub(crate) fn setsockopt(recommended: &Recommendation) -> [String; 5] {
    let Recommendation {
        idle,
        interval,
        count,
        user_timeout,
        ..
    } = recommended;
    [
        String::from("SO_KEEPALIVE = 1"),
        format!("TCP_KEEPIDLE = {}", idle.as_secs()),
        format!("TCP_KEEPINTVL = {}", interval.as_secs()),
        format!("TCP_KEEPCNT = {count}"),
        format!("TCP_USER_TIMEOUT = {}", user_timeout.as_millis()),
    ]
}

/// The same for software that has its own names.
pub(crate) fn settings(recommended: &Recommendation, held: &Held) -> Vec<Setting> {
    let mut all = servers(recommended, held);
    all.extend(libraries(recommended, held));
    all
}

/// For software with one value, of which it makes its interval. Where anything could be recommended a second
/// fits: no recommended time is shorter.
fn one_value(held: &Held, interval: impl Fn(u64) -> u64) -> u64 {
    held.longest(interval).unwrap_or(1)
}

/// Programs that serve, and their clients.
fn servers(recommended: &Recommendation, held: &Held) -> Vec<Setting> {
    let idle = recommended.idle.as_secs();
    let interval = recommended.interval.as_secs();
    let count = recommended.count;
    let user_timeout = recommended.user_timeout.as_millis();
    let setting = |software, text, trap| Setting {
        software,
        text,
        trap,
    };
    vec![
        setting(
            "PostgreSQL",
            format!(
                "tcp_keepalives_idle={idle} tcp_keepalives_interval={interval} tcp_keepalives_count={count} tcp_user_timeout={user_timeout}"
            ),
            None,
        ),
        setting(
            "libpq",
            format!(
                "keepalives=1 keepalives_idle={idle} keepalives_interval={interval} keepalives_count={count} tcp_user_timeout={user_timeout}"
            ),
            None,
        ),
        setting(
            "Redis",
            // It divides as integers do, and makes 1 of 0.
            format!(
                "tcp-keepalive {}",
                one_value(held, |idle| (idle / 3).max(1))
            ),
            Some("N means idle N, interval N/3, count 3; 0 is off"),
        ),
        setting(
            "nginx",
            format!("listen ... so_keepalive={idle}:{interval}:{count}"),
            Some("keepalive_timeout is about HTTP and does not send probes"),
        ),
        setting(
            "HAProxy",
            format!(
                "option clitcpka, clitcpka-idle {idle}s, clitcpka-intvl {interval}s, clitcpka-cnt {count}; srvtcpka likewise"
            ),
            Some("timeout client and timeout server close idle connections all the same"),
        ),
        setting(
            "Envoy",
            format!(
                "tcp_keepalive: {{keepalive_time: {idle}, keepalive_interval: {interval}, keepalive_probes: {count}}}"
            ),
            None,
        ),
        setting(
            "sshd",
            format!("ClientAliveInterval {idle}, ClientAliveCountMax {count}"),
            Some(
                "TCPKeepAlive follows the sysctl; ClientAlive is encrypted data, which also refreshes",
            ),
        ),
        setting(
            "ssh",
            format!("ServerAliveInterval {idle}, ServerAliveCountMax {count}"),
            None,
        ),
    ]
}

/// Languages, libraries and tools.
fn libraries(recommended: &Recommendation, held: &Held) -> Vec<Setting> {
    let idle = recommended.idle.as_secs();
    let interval = recommended.interval.as_secs();
    let count = recommended.count;
    let both = one_value(held, |idle| idle);
    let setting = |software, text, trap| Setting {
        software,
        text,
        trap,
    };
    vec![
        setting(
            "gRPC",
            format!("GRPC_ARG_KEEPALIVE_TIME_MS={}", idle * 1000),
            Some(
                "the server's minimum (5 min by default) answers shorter ones with GOAWAY too_many_pings",
            ),
        ),
        setting(
            "Go",
            format!(
                "net.KeepAliveConfig{{Enable: true, Idle: {idle}*time.Second, Interval: {interval}*time.Second, Count: {count}}}"
            ),
            Some("Dialer.KeepAlive is the idle time, 15 s by default"),
        ),
        setting(
            "Java",
            format!(
                "SO_KEEPALIVE, ExtendedSocketOptions.TCP_KEEPIDLE={idle}, TCP_KEEPINTERVAL={interval}, TCP_KEEPCOUNT={count}"
            ),
            Some("setKeepAlive(true) alone follows the sysctl"),
        ),
        setting(
            "Python",
            format!(
                "setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, {idle}), TCP_KEEPINTVL {interval}, TCP_KEEPCNT {count}"
            ),
            Some("SO_KEEPALIVE has to be set too"),
        ),
        setting(
            "Node.js",
            format!("socket.setKeepAlive(true, {})", idle * 1000),
            Some("interval 1 s and count 10 are fixed"),
        ),
        setting(
            "curl",
            format!("--keepalive-time {both}"),
            Some(
                "one value for both idle and interval unless --keepalive-cnt and a recent version",
            ),
        ),
        setting(
            "systemd",
            format!(
                "KeepAlive=yes, KeepAliveTimeSec={idle}, KeepAliveIntervalSec={interval}, KeepAliveProbes={count}"
            ),
            Some("of .socket units"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::hold::recommendation::recommend;
    use crate::domain::wheel::{Hz, TickRate};

    fn held(remembers: u64) -> Held {
        Held {
            remembers: Duration::from_secs(remembers),
            tries: 3,
            round_trip: Duration::from_millis(50),
            rate: TickRate::Known(Hz::new(250).unwrap()),
        }
    }

    fn recommended() -> Recommendation {
        recommend(&held(350)).unwrap()
    }

    fn text(software: &str, remembers: u64) -> String {
        let held = held(remembers);
        let all = settings(&recommend(&held).unwrap(), &held);
        let found = all.into_iter().find(|setting| setting.software == software);
        found.unwrap().text
    }

    #[test]
    fn values_in_each_ones_units() {
        assert_eq!(
            sysctl(&recommended())[0],
            "net.ipv4.tcp_keepalive_time = 295"
        );
        assert_eq!(setsockopt(&recommended())[4], "TCP_USER_TIMEOUT = 380000");
        assert_eq!(text("nginx", 350), "listen ... so_keepalive=295:17:5");
        assert_eq!(text("Node.js", 350), "socket.setKeepAlive(true, 295000)");
    }

    /// Of three tries the last one comes before the path forgets, even if every timer is late: at 250 Hz by
    /// up to 16.384 s from 129 s on, and by 2.048 s from 16 s on.
    #[test]
    fn software_with_one_value_gets_a_shorter_one() {
        // 167 + 16.384 + 2 * (55 + 2.048) = 297.5 s; with 168 it would be 300.5 s.
        assert_eq!(text("Redis", 300), "tcp-keepalive 167");
        // 3 * (97 + 2.048) = 297.1 s; with 98 it would be 300.1 s.
        assert_eq!(text("curl", 300), "--keepalive-time 97");
        assert_eq!(text("Redis", 350), "tcp-keepalive 197");
        assert_eq!(text("curl", 350), "--keepalive-time 114");
        assert_eq!(text("Redis", 4), "tcp-keepalive 1");
        assert_eq!(text("curl", 4), "--keepalive-time 1");
    }
}

//! How common software is told the recommended settings, and what misleads there. Text, no judgement.

use super::recommendation::Recommendation;

/// A program, what to write where, and what misleads.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Setting {
    pub(crate) software: &'static str,
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
pub(crate) fn settings(recommended: &Recommendation) -> Vec<Setting> {
    let mut all = servers(recommended);
    all.extend(libraries(recommended));
    all
}

/// When the last try comes that still counts, in seconds of silence.
fn last_try(recommended: &Recommendation) -> u64 {
    let later = recommended.interval * recommended.survives_lost_probes;
    (recommended.idle + later).as_secs()
}

/// Programs that serve, and their clients.
fn servers(recommended: &Recommendation) -> Vec<Setting> {
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
            // N, N and a third, N and two thirds.
            format!("tcp-keepalive {}", (last_try(recommended) * 3 / 5).max(1)),
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
fn libraries(recommended: &Recommendation) -> Vec<Setting> {
    let idle = recommended.idle.as_secs();
    let interval = recommended.interval.as_secs();
    let count = recommended.count;
    // One value for idle and interval: as many tries as recommended come by then.
    let both = (last_try(recommended) / u64::from(recommended.survives_lost_probes + 1)).max(1);
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

    fn recommended() -> Recommendation {
        Recommendation {
            idle: Duration::from_secs(295),
            interval: Duration::from_secs(17),
            count: 5,
            user_timeout: Duration::from_secs(380),
            survives_lost_probes: 2,
        }
    }

    fn text(software: &str) -> String {
        let all = settings(&recommended());
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
        assert_eq!(text("nginx"), "listen ... so_keepalive=295:17:5");
        assert_eq!(text("Node.js"), "socket.setKeepAlive(true, 295000)");
    }

    /// Of three tries the last one comes no later than with the recommended values: after 329 s.
    #[test]
    fn software_with_one_value_gets_a_shorter_one() {
        // 197, 262.7 and 328.3 s.
        assert_eq!(text("Redis"), "tcp-keepalive 197");
        // 109, 218 and 327 s.
        assert_eq!(text("curl"), "--keepalive-time 109");
    }
}

//! What the manual pages tell beyond the help and the fields: which subcommand answers what, the one table of exit
//! codes, the environment, the files.

use std::fmt::Write as _;

use super::roff::escaped;

/// What the environment and the files mean, each with the pages that tell it; all pages where none is named.
type Told = (&'static str, &'static [&'static str], &'static str);

const QUESTIONS: [(&str, &str); 7] = [
    (
        "Which connections of this machine have keepalive, with which values, and who set them?",
        "kalive inspect -s --options",
    ),
    (
        "Which of them die behind a NAT or firewall that forgets after 350 s?",
        "kalive inspect --survives 350s",
    ),
    (
        "How soon does this host notice that a peer is gone, and with which error?",
        "kalive probe HOST:PORT",
    ),
    (
        "Is the service stuck, or the network?",
        "kalive probe HOST:PORT --heartbeat-preset redis",
    ),
    (
        "After how much silence does the path forget a connection, and which keepalive prevents that?",
        "kalive hold HOST:PORT",
    ),
    (
        "What do I run at the far end, so that kalive hold measures who speaks from there too?",
        "kalive serve",
    ),
    (
        "How does my program behave behind a NAT of 20 s?",
        "kalive lab --nat-timeout 20s -- PROGRAM",
    ),
];

const EXIT_STATUS: [(&str, &str); 5] = [
    (
        "0",
        "What was asked holds: the report could be made (inspect), every target has the outcome that --require names \
         (probe), the path remembers as long as --at-least says (hold), the network did what it is known to do (lab).",
    ),
    (
        "1",
        "The answer is negative: a connection is at risk (inspect --survives), a target has another outcome (probe), the path \
         forgets earlier than --at-least, or keepalive does not hold it open (hold), the network did otherwise (lab).",
    ),
    (
        "2",
        "It could not be measured, or the call was wrong: usage, a missing permission, no such file, a name without an address, \
         an inconclusive measurement, an unknown verdict with --strict.",
    ),
    (
        "other",
        "The exit status of the command that kalive lab ran.",
    ),
    (
        "130, 143",
        "SIGINT, or SIGTERM or SIGHUP, came; the report so far is printed first, and its complete is false.",
    ),
];

const ENVIRONMENT: [Told; 5] = [
    (
        "COLUMNS",
        &[],
        "The width of tables, where it is a number; else the terminal's, else 80.",
    ),
    (
        "NO_COLOR",
        &[],
        "Where it is set and not empty, --color auto colours nothing.",
    ),
    (
        "KALIVE_LAB_SERVER",
        &["lab"],
        "Set for the command, and for that of --server: address and port of the far end, by IPv4.",
    ),
    ("KALIVE_LAB_SERVER6", &["lab"], "The same by IPv6."),
    ("PATH", &["lab"], "Where the command is looked for."),
];

const FILES: [Told; 6] = [
    (
        "/proc/sys/net/ipv4/tcp_keepalive_time, tcp_keepalive_intvl, tcp_keepalive_probes",
        &["kalive", "inspect", "probe", "hold"],
        "What a socket with SO_KEEPALIVE follows that sets no values of its own: of its network namespace, and for IPv6 too.",
    ),
    (
        "/proc/sys/net/ipv4/tcp_retries2, tcp_rto_max_ms",
        &["inspect", "probe"],
        "What ends a connection whose data is not acknowledged.",
    ),
    (
        "/proc/net/tcp, /proc/net/tcp6",
        &["inspect"],
        "The sockets, where the kernel has no sock_diag, with --source proc, and with --proc.",
    ),
    (
        "/proc/PID/fd, /proc/PID/task/TID/fd",
        &["inspect"],
        "Who holds which socket. Those of other users take CAP_SYS_PTRACE.",
    ),
    (
        "/run/netns",
        &["inspect"],
        "The network namespaces that have names (ip-netns(8)).",
    ),
    (
        "/proc/net/netstat",
        &["probe"],
        "The counters of the network namespace.",
    ),
];

/// Which subcommand answers what.
pub(super) fn questions() -> String {
    items(
        QUESTIONS
            .iter()
            .map(|(question, command)| (*command, *question)),
    )
}

/// The exit codes of all subcommands.
pub(super) fn exit_status() -> String {
    items(EXIT_STATUS.iter().copied())
}

pub(super) fn environment(page: &str) -> String {
    // These print a text that has no width and no colours.
    if matches!(page, "completions" | "man") {
        return String::new();
    }
    told(&ENVIRONMENT, page)
}

pub(super) fn files(page: &str) -> String {
    told(&FILES, page)
}

/// Pages of kalive to which this one leads.
pub(super) fn related(page: &str) -> &'static [&'static str] {
    match page {
        "inspect" | "probe" | "serve" => &["hold"],
        "hold" => &["serve", "lab"],
        "lab" => &["probe", "hold"],
        _ => &[],
    }
}

/// Pages of others to which this one leads.
pub(super) fn see_also(page: &str) -> &'static [&'static str] {
    match page {
        "completions" => &["bash(1)", "zsh(1)", "fish(1)"],
        "man" => &["man(1)"],
        "inspect" => &[
            "jq(1)",
            "pidfd_getfd(2)",
            "sock_diag(7)",
            "tcp(7)",
            "ss(8)",
            "sysctl(8)",
        ],
        "lab" => &[
            "jq(1)",
            "network_namespaces(7)",
            "user_namespaces(7)",
            "nft(8)",
        ],
        _ => &["jq(1)", "socket(7)", "tcp(7)", "ss(8)", "sysctl(8)"],
    }
}

fn told(all: &[Told], page: &str) -> String {
    let here = all
        .iter()
        .filter(|(_, pages, _)| pages.is_empty() || pages.contains(&page));
    items(here.map(|(name, _, meaning)| (*name, *meaning)))
}

fn items<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    items.fold(String::new(), |mut text, (name, meaning)| {
        let _ = writeln!(text, ".TP\n\\fB{}\\fR\n{}", escaped(name), escaped(meaning));
        text
    })
}

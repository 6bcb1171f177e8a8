//! A case as plain data: a network whose behaviour is known, what happens to it, and which question kalive is
//! asked about it. Knows neither chance nor the system.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use kalive::lab::{Behaviour, Change, SERVER_PORT, servers};

/// What is tried; the rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    HoldDrop,
    HoldReset,
    HoldForget,
    HoldUntracked,
    HoldRemembers,
    HoldLoss,
    HoldCut,
    HoldUnreachable,
    HoldReboot,
    HoldAge,
    HoldFarKeepalive,
    ProbeAlive,
    ProbeForgotten,
    ProbeCut,
    ProbeUnreachable,
    ProbeReboot,
    ProbeInFlight,
    ProbeLoss,
    ProbeClosed,
    ProbeService,
    ProbeConnect,
    ProbeFarKeepalive,
    Inspect,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HoldDrop => "hold: NAT that drops",
            Self::HoldReset => "hold: NAT that resets",
            Self::HoldForget => "hold: NAT that lets late clients in",
            Self::HoldUntracked => "hold: keepalives that do not count",
            Self::HoldRemembers => "hold: NAT that remembers",
            Self::HoldLoss => "hold: NAT, loss of up to 20 %",
            Self::HoldCut => "hold: path cut",
            Self::HoldUnreachable => "hold: host unreachable",
            Self::HoldReboot => "hold: peer reboots",
            Self::HoldAge => "hold: server closes at an age",
            Self::HoldFarKeepalive => "hold: far end sends keepalives",
            Self::ProbeAlive => "probe: healthy",
            Self::ProbeForgotten => "probe: NAT has forgotten",
            Self::ProbeCut => "probe: path cut while idle",
            Self::ProbeUnreachable => "probe: unreachable while idle",
            Self::ProbeReboot => "probe: peer reboots",
            Self::ProbeInFlight => "probe: data in flight",
            Self::ProbeLoss => "probe: loss of up to 20 %",
            Self::ProbeClosed => "probe: server closes",
            Self::ProbeService => "probe: service or network",
            Self::ProbeConnect => "probe: connecting",
            Self::ProbeFarKeepalive => "probe: far end sends keepalives",
            Self::Inspect => "inspect --options --survives",
        })
    }
}

/// Everything about one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) server: Server,
    pub(crate) behaviour: Behaviour,
    pub(crate) v6: bool,
    pub(crate) step: Option<Step>,
    pub(crate) tool: Tool,
}

/// What happens to the network so long after kalive was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) change: Change,
}

/// The far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Sends back what it receives, and no more.
    Echo,
    /// `kalive serve`.
    Serve,
    /// `kalive serve --max-session-age`.
    ServeAge(Duration),
    /// Closes every connection at this age, with a FIN or a RST.
    Closing { age: Duration, reset: bool },
    /// Has SO_KEEPALIVE on, with this TCP_KEEPIDLE.
    Keepalive(Duration),
    /// Answers so many requests and then hangs; its kernel does not.
    Stuck { answers: u32 },
}

/// The question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tool {
    Hold(Hold),
    Probe(Probe),
    Inspect(Inspect),
}

/// `kalive hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) max: Duration,
    pub(crate) resolution: Duration,
    pub(crate) direction: Direction,
    pub(crate) sessions: u32,
    pub(crate) at_least: Option<Duration>,
    pub(crate) verify: Option<Duration>,
}

/// Who speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Auto,
    Outbound,
    Inbound,
    Both,
}

/// `kalive probe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) ending: Ending,
    pub(crate) traffic: Traffic,
    pub(crate) connect_timeout: Duration,
    pub(crate) require: &'static str,
    /// Nobody listens on the port that is asked for.
    pub(crate) closed_port: bool,
}

/// When a probe of a living peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Rounds(u32),
    For(Duration),
    Never,
}

/// What a probe sends besides keepalives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    None,
    /// Data; `icmp_errors` takes ICMP errors at once.
    InFlight {
        icmp_errors: bool,
    },
    Heartbeat(Duration),
}

/// `kalive inspect --options --survives`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspect {
    /// What is asked, and what the NAT really does.
    pub(crate) survives: Duration,
    pub(crate) sockets: Vec<Options>,
}

/// What a program has set on its socket. `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) keepalive: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
}

impl Case {
    /// Whether packets get lost by chance.
    pub(crate) fn is_lossy(&self) -> bool {
        self.behaviour.loss_outbound.get() + self.behaviour.loss_inbound.get() > 0
    }

    /// The far end's address.
    pub(crate) fn target(&self) -> SocketAddr {
        let [v4, v6] = servers();
        if self.v6 { v6 } else { v4 }
    }

    /// The words after `kalive`; `own_pid` holds the sockets that are inspected.
    pub(crate) fn arguments(&self, own_pid: u32) -> Vec<String> {
        let server = self.target();
        let line = match &self.tool {
            Tool::Hold(hold) => format!("hold {server} {}", hold.options()),
            Tool::Probe(probe) => {
                let mut target = server;
                if probe.closed_port {
                    target.set_port(SERVER_PORT + 1);
                }
                format!("probe {target} {}", probe.options())
            }
            Tool::Inspect(inspect) => format!(
                "inspect -s --options --survives {} --pid {own_pid} --peer :{SERVER_PORT}",
                span(inspect.survives)
            ),
        };
        let words = line.split_whitespace().map(str::to_owned);
        words.chain(["-o".to_owned(), "json".to_owned()]).collect()
    }

    /// About how long it takes: the longest begin first.
    pub(crate) fn estimate(&self) -> Duration {
        let lasts = match &self.tool {
            Tool::Hold(hold) => {
                let fails = self.step.map_or(Duration::MAX, |step| step.after);
                let forgets = self.behaviour.nat_timeout.get() * 3 / 2;
                let server = match self.server {
                    Server::ServeAge(age) | Server::Closing { age, .. } => age,
                    Server::Keepalive(idle) => idle * 3,
                    Server::Echo | Server::Serve | Server::Stuck { .. } => Duration::MAX,
                };
                hold.max.min(forgets).min(fails).min(server) + Duration::from_secs(5)
            }
            Tool::Probe(probe) => {
                let dies = probe.idle + probe.interval * probe.count;
                match (probe.ending, self.step) {
                    (Ending::For(time), _) => time,
                    (Ending::Rounds(rounds), _) => probe.idle.max(probe.interval) * rounds,
                    (Ending::Never, Some(step)) => step.after + dies,
                    (Ending::Never, None) => dies,
                }
            }
            Tool::Inspect(inspect) => inspect.survives,
        };
        lasts + Duration::from_secs(2)
    }

    /// Nothing takes as long as this unless it hangs.
    pub(crate) fn patience(&self) -> Duration {
        self.estimate() * 4 + Duration::from_secs(90)
    }
}

impl Hold {
    fn options(&self) -> String {
        let direction = match self.direction {
            Direction::Auto => "auto",
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
            Direction::Both => "both",
        };
        let asked = [("at-least", self.at_least), ("verify", self.verify)];
        let asked = asked.into_iter().filter_map(|(name, value)| {
            let value = value?;
            Some(format!(" --{name} {}", span(value)))
        });
        format!(
            "--max {} --resolution {} --direction {direction} --sessions {}{}",
            span(self.max),
            span(self.resolution),
            self.sessions,
            asked.collect::<String>()
        )
    }
}

impl Probe {
    fn options(&self) -> String {
        let limit = self.user_timeout.map_or("off".to_owned(), span);
        let ending = match self.ending {
            Ending::Rounds(rounds) => format!("--rounds {rounds}"),
            Ending::For(time) => format!("--for {}", span(time)),
            Ending::Never => "--rounds 0".to_owned(),
        };
        let traffic = match self.traffic {
            Traffic::None => String::new(),
            Traffic::InFlight { icmp_errors: false } => "--in-flight".to_owned(),
            Traffic::InFlight { icmp_errors: true } => "--in-flight --icmp-errors".to_owned(),
            Traffic::Heartbeat(every) => {
                format!("--send PING --expect PING --heartbeat {}", span(every))
            }
        };
        format!(
            "--idle {} --interval {} --count {} --user-timeout {limit} {ending} {traffic} \
             --connect-timeout {} --require {}",
            span(self.idle),
            span(self.interval),
            self.count,
            span(self.connect_timeout),
            self.require
        )
    }
}

fn span(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

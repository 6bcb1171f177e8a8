//! The arguments of `kalive serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::values::positive;
use crate::domain::address::Network;

const FOOTER: &str = "Examples, and the protocol: kalive serve --help";

const AFTER_HELP: &str = "\
Every session is greeted with 'kalive-serve/1 TOKEN' and a line feed (32 bytes, TOKEN 16 hexadecimal digits), \
and gets back what it sends. Nothing else is sent on it but the single bytes that its client asks for.

Protocol, version 1: a connection that begins with the 18 bytes '\\0kalive-control/1\\n' is a control connection. \
Its requests are lines of exactly 64 bytes, padded with spaces before the line feed, so that no answer is longer \
than its question. Whatever else it says ends it.

'ping NUMBER' is answered by 'pong NUMBER'.

'speak TOKEN BYTES SPACING' sends up to BYTES (1 to 10) single bytes on the session of that token, one every \
SPACING milliseconds, until something comes back. It is answered by 'acknowledged TOKEN SILENCE SENT', \
'reset TOKEN SILENCE SENT', 'silence TOKEN SILENCE SENT' or 'unknown TOKEN'. SILENCE is how many milliseconds the \
session had been silent at the first byte, SENT how many bytes there were. A token cannot be guessed: only who was \
greeted with it can make the server speak on that session.

Examples:
  kalive serve                on port 7117, IPv4 and IPv6
  kalive serve --allow 192.0.2.0/24 --max-sessions 1000
      for one network only
  kalive hold server.example  at the other end: measures both directions";

/// What `kalive serve` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = FOOTER, after_long_help = AFTER_HELP)]
pub struct ServeArgs {
    /// Its own address.
    #[arg(help = "Where to listen; [::]: IPv4 too")]
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:7117", value_parser = listen)]
    pub listen: SocketAddr,
    /// Only from this network; repeat for several [default: all]
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<Network>,
    /// How many sessions at once
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_sessions: u32,
    /// Those from one address
    #[arg(long_help = "How many sessions at once from one address")]
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub max_sessions_per_client: u32,
    /// How long a session may last
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = positive, help_heading = "Limits")]
    pub max_session_age: Duration,
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        String::from("write ADDRESS:PORT or [IPV6]:PORT, such as 127.0.0.1:7117 or [::]:7117")
    })
}

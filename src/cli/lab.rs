//! The arguments of `kalive lab`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::values::duration;
use crate::lab::{Loss, NatTimeout, OnExpiry};

const FOOTER: &str = "More options, such as -o json, and examples: kalive lab --help";

const AFTER_HELP: &str = "\
The command finds the server's addresses in KALIVE_LAB_SERVER (198.51.100.2:7117) and KALIVE_LAB_SERVER6 \
([fd00:2::2]:7117). Its exit status is that of kalive, 128 + n after signal n. Without root it runs as uid 0 \
of a user namespace, which is still the same user outside. It sees /sys as the host does: use /proc/net or \
netlink to look at the lab's links.

Without a command, connections over IPv4 and IPv6 show what the network does to silence: exit status 0 if \
that is what was asked for, else 1.

Examples:
  kalive lab
      show what a NAT with a timeout of 5 s does
  kalive lab --on-expiry reset --nat-timeout 3s
      the same for one that forgets sooner, and says so
  kalive lab --nat-timeout 20s -- ./my-program
      my program behind a NAT
  kalive lab --cut-after 10s --server ./my-server -- ./my-client
      my server too, and the path goes after 10 s
  kalive lab -- bash
      look around in the client's network";

/// What `kalive lab` was asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = FOOTER, after_long_help = AFTER_HELP)]
pub struct LabArgs {
    /// The router's memory
    #[arg(long_help = "After how much silence the router forgets a connection, in whole seconds")]
    #[arg(long, value_name = "DURATION", value_parser = nat_timeout, default_value = "5s", help_heading = "Network")]
    pub nat_timeout: NatTimeout,
    /// What late packets meet
    #[arg(long_help = "What the router does with packets of a connection that it has forgotten")]
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnExpiryArg::Drop, help_heading = "Network")]
    pub on_expiry: OnExpiryArg,
    /// Lose this share of the packets, each way
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "0",
        hide_default_value = true,
        help_heading = "Network"
    )]
    pub loss: Loss,
    /// Pass TCP segments that are nothing but an ACK without looking: keepalives get through but do not
    /// refresh the router's memory. The router is then a firewall without address translation
    #[arg(long, help_heading = "Network", hide_short_help = true)]
    pub untracked_keepalives: bool,

    /// Drop everything silently, both ways
    #[arg(long_help = "After this time drop everything silently, both ways")]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Events")]
    pub cut_after: Option<Duration>,
    /// Answer with ICMP host unreachable
    #[arg(long_help = "After this time answer the client's packets with ICMP host unreachable")]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Events")]
    pub unreachable_after: Option<Duration>,
    /// Reboot the server
    #[arg(
        long_help = "After this time reboot the server: it forgets its connections and says nothing"
    )]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Events")]
    pub reboot_peer_after: Option<Duration>,

    /// Run this at the server in place of kalive serve
    #[arg(long_help = "Run this at the server, with sh -c, in place of kalive serve on port 7117")]
    #[arg(long, value_name = "COMMAND", requires = "command")]
    pub server: Option<String>,

    /// What to run at the client [default: a demonstration]
    #[arg(trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// What the router does with late packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnExpiryArg {
    /// Drop them silently
    Drop,
    /// Answer with a RST
    Reset,
    /// As Linux does by default: a late packet of the client makes a new entry
    Forget,
}

impl From<OnExpiryArg> for OnExpiry {
    fn from(arg: OnExpiryArg) -> Self {
        match arg {
            OnExpiryArg::Drop => Self::Drop,
            OnExpiryArg::Reset => Self::Reset,
            OnExpiryArg::Forget => Self::Forget,
        }
    }
}

fn nat_timeout(text: &str) -> Result<NatTimeout, String> {
    NatTimeout::new(duration(text)?).map_err(|error| error.to_string())
}

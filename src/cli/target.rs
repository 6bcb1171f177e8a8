//! The flags that choose an address family.

use clap::Args;

use crate::domain::target::Families;

/// `-4` and `-6`.
#[derive(Clone, Copy, Debug, Args)]
pub struct FamilyArgs {
    /// Use IPv4 only
    #[arg(
        short = '4',
        long,
        conflicts_with = "ipv6",
        hide_short_help = true,
        help_heading = "Connection"
    )]
    ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long, help_heading = "Connection", hide_short_help = true)]
    ipv6: bool,
}

impl From<FamilyArgs> for Families {
    fn from(args: FamilyArgs) -> Self {
        match (args.ipv4, args.ipv6) {
            (true, _) => Self::OnlyV4,
            (_, true) => Self::OnlyV6,
            (false, false) => Self::Any,
        }
    }
}

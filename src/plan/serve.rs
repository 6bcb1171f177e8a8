//! The plan of `kalive serve`: where to listen, for whom, and how much of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::serve::ServeArgs;
use crate::domain::address::Network;

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) listen: SocketAddr,
    /// Any of these; empty: everybody.
    pub(crate) allow: Vec<Network>,
    /// At once.
    pub(crate) sessions: u32,
    /// At once from one address.
    pub(crate) sessions_per_client: u32,
    /// After which a session is closed.
    pub(crate) age: Duration,
}

impl Plan {
    /// Whether someone at `address` is served at all.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        self.allow.is_empty()
            || self
                .allow
                .iter()
                .any(|network| network.contains(address.ip()))
    }
}

pub(crate) fn plan(args: &ServeArgs) -> Plan {
    Plan {
        listen: args.listen,
        allow: args.allow.clone(),
        sessions: args.max_sessions,
        sessions_per_client: args.max_sessions_per_client,
        age: args.max_session_age,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_networks_keeps_others_out() {
        let mut plan = Plan {
            listen: "[::]:0".parse().unwrap(),
            allow: Vec::new(),
            sessions: 1,
            sessions_per_client: 1,
            age: Duration::MAX,
        };
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:9".parse().unwrap();
        let other: SocketAddr = "[::1]:9".parse().unwrap();
        assert!(plan.allows(mapped) && plan.allows(other));
        plan.allow = vec!["192.0.2.0/24".parse().unwrap()];
        assert!(plan.allows(mapped) && !plan.allows(other));
    }
}

//! A private client - router - server network whose behaviour is known, for trying keepalive on.
//! The kernel's own connection tracking and masquerading are the NAT; nothing is imitated. Nothing
//! outside the lab's network namespaces is touched, and they end with the process.
//!
//! Building a lab needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`: see [`become_root`] and [`give_root`]
//! for how an ordinary user gets them.
//!
//! ```no_run
//! use std::net::TcpStream;
//! use kalive::lab::{Change, Lab, Path, Plan, servers};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! kalive::lab::become_root()?;
//! let lab = Lab::build(&Plan::default())?;
//! let [server, _server6] = servers();
//! let stream = lab.client().run(|| TcpStream::connect(server))??;
//! lab.change(Change::Path(Path::Cut))?;
//! # drop(stream);
//! # Ok(())
//! # }
//! ```

mod behaviour;
mod echo;
mod far_end;
mod links;
mod missing;
mod namespace;
mod nftables;
mod rules;
mod serve;
mod sysctl;
#[cfg(test)]
mod tests;
mod topology;

use std::fmt;
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub use behaviour::{Behaviour, Loss, NatTimeout, OnExpiry, Path};
pub use far_end::FarEnd;
pub use namespace::{Namespace, become_root, give_root, privileged};
pub use rules::Counter;
pub use topology::{
    CLIENT, CLIENT6, ROUTER_INSIDE, ROUTER_INSIDE6, ROUTER_OUTSIDE, ROUTER_OUTSIDE6, SERVER,
    SERVER_PORT, SERVER6, servers,
};

use crate::error::{During, Result};
use far_end::Running;
use links::{Links, veth};
use nftables::Nftables;
use topology::{
    CLIENT_HOST, CLIENT_PORT, Host, INSIDE_PORT, OUTSIDE_PORT, ROUTER_HOST, SERVER_HOST,
    SERVER_LINK,
};

/// What to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How the network behaves at first.
    pub behaviour: Behaviour,
    /// What answers at the server's address.
    pub far_end: FarEnd,
}

/// A change of a running lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another NAT timeout. A connection that exists gets it with its next packet.
    NatTimeout(NatTimeout),
    /// Another treatment of late packets.
    OnExpiry(OnExpiry),
    /// Another share of the client's packets gets lost.
    LossOutbound(Loss),
    /// Another share of the server's packets gets lost.
    LossInbound(Loss),
    /// The path opens, is cut, or ends in an unreachable host.
    Path(Path),
    /// The server reboots: the same address, no memory of any connection, and no FIN or RST when it
    /// goes down. Its far end is started again.
    RebootPeer,
}

impl Behaviour {
    /// The behaviour after `change`.
    #[must_use]
    pub fn after(mut self, change: Change) -> Self {
        match change {
            Change::NatTimeout(timeout) => self.nat_timeout = timeout,
            Change::OnExpiry(on_expiry) => self.on_expiry = on_expiry,
            Change::LossOutbound(loss) => self.loss_outbound = loss,
            Change::LossInbound(loss) => self.loss_inbound = loss,
            Change::Path(path) => self.path = path,
            Change::RebootPeer => {}
        }
        self
    }
}

/// A running lab. Dropping it tears it down.
pub struct Lab {
    client: Namespace,
    router: Namespace,
    state: Mutex<State>,
}

struct State {
    // Ends before its namespace.
    running: Running,
    far_end: FarEnd,
    server: Arc<Namespace>,
    server_links: Links,
    nftables: Nftables,
    behaviour: Behaviour,
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("behaviour", &self.state().behaviour)
            .finish_non_exhaustive()
    }
}

impl Lab {
    /// Builds one and starts its far end. The network carries packets when this returns.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported), with the remedy, where this machine or
    /// this user cannot have one.
    pub fn build(plan: &Plan) -> Result<Self> {
        // Namespaces belong to a thread: one that is thrown away leaves the caller where it was.
        thread::scope(|scope| {
            thread::Builder::new()
                .name("lab builder".to_owned())
                .spawn_scoped(scope, || Self::build_here(plan))
                .during(|| "start a thread that builds the lab")?
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Leaves the calling thread in the router's namespace.
    fn build_here(plan: &Plan) -> Result<Self> {
        let (client, mut client_links) = end_host(&CLIENT_HOST)?;
        let (server, mut server_links) = end_host(&SERVER_HOST)?;
        let router = Namespace::create(ROUTER_HOST.name)?;
        let mut router_links = Links::open()?;
        let mut nftables = Nftables::open()?;
        nftables.create(&rules::rules(&plan.behaviour))?;
        sysctl::set_router()?;
        sysctl::set_tracking(&plan.behaviour)?;
        router_links.connect(vec![
            veth(&INSIDE_PORT, &CLIENT_PORT, client.as_raw_fd()),
            veth(&OUTSIDE_PORT, &SERVER_LINK, server.as_raw_fd()),
        ])?;
        let mut hosts = [
            (&mut client_links, &CLIENT_HOST),
            (&mut server_links, &SERVER_HOST),
            (&mut router_links, &ROUTER_HOST),
        ];
        for (links, host) in &mut hosts {
            links.configure(host)?;
        }
        for (links, host) in &mut hosts {
            links.wait_until_running(host)?;
        }
        Ok(Self {
            client,
            router,
            state: Mutex::new(State {
                running: Running::start(&plan.far_end, &server)?,
                far_end: plan.far_end.clone(),
                server: Arc::new(server),
                server_links,
                nftables,
                behaviour: plan.behaviour,
            }),
        })
    }

    /// The client's namespace.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// The router's namespace.
    #[must_use]
    pub fn router(&self) -> &Namespace {
        &self.router
    }

    /// The server's namespace: another one after each [`Change::RebootPeer`].
    #[must_use]
    pub fn server(&self) -> Arc<Namespace> {
        Arc::clone(&self.state().server)
    }

    /// How the network behaves now.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.state().behaviour
    }

    /// Changes the network. What is on its way sees either the old rules or the new ones.
    ///
    /// # Errors
    /// The system refuses; the network may then be half changed.
    pub fn change(&self, change: Change) -> Result<()> {
        let mut state = self.state();
        if change == Change::RebootPeer {
            return state.reboot_peer();
        }
        let behaviour = state.behaviour.after(change);
        state.apply_rules(behaviour)?;
        self.router.run(|| sysctl::set_tracking(&behaviour))??;
        state.behaviour = behaviour;
        Ok(())
    }

    /// How many packets have met this fate since the lab was built.
    ///
    /// # Errors
    /// The system refuses.
    pub fn count(&self, counter: Counter) -> Result<u64> {
        let counters = self.state().nftables.counters()?;
        let found = counters
            .into_iter()
            .find_map(|(name, packets)| (name == counter.name()).then_some(packets));
        found
            .ok_or_else(|| std::io::Error::from_raw_os_error(libc::ENOENT))
            .during(|| format!("nf_tables: read counter {}", counter.name()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply_rules(&mut self, behaviour: Behaviour) -> Result<()> {
        self.nftables.replace(&rules::rules(&behaviour))
    }

    /// The server's end of the cable moves to a new namespace. What is left in the old one has no
    /// link any more, so that nothing it says when it ends can be heard. The router's end keeps its
    /// addresses, hence the NAT its entries.
    fn reboot_peer(&mut self) -> Result<()> {
        self.apply_rules(self.behaviour.after(Change::Path(Path::Cut)))?;
        let (server, mut links) = new_thread_end_host(&SERVER_HOST)?;
        self.server_links.give(SERVER_LINK.index, &server)?;
        self.running = Running::Nothing;
        links.configure(&SERVER_HOST)?;
        links.wait_until_running(&SERVER_HOST)?;
        self.running = Running::start(&self.far_end, &server)?;
        self.server = Arc::new(server);
        self.server_links = links;
        self.apply_rules(self.behaviour)
    }
}

/// A new namespace with its rtnetlink socket; the calling thread stays in it.
fn end_host(host: &Host) -> Result<(Namespace, Links)> {
    let namespace = Namespace::create(host.name)?;
    sysctl::set_host()?;
    Ok((namespace, Links::open()?))
}

/// As [`end_host`], and the calling thread stays where it is.
fn new_thread_end_host(host: &Host) -> Result<(Namespace, Links)> {
    thread::scope(|scope| {
        thread::Builder::new()
            .spawn_scoped(scope, || end_host(host))
            .during(|| "start a thread that makes a namespace")?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

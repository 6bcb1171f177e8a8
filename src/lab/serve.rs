//! `kalive serve` at the lab's far end, on a thread of its own.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use super::namespace::Namespace;
use super::topology::SERVER_PORT;
use crate::error::{During, Result};
use crate::plan::serve::Plan;
use crate::run::serve;
use crate::sys::reactor::Reactor;

/// A running server; dropping it closes its sessions.
#[derive(Debug)]
pub(super) struct Serve {
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Serve {
    /// Starts it in this namespace. It listens when this returns.
    pub(super) fn start(namespace: &Namespace) -> Result<Self> {
        let listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, SERVER_PORT));
        let plan = Plan {
            listen,
            allow: Vec::new(),
            sessions: u32::MAX,
            sessions_per_client: u32::MAX,
            age: Duration::MAX,
        };
        let listener = namespace.run(|| serve::listen(listen))??;
        let reactor = Reactor::without_signals()?;
        let stop = EventFd::new().during(|| "eventfd")?;
        let own = stop.as_fd().try_clone_to_owned().during(|| "dup eventfd")?;
        let thread = thread::Builder::new()
            .name("lab serve".to_owned())
            .spawn(move || {
                // What fails here is missed by the clients, who say so.
                let _ended =
                    serve::run(
                        &plan,
                        &listener,
                        reactor,
                        Some(own.as_fd()),
                        &mut |_| Ok(()),
                    );
            })
            .during(|| "start the server's thread")?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // An eventfd that cannot be written has been written already.
        let _full = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            let _panicked = thread.join();
        }
    }
}

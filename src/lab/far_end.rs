//! What runs in the server's namespace: nothing, the echo server, or the user's own command. It
//! ends with its handle, and with the process however that ends.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::echo::Echo;
use super::namespace::Namespace;
use super::topology::{SERVER, SERVER_PORT, SERVER6};
use crate::error::{During, Error, Result};

/// What shall run at the server's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FarEnd {
    /// Nothing: the caller starts its own in [`Lab::server`](super::Lab::server).
    Nothing,
    /// A server that sends back what it receives, on port [`SERVER_PORT`] of both addresses.
    #[default]
    Echo,
    /// A command for `sh -c`, its output on standard error. It should listen on port
    /// [`SERVER_PORT`]: the lab waits for that for up to three seconds, then goes on without.
    Command(String),
}

/// It runs. Dropping it ends it.
#[derive(Debug)]
pub(super) enum Running {
    Nothing,
    Echo { _handle: Echo },
    Command { _handle: Shell },
}

impl Running {
    pub(super) fn start(what: &FarEnd, server: &Namespace) -> Result<Self> {
        Ok(match what {
            FarEnd::Nothing => Self::Nothing,
            FarEnd::Echo => Self::Echo {
                _handle: Echo::start(server)?,
            },
            FarEnd::Command(text) => Self::Command {
                _handle: Shell::start(text, server)?,
            },
        })
    }
}

/// A shell command in a process group of its own.
#[derive(Debug)]
pub(super) struct Shell {
    group: Pid,
    thread: Option<JoinHandle<()>>,
}

impl Shell {
    fn start(text: &str, server: &Namespace) -> Result<Self> {
        let mut command = command(text, server)?;
        let (started, start) = mpsc::channel();
        // The kernel kills the command with the thread that started it: so that thread does nothing
        // but wait for it, wherever `start` was called from.
        let thread = thread::Builder::new()
            .name("lab server".to_owned())
            .spawn(move || match command.spawn() {
                Ok(child) => wait(child, &started),
                Err(error) => drop(started.send(Err(error))),
            })
            .during(|| "start a thread for the server's command")?;
        let id = start
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .during(|| format!("start the server's command: sh -c {text:?}"))?;
        server.run(wait_for_listener)?;
        let group = i32::try_from(id).map_err(|_| Error::System {
            operation: "start the server's command".to_owned(),
            cause: io::Error::other(format!("{id} is no process id")),
        })?;
        Ok(Self {
            group: Pid::from_raw(group),
            thread: Some(thread),
        })
    }
}

fn command(text: &str, server: &Namespace) -> Result<Command> {
    // Standard output belongs to the command on the client's side.
    let output = io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .during(|| "dup standard error")?;
    let mut command = Command::new("sh");
    command
        .args(["-c", text])
        .env("KALIVE_LAB_SERVER", format!("{SERVER}:{SERVER_PORT}"))
        .env("KALIVE_LAB_SERVER6", format!("[{SERVER6}]:{SERVER_PORT}"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output);
    server.adopt(&mut command)?;
    Ok(command)
}

/// Waits until something listens on the server's port, within reason.
fn wait_for_listener() {
    const PATIENCE: Duration = Duration::from_secs(3);
    const STEP: Duration = Duration::from_millis(2);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let tables = ["tcp", "tcp6"].map(|name| Path::new("/proc/thread-self/net").join(name));
        let read = tables.iter().flat_map(std::fs::read_to_string);
        if read.into_iter().any(|table| table.lines().any(listens)) {
            return;
        }
        // The kernel tells nobody that a socket has begun to listen.
        thread::sleep(STEP);
    }
}

/// Whether a line of /proc/net/tcp or tcp6 is a listener on the server's port.
fn listens(line: &str) -> bool {
    const TCP_LISTEN: &str = "0A";
    let mut columns = line.split_whitespace().skip(1);
    let local = columns.next().and_then(|local| local.rsplit_once(':'));
    let port = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
    port == Some(SERVER_PORT) && columns.nth(1) == Some(TCP_LISTEN)
}

fn wait(mut child: Child, started: &mpsc::Sender<io::Result<u32>>) {
    if started.send(Ok(child.id())).is_ok() {
        // How it ended is between the user and the command.
        let _status = child.wait();
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // ESRCH: all of the group has ended.
        let _gone = killpg(self.group, Signal::SIGKILL);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_by_its_port_and_state() {
        let line = |port, state| {
            format!("   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000 00:00000000")
        };
        assert!(listens(&line("1BCD", "0A")));
        assert!(!listens(&line("1BCD", "01")));
        assert!(!listens(&line("0016", "0A")));
        assert!(!listens("  sl  local_address rem_address   st"));
        assert!(!listens(""));
    }
}

//! What runs in the server's namespace: nothing, the echo server, or the user's own command. It
//! ends with its handle, and with the process however that ends.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::echo::Echo;
use super::namespace::Namespace;
use super::serve::Serve;
use super::topology::{SERVER, SERVER_PORT, SERVER6};
use crate::domain::state::State;
use crate::error::{During, Error, Result};
use crate::sys::proc_net;

/// What shall run at the server's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FarEnd {
    /// Nothing: the caller starts its own in [`Lab::server`](super::Lab::server).
    Nothing,
    /// A server that sends back what it receives, on port [`SERVER_PORT`] of both addresses.
    #[default]
    Echo,
    /// `kalive serve`, on port [`SERVER_PORT`] of both addresses: as [`FarEnd::Echo`], after a greeting.
    Serve,
    /// A command for `sh -c`, its output on standard error. It should listen on port
    /// [`SERVER_PORT`]: the lab waits for that for up to three seconds (0.2 once it listens on another port), then
    /// goes on without. One that fails before anything listens is an error.
    Command(String),
}

/// It runs. Dropping it ends it.
#[derive(Debug)]
pub(super) enum Running {
    Nothing,
    Echo { _handle: Echo },
    Serve { _handle: Serve },
    Command { _handle: Shell },
}

impl Running {
    pub(super) fn start(what: &FarEnd, server: &Namespace) -> Result<Self> {
        Ok(match what {
            FarEnd::Nothing => Self::Nothing,
            FarEnd::Echo => Self::Echo {
                _handle: Echo::start(server)?,
            },
            FarEnd::Serve => Self::Serve {
                _handle: Serve::start(server)?,
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
        let (ended, end) = mpsc::channel();
        // The kernel kills the command with the thread that started it: so that thread does nothing
        // but wait for it, wherever `start` was called from.
        let thread = thread::Builder::new()
            .name("lab server".to_owned())
            .spawn(move || match command.spawn() {
                Ok(child) => wait(child, &started, &ended),
                Err(error) => drop(started.send(Err(error))),
            })
            .during(|| "start a thread for the server's command")?;
        let id = start
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .during(|| format!("start the server's command: sh -c {text:?}"))?;
        let group = i32::try_from(id).map_err(|_| Error::System {
            operation: "start the server's command".to_owned(),
            cause: io::Error::other(format!("{id} is no process id")),
        })?;
        let shell = Self {
            group: Pid::from_raw(group),
            thread: Some(thread),
        };
        match server.run(move || wait_for_listener(&end))? {
            None => Ok(shell),
            Some(status) => Err(Error::System {
                operation: format!(
                    "the server's command, sh -c {text:?}, ended before anything listened"
                ),
                cause: io::Error::other(status.to_string()),
            }),
        }
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

/// Waits until something listens on the server's port, within reason; less long where the command listens on
/// other ports only. Gives how the command `ended` if it failed before anything listened; one that ends well may
/// have left a server behind.
fn wait_for_listener(ended: &mpsc::Receiver<ExitStatus>) -> Option<ExitStatus> {
    const PATIENCE: Duration = Duration::from_secs(3);
    const PATIENCE_WITH_OTHERS: Duration = Duration::from_millis(200);
    const FIRST: Duration = Duration::from_millis(2);
    const LONGEST: Duration = Duration::from_millis(50);
    let (mut step, mut until) = (FIRST, Instant::now() + PATIENCE);
    let mut others = false;
    let mut failed = None;
    while Instant::now() < until {
        let ports = listening();
        if ports.contains(&SERVER_PORT) {
            return None;
        }
        // Looked at after it had ended.
        if failed.is_some() && ports.is_empty() {
            return failed;
        }
        if !others && !ports.is_empty() {
            others = true;
            until = until.min(Instant::now() + PATIENCE_WITH_OTHERS);
        }
        // The kernel tells nobody that a socket has begun to listen, and each look walks its tables.
        match ended.recv_timeout(step) {
            Ok(status) => failed = Some(status).filter(|status| !status.success()),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(step),
        }
        step = (step * 2).min(LONGEST);
    }
    None
}

/// The ports of this thread's namespace that something listens on.
fn listening() -> Vec<u16> {
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        // Without IPv6 there is no tcp6.
        let path = Path::new("/proc/thread-self/net").join(table);
        let Ok(table) = File::open(path) else {
            continue;
        };
        let _ = proc_net::read(BufReader::new(table), |socket| {
            if socket.state == State::Listen {
                ports.push(socket.local.port());
            }
            Ok::<_, io::Error>(())
        });
    }
    ports
}

fn wait(
    mut child: Child,
    started: &mpsc::Sender<io::Result<u32>>,
    ended: &mpsc::Sender<ExitStatus>,
) {
    if started.send(Ok(child.id())).is_ok()
        && let Ok(status) = child.wait()
    {
        // Nobody listens any more once the lab is built: from then on it is between the user and the command.
        let _nobody = ended.send(status);
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

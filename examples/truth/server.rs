//! Far ends that a lab does not have itself: servers that close, that send keepalives, that get stuck.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kalive::lab::{FarEnd, Lab, SERVER_PORT};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

use crate::case::Server;

/// More than `hold` opens at once: a full queue costs its clients a second each.
const BACKLOG: i32 = 4096;

/// What the lab itself is to run.
pub(crate) fn far_end(server: Server) -> FarEnd {
    match server {
        Server::Echo => FarEnd::Echo,
        Server::Serve => FarEnd::Serve,
        Server::ServeAge(_)
        | Server::Closing { .. }
        | Server::Keepalive(_)
        | Server::Stuck { .. } => FarEnd::Nothing,
    }
}

/// A running server, until it is dropped.
pub(crate) enum Running {
    Labs,
    Serve(Child),
    Own(Own),
}

impl Running {
    /// Starts what the lab does not run. It listens when this returns.
    pub(crate) fn start(server: Server, lab: &Lab) -> Result<Self> {
        let attend: Attend = match server {
            Server::Echo | Server::Serve => return Ok(Self::Labs),
            Server::ServeAge(age) => return serve(lab, age).map(Self::Serve),
            Server::Closing { age, reset } => return Own::closing(lab, age, reset).map(Self::Own),
            Server::Keepalive(idle) => {
                let held = Mutex::new(Vec::new());
                Box::new(move |stream| {
                    let keepalive = TcpKeepalive::new()
                        .with_time(idle)
                        .with_interval(Duration::from_secs(1));
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                    keep(&held, stream);
                    Ok(())
                })
            }
            Server::Stuck { answers } => {
                let held = Mutex::new(Vec::new());
                Box::new(move |stream| {
                    for _ in 0..answers {
                        let mut request = [0; 4];
                        (&stream).read_exact(&mut request)?;
                        (&stream).write_all(&request)?;
                    }
                    keep(&held, stream);
                    Ok(())
                })
            }
        };
        Own::start(lab, attend).map(Self::Own)
    }

    /// By how much it closed a connection late, at most.
    pub(crate) fn closed_late(&self) -> Duration {
        match self {
            Self::Labs | Self::Serve(_) => Duration::ZERO,
            Self::Own(own) => Duration::from_micros(own.late.load(Ordering::Relaxed)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Serve(child) = self {
            // It may have ended already.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}

/// What is done with a connection, on the thread that accepts. An error ends that connection only.
type Attend = Box<dyn Fn(TcpStream) -> io::Result<()> + Send>;

fn keep(held: &Mutex<Vec<TcpStream>>, stream: TcpStream) {
    if let Ok(mut held) = held.lock() {
        held.push(stream);
    }
}

/// `kalive serve --max-session-age`.
fn serve(lab: &Lab, age: Duration) -> Result<Child> {
    let age = format!("{}ms", age.as_millis());
    let mut command = crate::kalive();
    command
        .args([
            "serve",
            "-o",
            "ndjson",
            "--max-sessions-per-client",
            "20000",
        ])
        .args(["--max-session-age", &age])
        .stdout(Stdio::piped());
    lab.server().adopt(&mut command)?;
    let mut child = spawn(&mut command)?;
    let output = child.stdout.take().context("no pipe")?;
    let mut events = BufReader::new(output);
    // The first tells that it listens.
    events.read_line(&mut String::new())?;
    thread::spawn(move || io::copy(&mut events, &mut io::sink()));
    Ok(child)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command.stdin(Stdio::null()).spawn().context("start kalive")
}

/// A server in this process.
pub(crate) struct Own {
    listener: Socket,
    late: Arc<AtomicU64>,
    /// Dropping it ends the thread that closes.
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Own {
    fn start(lab: &Lab, attend: Attend) -> Result<Self> {
        let listener = lab.server().run(listen)?.context("listen")?;
        let own = listener.try_clone().context("dup")?;
        let accepting = TcpListener::from(listener);
        let thread = thread::spawn(move || {
            // Ends when the listener is shut down.
            while let Ok((stream, _)) = accepting.accept() {
                let _ended = attend(stream);
            }
        });
        Ok(Self {
            listener: own,
            late: Arc::default(),
            stop: None,
            threads: vec![thread],
        })
    }

    fn closing(lab: &Lab, age: Duration, reset: bool) -> Result<Self> {
        let (accepted, connections) = mpsc::channel();
        let attend = move |stream| {
            // The other thread may have ended.
            let _gone = accepted.send((Instant::now() + age, stream));
            Ok(())
        };
        let mut own = Self::start(lab, Box::new(attend))?;
        let (stop, stopped) = mpsc::channel();
        own.stop = Some(stop);
        let late = Arc::clone(&own.late);
        own.threads.push(thread::spawn(move || {
            close_each(&connections, &stopped, reset, &late);
        }));
        Ok(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Wakes the thread that accepts.
        let _closed = self.listener.shutdown(std::net::Shutdown::Both);
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            // A panic in it has been reported by itself.
            let _panicked = thread.join();
        }
    }
}

/// They come in the order in which they are to be closed.
fn close_each(
    connections: &Receiver<(Instant, TcpStream)>,
    stopped: &Receiver<()>,
    reset: bool,
    late: &AtomicU64,
) {
    while let Ok((at, stream)) = connections.recv() {
        let left = at.saturating_duration_since(Instant::now());
        if stopped.recv_timeout(left) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        if reset {
            // With a linger time of zero closing sends a RST.
            let _set = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        drop(stream);
        let by = u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX);
        late.fetch_max(by, Ordering::Relaxed);
    }
}

fn listen() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(false)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, SERVER_PORT)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

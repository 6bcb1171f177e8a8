//! Runs a case: builds its lab, starts kalive in it, does to the network what the case says, and notes what
//! was seen. Judges nothing.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use kalive::lab::{Counter, Lab, Path, Plan};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, TcpKeepalive, Type};

use crate::case::{Case, Inspect, Options, Tool};
use crate::judge::Seen;
use crate::server::{self, Running};

/// An answer that has not come after so long does not come.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Enough for a few repeated SYNs.
const WARM: Duration = Duration::from_secs(10);

pub(crate) fn run(case: &Case) -> Result<Seen> {
    let lab = Lab::build(&Plan {
        behaviour: case.behaviour,
        far_end: server::far_end(case.server),
    })?;
    let running = Running::start(case.server, &lab)?;
    warm_up(case, &lab)?;
    let sockets = match &case.tool {
        Tool::Inspect(inspect) => open(inspect, case.target(), &lab)?,
        Tool::Hold(_) | Tool::Probe(_) => Vec::new(),
    };
    let opened = Instant::now();
    let mut seen = kalive(case, &lab)?;
    if let Tool::Inspect(inspect) = &case.tool {
        // Then everything that is to be forgotten is, also what was probed once.
        let silence = inspect.survives * 3 / 2 + Duration::from_secs(1);
        thread::sleep(silence.saturating_sub(opened.elapsed()));
        seen.sockets = ask(&sockets)?;
    }
    seen.lost = lab.count(Counter::LostOutbound)? + lab.count(Counter::LostInbound)?;
    seen.closed_late = running.closed_late().as_secs_f64();
    Ok(seen)
}

/// Where many labs are built at once the first SYN of one may get lost, which is no part of its truth.
fn warm_up(case: &Case, lab: &Lab) -> Result<()> {
    if case.behaviour.path != Path::Open {
        return Ok(());
    }
    let first = || TcpStream::connect_timeout(&case.target(), WARM);
    let connected = lab.client().run(first)?;
    // With loss it is up to chance.
    if !case.is_lossy() {
        connected.context("the first connection")?;
    }
    Ok(())
}

/// Runs kalive to its end, and what happens to the network meanwhile.
fn kalive(case: &Case, lab: &Lab) -> Result<Seen> {
    let mut command = crate::kalive();
    command
        .args(case.arguments(std::process::id()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    lab.client().adopt(&mut command)?;
    let start = Instant::now();
    let child = command.spawn().context("start kalive")?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(wait(child)));
    let mut stepped = None;
    let mut ended = None;
    if let Some(step) = case.step {
        match told.recv_timeout(step.after.saturating_sub(start.elapsed())) {
            Err(RecvTimeoutError::Timeout) => {
                let began = start.elapsed().as_secs_f64();
                lab.change(step.change)?;
                stepped = Some((began, start.elapsed().as_secs_f64()));
            }
            other => ended = other.ok(),
        }
    }
    let ended = match ended {
        Some(ended) => ended,
        None => told.recv_timeout(case.patience()).or_else(|_| {
            kill(pid, Signal::SIGKILL).context("end a kalive that hangs")?;
            told.recv().context("its thread ended")
        })?,
    };
    let (output, at) = ended?;
    Ok(Seen {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        elapsed: (at - start).as_secs_f64(),
        stepped,
        ..Seen::default()
    })
}

fn wait(child: Child) -> io::Result<(Output, Instant)> {
    let output = child.wait_with_output()?;
    Ok((output, Instant::now()))
}

/// The connections that are inspected, as a program would make them.
fn open(inspect: &Inspect, server: SocketAddr, lab: &Lab) -> Result<Vec<TcpStream>> {
    let connect_all = || -> io::Result<Vec<TcpStream>> {
        inspect
            .sockets
            .iter()
            .map(|options| connect(options, server))
            .collect()
    };
    lab.client().run(connect_all)?.context("connect")
}

fn connect(options: &Options, server: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    if let Some(idle) = options.idle {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
    }
    if let Some(interval) = options.interval {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(interval))?;
    }
    if let Some(count) = options.count {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_retries(count))?;
    }
    // The calls above have set it.
    socket.set_keepalive(options.keepalive)?;
    socket.set_tcp_user_timeout(options.user_timeout)?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

/// Whether each still carries data.
fn ask(sockets: &[TcpStream]) -> Result<Vec<(String, bool)>> {
    for mut socket in sockets {
        socket.set_nonblocking(true)?;
        // One that is known to be dead refuses.
        let _dead = socket.write(b"?");
    }
    thread::sleep(ANSWER);
    sockets
        .iter()
        .map(|mut socket| {
            let lives = matches!(socket.read(&mut [0]), Ok(1));
            let Ok(address) = socket.local_addr() else {
                bail!("a socket without an address");
            };
            Ok((address.to_string(), lives))
        })
        .collect()
}

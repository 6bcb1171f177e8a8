//! Carries a lab's plan out: changes the network when its time has come, while a command runs in it or
//! connections are tried. Tells what happens as events.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::Pid;
use socket2::{SockRef, TcpKeepalive};

use crate::domain::lab::Outcome;
use crate::domain::serve::GREETING_LENGTH;
use crate::error::{During as _, Result};
use crate::lab::{Lab, Namespace, servers};
use crate::plan::lab::{Plan, Step, Tool, Trial, Work};
use crate::sys::guard::{Inside, Woken};
use crate::sys::signals::Interrupt;

/// Longer than any answer takes on this network, repetitions of what got lost included.
const PATIENCE: Duration = Duration::from_secs(3);

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The network has changed.
    Changed(Step),
    /// A connection of the demonstration has ended so.
    Tried(Trial, Outcome),
    /// A subcommand of kalive has printed this JSON document.
    Measured(Tool, String),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The command ended with this code.
    Command(u8),
    /// All connections have been tried.
    Tried,
    /// A signal came before that.
    Interrupted(Interrupt),
}

/// Does the plan's work in `lab`.
pub(crate) fn run(
    plan: &Plan,
    lab: &Lab,
    inside: &Inside,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Ended> {
    let mut clock = Clock {
        start: Instant::now(),
        steps: &plan.steps,
        lab,
    };
    match &plan.work {
        Work::Command { program, arguments } => {
            let command = start(program, arguments, lab)?;
            run_command(command, &mut clock, inside, tell)
        }
        Work::Demonstration(trials) => demonstrate(trials, &plan.tools, &mut clock, inside, tell),
    }
}

/// The steps that are still to come.
struct Clock<'a> {
    start: Instant,
    steps: &'a [Step],
    lab: &'a Lab,
}

impl Clock<'_> {
    /// How long it is until the next step.
    fn until_next(&self) -> Option<Duration> {
        let next = self.steps.first()?;
        Some(next.after.saturating_sub(self.start.elapsed()))
    }

    /// Takes the steps whose time has come.
    fn advance(&mut self, tell: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        while let Some((step, rest)) = self.steps.split_first()
            && step.after <= self.start.elapsed()
        {
            self.steps = rest;
            self.lab.change(step.change)?;
            tell(Event::Changed(*step))?;
        }
        Ok(())
    }
}

fn start(program: &OsString, arguments: &[OsString], lab: &Lab) -> Result<Pid> {
    let [v4, v6] = servers();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KALIVE_LAB_SERVER", v4.to_string())
        .env("KALIVE_LAB_SERVER6", v6.to_string());
    lab.client().adopt(&mut command)?;
    #[expect(
        unsafe_code,
        reason = "there is no safe way to act between fork and exec"
    )]
    // SAFETY: sigprocmask is async-signal-safe and the closure does nothing else.
    unsafe {
        // The signals that the guard holds back are the command's own affair.
        command.pre_exec(|| {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            Ok(())
        });
    }
    let name = || format!("run {} in the lab", program.display());
    let child = command.spawn().during(name)?;
    let id = i32::try_from(child.id()).map_err(io::Error::other);
    id.map(Pid::from_raw).during(name)
}

fn run_command(
    command: Pid,
    clock: &mut Clock,
    inside: &Inside,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Ended> {
    loop {
        match inside.wait(clock.until_next(), None)? {
            Woken::Ended { child, code } if child == command => return Ok(Ended::Command(code)),
            Woken::Signal { signal, sent: true } => {
                // It may have ended just now.
                let _gone = kill(command, signal);
            }
            Woken::GuardGone => return Ok(Ended::Interrupted(Interrupt::Terminated)),
            // A signal from the terminal has reached the command too; an orphan has ended.
            Woken::Time | Woken::Ready | Woken::Signal { .. } | Woken::Ended { .. } => {}
        }
        clock.advance(tell)?;
    }
}

/// A thread that works in the client's namespace and then wakes the one that waits.
struct Workers<'a> {
    lab: &'a Lab,
    ready: EventFd,
    results: mpsc::Sender<Result<Event>>,
}

impl Workers<'_> {
    /// Not a scoped thread: an interruption does not wait for its silence to end.
    fn start(&self, work: impl FnOnce(&Namespace) -> Result<Event> + Send + 'static) -> Result<()> {
        let client = self.lab.client().try_clone()?;
        let results = self.results.clone();
        let ready = self.ready.as_fd().try_clone_to_owned().during(|| "dup")?;
        let worker = move || {
            let result = client.enter().and_then(|()| work(&client));
            // Nobody listens any more after an interruption.
            let _ = results.send(result);
            let _ = nix::unistd::write(ready, &1_u64.to_ne_bytes());
        };
        let thread = thread::Builder::new().name("lab trial".to_owned());
        thread.spawn(worker).map(drop).during(|| "start a thread")
    }
}

fn demonstrate(
    trials: &[Trial],
    tools: &[Tool],
    clock: &mut Clock,
    inside: &Inside,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Ended> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let (results, outcomes) = mpsc::channel();
    let workers = Workers {
        lab: clock.lab,
        ready: EventFd::from_flags(flags).during(|| "eventfd")?,
        results,
    };
    for &trial in trials {
        workers.start(move |_| Ok(Event::Tried(trial, attempt(&trial))))?;
    }
    for tool in tools {
        let tool = tool.clone();
        workers.start(move |client| measure(tool, client))?;
    }
    let mut left = trials.len() + tools.len();
    while left > 0 {
        match inside.wait(clock.until_next(), Some(workers.ready.as_fd()))? {
            Woken::Ready => {
                let _emptied = workers.ready.read();
                for event in outcomes.try_iter() {
                    left -= 1;
                    tell(event?)?;
                }
            }
            Woken::Signal { signal, .. } => return Ok(Ended::Interrupted(interrupt(signal))),
            Woken::GuardGone => return Ok(Ended::Interrupted(Interrupt::Terminated)),
            Woken::Time | Woken::Ended { .. } => {}
        }
        clock.advance(tell)?;
    }
    Ok(Ended::Tried)
}

/// Runs this very program in the client's namespace. How it exits is in its report, and the guard reaps it.
fn measure(tool: Tool, client: &Namespace) -> Result<Event> {
    let mut command = Command::new("/proc/self/exe");
    command
        .args(&tool.arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    client.adopt(&mut command)?;
    let name = || format!("run kalive {} in the lab", tool.arguments.join(" "));
    let mut child = command.spawn().during(name)?;
    let mut document = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut document).during(name)?;
    }
    Ok(Event::Measured(tool, document))
}

fn interrupt(signal: Signal) -> Interrupt {
    match signal {
        Signal::SIGINT => Interrupt::Interrupted,
        _ => Interrupt::Terminated,
    }
}

/// Connects, is silent, and sends.
fn attempt(trial: &Trial) -> Outcome {
    let Ok(mut stream) = connect(trial.server, trial.keepalive) else {
        return Outcome::NotConnected;
    };
    // The silence is what is tried: only the clock tells its end.
    thread::sleep(trial.silence);
    match exchange(&mut stream) {
        Ok(()) => Outcome::Alive,
        Err(error) => outcome(&error),
    }
}

/// Data has gone both ways afterwards: until then the router counts by other timeouts.
fn connect(server: SocketAddr, keepalive: Option<Duration>) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    if let Some(period) = keepalive {
        let options = TcpKeepalive::new().with_time(period).with_interval(period);
        SockRef::from(&stream).set_tcp_keepalive(&options)?;
    }
    // The far end of a demonstration is `kalive serve`.
    stream.read_exact(&mut [0; GREETING_LENGTH])?;
    exchange(&mut stream)?;
    Ok(stream)
}

fn exchange(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"k")?;
    stream.read_exact(&mut [0])
}

fn outcome(error: &io::Error) -> Outcome {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, _) => Outcome::Silent,
        (io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe, _) => Outcome::Reset,
        (io::ErrorKind::UnexpectedEof, _) | (_, None) => Outcome::Closed,
        (_, Some(errno)) => Outcome::Failed(errno),
    }
}

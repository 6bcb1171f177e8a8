//! Splits a process in two: a guard, and one inside that does the work. Whichever of them ends, however
//! it ends, the other one ends all processes that the work has started, those of a daemon included.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

use crate::error::{During as _, Result};

/// Which of the two this process is now.
pub(crate) enum Side {
    /// The guard; the other one has ended with this code, 128 + n after signal n.
    Guard { code: u8 },
    /// The one that works.
    Inside(Inside),
}

/// What the working side waits with.
pub(crate) struct Inside {
    signals: Held,
    guard: Pid,
}

/// What the working side has been woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The time has passed, or nothing at all.
    Time,
    /// The descriptor can be read.
    Ready,
    /// The guard is gone, and everything has been ended.
    GuardGone,
    /// A signal. `sent` by a process, which therefore is to be passed on; one from the terminal has gone
    /// to everybody already.
    Signal { signal: Signal, sent: bool },
    /// A child has ended with this code, 128 + n after signal n.
    Ended { child: Pid, code: u8 },
}

/// Splits this process, which must not have threads yet. Returns in the guard when all is over.
pub(crate) fn split() -> Result<Side> {
    let signals = Held::hold()?;
    prctl::set_child_subreaper(true).during(|| "PR_SET_CHILD_SUBREAPER")?;
    let guard = getpid();
    #[expect(unsafe_code, reason = "there is no safe way to fork")]
    // SAFETY: this process has one thread, so the child finds no lock that another thread holds.
    let forked = unsafe { fork() };
    match forked.during(|| "fork")? {
        ForkResult::Child => {
            prctl::set_child_subreaper(true).during(|| "PR_SET_CHILD_SUBREAPER")?;
            let inside = Inside { signals, guard };
            inside.watch_guard()?;
            Ok(Side::Inside(inside))
        }
        ForkResult::Parent { child } => {
            let code = watch(&signals, child)?;
            end_descendants()?;
            Ok(Side::Guard { code })
        }
    }
}

/// Passes signals on to the working side until it ends.
fn watch(signals: &Held, child: Pid) -> Result<u8> {
    loop {
        if let Some((ended, code)) = reap()? {
            if ended == child {
                return Ok(code);
            }
            continue;
        }
        // One from the terminal has reached the other side too.
        if let Woken::Signal { signal, sent: true } = signals.wait(None, None)?
            && signal != Signal::SIGCHLD
        {
            // It may have ended just now.
            let _gone = kill(child, signal);
        }
    }
}

impl Inside {
    /// Asks to be told when the guard ends. The kernel forgets that with every change of privileges, so
    /// it is to be called again after one.
    pub(crate) fn watch_guard(&self) -> Result<()> {
        // Not SIGKILL: what this side has started has to be ended first.
        prctl::set_pdeathsig(Signal::SIGTERM).during(|| "PR_SET_PDEATHSIG")?;
        if getppid() == self.guard {
            return Ok(());
        }
        Err(io::Error::from(Errno::ESRCH)).during(|| "watch the guard process")
    }

    /// Waits for a signal, the end of a child, `also` to become readable, or until the time has passed.
    pub(crate) fn wait(&self, time: Option<Duration>, also: Option<BorrowedFd>) -> Result<Woken> {
        loop {
            if let Some((child, code)) = reap()? {
                return Ok(Woken::Ended { child, code });
            }
            let woken = self.signals.wait(time, also)?;
            if getppid() != self.guard {
                end_descendants()?;
                return Ok(Woken::GuardGone);
            }
            match woken {
                Woken::Signal {
                    signal: Signal::SIGCHLD,
                    ..
                } => {}
                other => return Ok(other),
            }
        }
    }
}

/// The signals that both sides hold back.
struct Held(SignalFd);

impl Held {
    fn hold() -> Result<Self> {
        let signals = SigSet::from_iter([
            Signal::SIGCHLD,
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGTERM,
        ]);
        signals.thread_block().during(|| "sigprocmask")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        SignalFd::with_flags(&signals, flags)
            .map(Self)
            .during(|| "signalfd")
    }

    /// Waits for a signal, for `also`, or until the time has passed.
    fn wait(&self, time: Option<Duration>, also: Option<BorrowedFd>) -> Result<Woken> {
        let limit = time.map_or(PollTimeout::NONE, |time| {
            // Rounded up, so that the time has passed afterwards.
            PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut watched = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        watched.extend(also.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut watched, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).during(|| "poll"),
        }
        let arrived = self.0.read_signal().during(|| "read a signal")?;
        let signal = arrived.and_then(|info| {
            let signal = Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()?;
            // SI_USER, SI_QUEUE, SI_TKILL are not positive; the kernel's own codes are.
            let sent = info.ssi_code <= 0;
            Some(Woken::Signal { signal, sent })
        });
        let ready = watched.get(1).and_then(PollFd::any).unwrap_or_default();
        Ok(signal.unwrap_or(if ready { Woken::Ready } else { Woken::Time }))
    }
}

/// A child that has ended, with its code.
fn reap() -> Result<Option<(Pid, u8)>> {
    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        Ok(status) => Ok(ended(status)),
        Err(Errno::ECHILD) => Ok(None),
        Err(error) => Err(error).during(|| "waitpid"),
    }
}

fn ended(status: WaitStatus) -> Option<(Pid, u8)> {
    match status {
        WaitStatus::Exited(child, code) => Some((child, u8::try_from(code).unwrap_or(u8::MAX))),
        WaitStatus::Signaled(child, signal, _) => {
            Some((child, u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)))
        }
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}

/// Kills all children until there are none: what a killed one had started is a child then, since this
/// process is a subreaper.
pub(crate) fn end_descendants() -> Result<()> {
    loop {
        let children = children().during(|| "read /proc")?;
        for child in &children {
            let _gone = kill(*child, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error).during(|| "waitpid"),
        }
    }
}

fn children() -> io::Result<Vec<Pid>> {
    let own = getpid().as_raw();
    let all = procfs::process::all_processes().map_err(io::Error::other)?;
    Ok(all
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat| stat.ppid == own)
        .map(|stat| Pid::from_raw(stat.pid))
        .collect())
}

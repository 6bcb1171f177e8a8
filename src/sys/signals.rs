//! SIGINT, SIGTERM and SIGHUP as something to look at between two steps, or to wait for, instead of a
//! sudden end: the report so far is printed first.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::error::{During as _, Result};

/// The signals that end a run early.
#[derive(Debug)]
pub(crate) struct Interrupts {
    descriptor: SignalFd,
    signals: SigSet,
}

/// What ended a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// SIGINT.
    Interrupted,
    /// SIGTERM, or SIGHUP: the terminal is gone.
    Terminated,
}

impl Interrupts {
    /// From now on these signals are held for [`Self::pending`], in this thread and those it starts. So is
    /// SIGXFSZ, for good: a file that must not grow is an error of the write, which is told.
    ///
    /// # Errors
    /// When the system refuses the signal descriptor.
    pub(crate) fn hold() -> Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals
            .thread_block()
            .and_then(|()| SigSet::from(Signal::SIGXFSZ).thread_block())
            .during(|| "blocking SIGINT, SIGTERM, SIGHUP and SIGXFSZ")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&signals, flags).during(|| "signalfd")?;
        Ok(Self {
            descriptor,
            signals,
        })
    }

    /// The signal that has arrived, if one has. After the first, a second one ends the process at once.
    pub(crate) fn pending(&mut self) -> Option<Interrupt> {
        let arrived = self.descriptor.read_signal().ok().flatten()?;
        let _ = self.signals.thread_unblock();
        let interrupted = i32::try_from(arrived.ssi_signo) == Ok(libc::SIGINT);
        Some(if interrupted {
            Interrupt::Interrupted
        } else {
            Interrupt::Terminated
        })
    }
}

impl Interrupts {
    /// Waits so long for a signal.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub(crate) fn wait(&mut self, time: Duration) -> Result<Option<Interrupt>> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(interrupt) = self.pending() {
                return Ok(Some(interrupt));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Rounded up, so that the time has passed afterwards; a longer wait than fits is done in parts.
            let timeout = PollTimeout::try_from(left + Duration::from_millis(1));
            let mut watched = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, timeout.unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).during(|| "poll"),
            }
        }
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

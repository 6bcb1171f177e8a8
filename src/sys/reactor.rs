//! Waits on one thread for many descriptors, an absolute moment, and the signals that end a run: epoll, a
//! timerfd on CLOCK_MONOTONIC, and the held signals.

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::signals::{Interrupt, Interrupts};
use crate::domain::moment::Moment;
use crate::error::{During as _, Result};

/// Tokens of the reactor's own descriptors.
const TIMER: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;
/// How many ready descriptors are taken at once: nearly always all of them, so that their user may choose.
const BATCH: usize = 8_192;

/// What to wait for on a descriptor. Errors and hang-ups are told in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Errors and hang-ups only.
    Errors,
    Readable,
    Writable,
}

/// A descriptor that is ready.
#[expect(
    clippy::struct_excessive_bools,
    reason = "epoll tells each of them by itself"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// What it was added with.
    pub(crate) token: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// EPOLLERR: SO_ERROR or the error queue holds something.
    pub(crate) error: bool,
    /// EPOLLHUP or EPOLLRDHUP: the peer has closed, or the connection is gone.
    pub(crate) hung_up: bool,
}

/// One epoll instance, one timer, the held signals.
#[derive(Debug)]
pub(crate) struct Reactor {
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Moment>,
    interrupts: Option<Interrupts>,
    events: Vec<EpollEvent>,
}

impl Reactor {
    pub(crate) fn new(interrupts: Interrupts) -> Result<Self> {
        Self::with(Some(interrupts))
    }

    /// One that leaves the signals to another thread.
    pub(crate) fn without_signals() -> Result<Self> {
        Self::with(None)
    }

    fn with(interrupts: Option<Interrupts>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).during(|| "epoll_create1")?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).during(|| "timerfd_create")?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        epoll.add(&timer, readable(TIMER)).during(|| "epoll_ctl")?;
        if let Some(interrupts) = &interrupts {
            epoll
                .add(interrupts, readable(SIGNALS))
                .during(|| "epoll_ctl")?;
        }
        Ok(Self {
            epoll,
            timer,
            armed: None,
            interrupts,
            events: vec![EpollEvent::empty(); BATCH],
        })
    }

    /// Begins to watch a descriptor; a closed one is forgotten by itself.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self
            .epoll
            .add(fd, EpollEvent::new(flags(interest), token))?)
    }

    /// Watches it for something else from now on.
    pub(crate) fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(self
            .epoll
            .modify(fd, &mut EpollEvent::new(flags(interest), token))?)
    }

    /// Watches it no more.
    pub(crate) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits until a descriptor is ready, `until` has come, or a signal, and fills `ready`. Returns the signal.
    /// Whether `until` has come is for the caller's clock to say.
    pub(crate) fn wait(
        &mut self,
        until: Option<Moment>,
        ready: &mut Vec<Ready>,
    ) -> io::Result<Option<Interrupt>> {
        self.arm(until)?;
        ready.clear();
        let count = loop {
            match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        let mut interrupt = None;
        for event in self.events.iter().take(count) {
            match event.data() {
                TIMER => self.armed = None,
                SIGNALS => {
                    interrupt = self.interrupts.as_mut().and_then(Interrupts::pending);
                }
                token => ready.push(told(token, event.events())),
            }
        }
        if self.armed.is_none() {
            self.timer.unset()?;
        }
        Ok(interrupt)
    }

    fn arm(&mut self, until: Option<Moment>) -> io::Result<()> {
        if until == self.armed {
            return Ok(());
        }
        match until {
            None => self.timer.unset()?,
            Some(moment) => {
                // A time of zero would disarm the timer instead.
                let at = moment.since_start().max(std::time::Duration::from_nanos(1));
                let at = Expiration::OneShot(TimeSpec::from(at));
                self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
        }
        self.armed = until;
        Ok(())
    }
}

fn flags(interest: Interest) -> EpollFlags {
    match interest {
        Interest::Errors => EpollFlags::EPOLLRDHUP,
        Interest::Readable => EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLIN,
        Interest::Writable => EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLOUT,
    }
}

fn told(token: u64, events: EpollFlags) -> Ready {
    Ready {
        token,
        readable: events.contains(EpollFlags::EPOLLIN),
        writable: events.contains(EpollFlags::EPOLLOUT),
        error: events.contains(EpollFlags::EPOLLERR),
        hung_up: events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLRDHUP),
    }
}

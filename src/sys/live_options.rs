//! The keepalive options of sockets that other processes hold: duplicates the descriptor
//! (pidfd_getfd), asks the kernel, and closes the duplicate at once. Nothing is ever set.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::SockRef;

use crate::domain::live_options::{LiveOptions, Unread};
use crate::domain::prediction::Keepalive;
use crate::domain::socket::Socket;
use crate::sys::holders::Holder;

/// `PIDFD_THREAD`: one thread instead of a process. It equals `O_EXCL` (include/uapi/linux/pidfd.h).
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());
/// How many processes are kept open. Rows come in no order of processes, so each is needed again and again.
/// Several readers share the limit of open files, of which 1024 is usual.
const MOST_KEPT: usize = 128;

/// Reads options through the processes that hold sockets, and remembers the processes.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// By the number of the process or thread; why not, where it refused for good.
    tasks: HashMap<u32, Result<OwnedFd, Unread>>,
}

impl Reader {
    /// The options of `socket`, through the first of its holders that lets us. Each process is tried with one
    /// descriptor only, and what comes back has to be the very socket.
    pub(crate) fn read(
        &mut self,
        socket: &Socket,
        holders: &[Holder],
    ) -> Result<LiveOptions, Unread> {
        let mut refused = None;
        let mut tried = None;
        for holder in holders {
            if tried == Some(holder.task) {
                continue;
            }
            tried = Some(holder.task);
            let mut read = self.read_through(socket, holder);
            if read == Err(Unread::Failed(libc::EMFILE)) {
                // The processes that are kept open take what the duplicate needs.
                self.tasks.clear();
                read = self.read_through(socket, holder);
            }
            match read {
                Ok(options) => return Ok(options),
                // Of several reasons, the one that can be helped counts.
                Err(why) => refused = Some(refused.map_or(why, |first: Unread| first.min(why))),
            }
        }
        Err(refused.unwrap_or(Unread::HolderUnknown))
    }

    fn read_through(&mut self, socket: &Socket, holder: &Holder) -> Result<LiveOptions, Unread> {
        let task = match self.task(holder) {
            Ok(task) => task,
            Err(why) => return Err(*why),
        };
        let number = i32::try_from(holder.fd).map_err(|_| Unread::Gone)?;
        let duplicate = pidfd_getfd(task, number, PidfdGetfdFlags::empty()).map_err(refusal);
        let duplicate = match duplicate {
            Ok(duplicate) => duplicate,
            Err(why) => {
                // It will refuse all its descriptors.
                if matches!(why, Unread::NotPermitted | Unread::OldKernel) {
                    self.tasks.insert(holder.task, Err(why));
                }
                return Err(why);
            }
        };
        // The duplicate keeps the connection open if the owner closes it now: it ends with this block.
        let read = options(&duplicate, socket);
        drop(duplicate);
        read
    }

    fn task(&mut self, holder: &Holder) -> Result<&OwnedFd, &Unread> {
        if self.tasks.len() >= MOST_KEPT && !self.tasks.contains_key(&holder.task) {
            self.tasks.clear();
        }
        self.tasks
            .entry(holder.task)
            .or_insert_with(|| open(holder))
            .as_ref()
    }
}

fn open(holder: &Holder) -> Result<OwnedFd, Unread> {
    let task = i32::try_from(holder.task).ok().and_then(Pid::from_raw);
    let is_thread = holder.task != holder.pid;
    let flags = if is_thread {
        PIDFD_THREAD
    } else {
        PidfdFlags::empty()
    };
    pidfd_open(task.ok_or(Unread::Gone)?, flags).map_err(|errno| {
        if is_thread && errno == rustix::io::Errno::INVAL {
            Unread::OldKernelForThread
        } else {
            refusal(errno)
        }
    })
}

fn refusal(errno: rustix::io::Errno) -> Unread {
    match errno.raw_os_error() {
        libc::EPERM | libc::EACCES => Unread::NotPermitted,
        libc::ESRCH | libc::EBADF => Unread::Gone,
        libc::ENOSYS => Unread::OldKernel,
        other => Unread::Failed(other),
    }
}

fn options(duplicate: &OwnedFd, socket: &Socket) -> Result<LiveOptions, Unread> {
    let live = SockRef::from(duplicate);
    let read = || -> io::Result<Option<(bool, u32, Keepalive)>> {
        if !is_same(&live, duplicate, socket)? {
            return Ok(None);
        }
        let count = live.tcp_keepalive_retries()?;
        let keepalive = Keepalive {
            idle: live.tcp_keepalive_time()?,
            interval: live.tcp_keepalive_interval()?,
            count: u8::try_from(count).unwrap_or_default(),
            user_timeout: live.tcp_user_timeout()?,
        };
        Ok(Some((live.keepalive()?, count, keepalive)))
    };
    match read() {
        Ok(Some((enabled, count, keepalive))) if u32::from(keepalive.count) == count => {
            Ok(LiveOptions { enabled, keepalive })
        }
        Ok(Some(_)) => Err(Unread::Implausible),
        Ok(None) => Err(Unread::Gone),
        Err(error) => Err(failed(&error)),
    }
}

/// Descriptors are used again for other things. Where the source tells no cookie, the inode has to do, which
/// no other socket has while this one exists.
fn is_same(live: &SockRef, duplicate: impl AsFd, socket: &Socket) -> io::Result<bool> {
    match (socket.cookie, socket.inode) {
        (Some(cookie), _) => Ok(live.cookie()? == cookie),
        (None, Some(inode)) => Ok(rustix::fs::fstat(duplicate)?.st_ino == u64::from(inode)),
        (None, None) => Ok(false),
    }
}

/// What is no TCP socket has taken the place of the one that was meant.
fn failed(error: &io::Error) -> Unread {
    match error.raw_os_error() {
        Some(libc::ENOTSOCK | libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::EBADF) => Unread::Gone,
        Some(other) => Unread::Failed(other),
        None => Unread::Implausible,
    }
}

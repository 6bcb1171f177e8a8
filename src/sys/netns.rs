//! Network namespaces as descriptors: opened, told apart, and entered by single threads, never by the
//! whole process. Sockets and files that such a thread opens stay in the namespace wherever they are used.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};
use rustix::fs::{Mode, OFlags, fstat, fstatfs, open};

use crate::error::{During as _, Result};

/// `NSFS_MAGIC` (include/uapi/linux/magic.h): the file system that namespaces are files of.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// A network namespace, which lives at least as long as this.
#[derive(Debug)]
pub(crate) struct NetNs(OwnedFd);

impl NetNs {
    /// Opens the file of a namespace, such as /proc/PID/ns/net or one that `ip netns` keeps.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        // Not blocking: the path comes from outside and may be a pipe.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = open(path, flags, Mode::empty())?;
        if u64::try_from(fstatfs(&fd)?.f_type) == Ok(NSFS_MAGIC) {
            return Ok(Self(fd));
        }
        let message = "it is not a file of a namespace";
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Its number, as in `net:[4026531840]`.
    pub(crate) fn id(&self) -> io::Result<u64> {
        Ok(fstat(&self.0)?.st_ino)
    }

    /// Another handle of it.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Moves the calling thread into it for good; `of` says whose it is.
    pub(crate) fn enter(&self, of: &str) -> Result<()> {
        setns(&self.0, CloneFlags::CLONE_NEWNET).during(|| format!("setns to the {of} namespace"))
    }

    /// Runs `work` in it on a thread of its own with this name, and waits. A panic of `work` goes on here.
    pub(crate) fn run<T: Send>(
        &self,
        of: &str,
        thread_name: String,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(thread_name)
                .spawn_scoped(scope, || self.enter(of).map(|()| work()))
                .during(|| format!("start a thread for the {of} namespace"))?;
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for NetNs {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

//! A network namespace held by a descriptor: it lives as long as the descriptor, a thread or a
//! socket in it does. Running code in one moves only the calling thread, never the process.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};

use crate::error::During;
use crate::error::{Error, Result};
use crate::sys::netns::NetNs;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    name: &'static str,
    fd: NetNs,
}

impl Namespace {
    /// Makes a new one and moves the calling thread into it.
    pub(super) fn create(name: &'static str) -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| super::missing::namespace(errno.into()))?;
        // Not /proc/self: that is the main thread's, which stays where it is.
        let path = "/proc/thread-self/ns/net";
        let fd = NetNs::open(Path::new(path)).during(|| format!("open {path}"))?;
        Ok(Self { name, fd })
    }

    /// Another handle of the same namespace.
    ///
    /// # Errors
    /// No free file descriptor.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = (self.fd.try_clone()).during(|| format!("dup the {} namespace", self.name))?;
        Ok(Self {
            name: self.name,
            fd,
        })
    }

    /// Which host of the lab it is: client, router or server.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs `work` on a thread of its own in this namespace and waits for it. Sockets that it opens
    /// stay in the namespace wherever they are used afterwards. A panic of `work` goes on here.
    ///
    /// # Errors
    /// The namespace cannot be entered (no `CAP_SYS_ADMIN`), or no thread can be started.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.fd.run(self.name, format!("lab {}", self.name), work)
    }

    /// Moves the calling thread into this namespace for good.
    ///
    /// # Errors
    /// No `CAP_SYS_ADMIN` in the user namespace that owns it.
    pub fn enter(&self) -> Result<()> {
        self.fd.enter(self.name)
    }

    /// Makes `command`, once spawned, run in this namespace and be killed with the thread that
    /// spawns it: a thread that ends earlier takes the command with it.
    ///
    /// # Errors
    /// No free file descriptor.
    pub fn adopt(&self, command: &mut Command) -> Result<()> {
        let own = self.try_clone()?.fd;
        let parent = nix::unistd::getpid();
        #[expect(
            unsafe_code,
            reason = "there is no safe way to act between fork and exec"
        )]
        // SAFETY: the closure only makes system calls that are async-signal-safe (prctl, setns,
        // getppid) on values that it owns; it neither allocates nor takes a lock.
        unsafe {
            command.pre_exec(move || {
                die_with_parent(parent)?;
                Ok(setns(&own, CloneFlags::CLONE_NEWNET)?)
            });
        }
        Ok(())
    }
}

impl AsRawFd for Namespace {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

/// Asks for SIGKILL when the thread that forked this process ends. Only system calls: it runs
/// between fork and exec.
fn die_with_parent(parent: nix::unistd::Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // The parent may have ended before the request: then nobody would ever kill us.
    if nix::unistd::getppid() == parent {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ESRCH))
    }
}

/// Whether this thread may make and configure network namespaces as it is: `CAP_SYS_ADMIN` and
/// `CAP_NET_ADMIN` are effective.
///
/// # Errors
/// /proc cannot be read.
pub fn privileged() -> Result<bool> {
    const CAP_NET_ADMIN: u64 = 1 << 12;
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let path = "/proc/thread-self/status";
    let status = std::fs::read_to_string(path).during(|| format!("read {path}"))?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    let needed = CAP_NET_ADMIN | CAP_SYS_ADMIN;
    Ok(effective & needed == needed)
}

/// Moves the whole process into a user namespace of its own, as its uid 0, unless it is privileged
/// already. It must have one thread only (`user_namespaces(7)`), so call it first.
///
/// # Errors
/// [`Error::Unsupported`] with the remedy where user namespaces are forbidden; [`Error::Usage`] if
/// the process has threads.
pub fn become_root() -> Result<()> {
    if privileged()? {
        return Ok(());
    }
    enter_user_namespace(&Maps::of_root()).map_err(|source| match source.raw_os_error() {
        Some(libc::EINVAL) => Error::Usage(
            "a user namespace can only be entered before the process starts threads".to_owned(),
        ),
        _ => super::missing::namespace(source),
    })
}

/// Makes `command`, once spawned, run as uid 0 of a user namespace of its own, in which labs can be
/// built, and be killed with the thread that spawns it.
pub fn give_root(command: &mut Command) {
    let maps = Maps::of_root();
    let parent = nix::unistd::getpid();
    #[expect(
        unsafe_code,
        reason = "there is no safe way to act between fork and exec"
    )]
    // SAFETY: after fork the child has one thread and only makes system calls on values that were made before;
    // it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            // The change of privileges would cancel the request to die with the parent.
            enter_user_namespace(&maps)?;
            die_with_parent(parent)
        });
    }
}

/// What /proc/PID/uid_map and gid_map are to hold: this user as uid 0.
struct Maps {
    uid: String,
    gid: String,
}

impl Maps {
    fn of_root() -> Self {
        Self {
            uid: format!("0 {} 1", nix::unistd::geteuid()),
            gid: format!("0 {} 1", nix::unistd::getegid()),
        }
    }
}

fn enter_user_namespace(maps: &Maps) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // A process that is not dumpable (a binary without read permission) does not own its /proc files.
    nix::sys::prctl::set_dumpable(true)?;
    write(Path::new("/proc/self/setgroups"), "deny")?;
    write(Path::new("/proc/self/uid_map"), &maps.uid)?;
    write(Path::new("/proc/self/gid_map"), &maps.gid)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

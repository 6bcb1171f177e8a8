//! Which processes hold which socket: scans the descriptors below /proc once. Compact, because a host
//! may have hundreds of thousands: a sorted list of (inode, pid, descriptor, thread).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat_raw};

use super::process;
use crate::domain::digits::decimal;

/// More threads than this do not pay.
const MOST_SCANNERS: usize = 4;

/// Every descriptor of a socket that could be seen.
#[derive(Debug)]
pub(crate) struct Holders {
    /// Sorted, without doubles.
    descriptors: Vec<Descriptor>,
    names: HashMap<u32, Arc<str>>,
    /// What stands for a name that could not be read.
    nameless: Arc<str>,
    /// Processes whose descriptors could not be read, by the reason.
    pub(crate) unreadable: BTreeMap<String, Vec<u32>>,
}

/// A descriptor of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Descriptor {
    inode: u32,
    pid: u32,
    fd: u32,
    /// The thread in whose own table it is; most are in that of the process, which sorts first.
    thread: Option<NonZeroU32>,
}

impl Descriptor {
    fn is_double_of(&self, other: &Self) -> bool {
        (self.inode, self.pid, self.fd) == (other.inode, other.pid, other.fd)
    }
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) fd: u32,
    /// Whose table of descriptors that is: the process, or one of its threads.
    pub(crate) task: u32,
    pub(crate) name: Arc<str>,
}

impl Holders {
    fn none() -> Self {
        Self {
            descriptors: Vec::new(),
            names: HashMap::new(),
            nameless: Arc::from("?"),
            unreadable: BTreeMap::new(),
        }
    }

    /// Scans the processes below `proc`. Threads that may have a descriptor table of their own are looked
    /// into too. Processes that end meanwhile are passed over.
    ///
    /// # Errors
    /// When `proc` itself cannot be listed.
    pub(crate) fn scan(proc: &Path, live: bool) -> io::Result<Self> {
        let pids = numeric_entries(proc)?;
        let next = AtomicUsize::new(0);
        let scanner = || {
            let mut found = Self::none();
            let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
            while let Some(&pid) = pids.get(next.fetch_add(1, Ordering::Relaxed)) {
                found.scan_process(proc, pid, live, &mut buffer);
            }
            found
        };
        // The kernel's work for each descriptor outweighs ours, and goes on beside that for another process.
        let others = available_parallelism().map_or(0, |cores| cores.get().min(MOST_SCANNERS) - 1);
        let mut all = thread::scope(|scope| {
            let started: Vec<_> = (0..others)
                .map_while(|_| thread::Builder::new().spawn_scoped(scope, scanner).ok())
                .collect();
            let mut all = scanner();
            for other in started {
                all.merge(
                    other
                        .join()
                        .map_err(|_| io::Error::other("a scanning thread panicked"))?,
                );
            }
            Ok::<_, io::Error>(all)
        })?;
        all.descriptors.sort_unstable();
        all.descriptors
            .dedup_by(|later, earlier| later.is_double_of(earlier));
        Ok(all)
    }

    fn merge(&mut self, other: Self) {
        self.descriptors.extend(other.descriptors);
        self.names.extend(other.names);
        for (why, pids) in other.unreadable {
            self.unreadable.entry(why).or_default().extend(pids);
        }
    }

    fn scan_process(&mut self, proc: &Path, pid: u32, live: bool, buffer: &mut [MaybeUninit<u8>]) {
        let directory = proc.join(pid.to_string());
        let before = self.descriptors.len();
        if let Err(error) = self.scan_descriptors(&directory.join("fd"), pid, None, buffer) {
            self.missed(pid, &error);
            return;
        }
        let process = process::stat(&directory);
        // Where it is not known whether there are threads, there may be.
        let alone = process.as_ref().is_ok_and(|stat| stat.threads == 1);
        if (!alone || !live)
            && let Err(error) = self.scan_threads(&directory, pid, live, buffer)
        {
            self.missed(pid, &error);
        }
        if self.descriptors.len() > before {
            let name = process.map_or_else(|_| self.nameless.clone(), |stat| stat.name.into());
            self.names.insert(pid, name);
        }
    }

    /// Threads share the table of descriptors, unless one has called `unshare(CLONE_FILES)`.
    fn scan_threads(
        &mut self,
        process: &Path,
        pid: u32,
        live: bool,
        buffer: &mut [MaybeUninit<u8>],
    ) -> io::Result<()> {
        let tasks = process.join("task");
        for tid in numeric_entries(&tasks)? {
            if tid == pid || live && share_descriptors(pid, tid) {
                continue;
            }
            let descriptors = tasks.join(tid.to_string()).join("fd");
            if let Err(error) =
                self.scan_descriptors(&descriptors, pid, NonZeroU32::new(tid), buffer)
            {
                self.missed(tid, &error);
            }
        }
        Ok(())
    }

    /// Notes that the descriptors of a process or thread could not be read, if it is still there.
    fn missed(&mut self, task: u32, error: &io::Error) {
        if !is_gone(error) {
            let tasks = self.unreadable.entry(reason(error)).or_default();
            tasks.push(task);
        }
    }

    fn scan_descriptors(
        &mut self,
        directory: &PathBuf,
        pid: u32,
        thread: Option<NonZeroU32>,
        buffer: &mut [MaybeUninit<u8>],
    ) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, directory, flags, Mode::empty())?;
        let mut entries = RawDir::new(&opened, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let Some(fd) = number(entry.file_name().to_bytes()) else {
                continue;
            };
            // The longest link of a socket is "socket:[4294967295]"; others may be cut short.
            let mut link = [MaybeUninit::uninit(); 32];
            match readlinkat_raw(&opened, entry.file_name(), &mut link) {
                Ok((target, _)) => {
                    if let Some(inode) = socket_inode(target) {
                        self.descriptors.push(Descriptor {
                            inode,
                            pid,
                            fd,
                            thread,
                        });
                    }
                }
                Err(error) if is_gone(&error.into()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Who holds the socket with this inode, by pid and descriptor.
    pub(crate) fn of(&self, inode: u32) -> impl Iterator<Item = Holder> + use<'_> {
        let start = self
            .descriptors
            .partition_point(|descriptor| descriptor.inode < inode);
        self.descriptors
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |descriptor| descriptor.inode == inode)
            .map(|descriptor| Holder {
                pid: descriptor.pid,
                fd: descriptor.fd,
                task: descriptor.thread.map_or(descriptor.pid, NonZeroU32::get),
                name: self
                    .names
                    .get(&descriptor.pid)
                    .unwrap_or(&self.nameless)
                    .clone(),
            })
    }
}

/// `kcmp(KCMP_FILES)`; where the kernel does not tell, the tables may differ.
fn share_descriptors(pid: u32, tid: u32) -> bool {
    const KCMP_FILES: libc::c_int = 2;
    #[expect(unsafe_code, reason = "no wrapper for kcmp in nix, rustix or libc")]
    // SAFETY: kcmp takes five integers, reads and writes no memory of ours.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) };
    order == 0
}

/// The entries of a directory that are numbers: processes, threads.
pub(crate) fn numeric_entries(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        numbers.extend(number(entry?.file_name().as_encoded_bytes()));
    }
    Ok(numbers)
}

fn number(name: &[u8]) -> Option<u32> {
    decimal(str::from_utf8(name).ok()?)
}

fn socket_inode(link: &[u8]) -> Option<u32> {
    number(link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

/// The process ended, or closed the descriptor, while we looked.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => String::from("not permitted"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_of_sockets() {
        assert_eq!(socket_inode(b"socket:[123]"), Some(123));
        assert_eq!(socket_inode(b"socket:[4294967296]"), None);
        assert_eq!(socket_inode(b"pipe:[123]"), None);
        assert_eq!(socket_inode(b"socket:[123"), None);
    }

    #[test]
    fn hostile_links() {
        let links = [
            "socket:[123]",
            "socket:[4294967295]",
            "pipe:[1]",
            "/dev/null",
        ];
        attack_text(&links, |link| {
            if let Some(inode) = socket_inode(link.as_bytes()) {
                let digits = &link["socket:[".len()..link.len() - 1];
                assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{link}");
                assert_eq!(digits.parse(), Ok(inode));
            }
        });
    }

    /// A copy of /proc, as a support archive has it: two processes share a socket.
    #[test]
    fn a_copied_proc() {
        let root = tempfile::tempdir().unwrap();
        for (pid, fds) in [(10, [3, 4]), (11, [3, 5])] {
            let process = root.path().join(pid.to_string());
            std::fs::create_dir_all(process.join("fd")).unwrap();
            let stat = format!("{pid} (a) b) S {}", "1 ".repeat(49));
            std::fs::write(process.join("stat"), stat).unwrap();
            for fd in fds {
                let target = if fd == 5 { "pipe:[70]" } else { "socket:[70]" };
                symlink(target, process.join("fd").join(fd.to_string())).unwrap();
            }
        }
        let holders = Holders::scan(root.path(), false).unwrap();
        let found: Vec<_> = holders
            .of(70)
            .map(|holder| (holder.pid, holder.fd, holder.name))
            .collect();
        let name: Arc<str> = Arc::from("a) b");
        let expected = [(10, 3), (10, 4), (11, 3)].map(|(pid, fd)| (pid, fd, name.clone()));
        assert_eq!(found, expected);
        assert_eq!(holders.of(71).count(), 0);

        // Descriptors tell who holds a socket also where the rest of the copy is damaged.
        std::fs::write(root.path().join("10/stat"), "10 (a").unwrap();
        let holders = Holders::scan(root.path(), false).unwrap();
        let names: Vec<_> = holders.of(70).map(|holder| holder.name).collect();
        assert_eq!(names, ["?", "?", "a) b"].map(Arc::from));
        assert!(holders.unreadable.is_empty());
    }
}

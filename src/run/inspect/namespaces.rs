//! Finds the network namespaces to look into, each once, and who lives there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::Incomplete;
use super::source::Proc;
use crate::cli::inspect::NetnsTarget;
use crate::domain::container;
use crate::domain::digits::decimal;
use crate::error::{During as _, Error, Result};
use crate::plan::inspect::{Namespaces, Plan};
use crate::sys::netns::NetNs;

/// Where ip-netns(8) keeps those that have a name.
const NAMED: &str = "/run/netns";

/// A namespace to look into.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) id: Option<u64>,
    pub(super) own: bool,
    pub(super) names: Vec<String>,
    pub(super) processes: Vec<u32>,
    /// How to get there: any of these, as processes end.
    paths: Vec<PathBuf>,
}

/// All of them, and what could not be told.
pub(super) struct Survey {
    pub(super) found: Vec<Found>,
    pub(super) gaps: Vec<Incomplete>,
}

/// Which namespaces the plan is about.
pub(super) fn survey(plan: &Plan, proc: &Proc) -> Result<Survey> {
    let own = proc.live.then(|| id_of(&proc.root.join("self/ns/net")));
    let own = own.and_then(io::Result::ok);
    match &plan.namespaces {
        Namespaces::Current => Ok(Survey {
            found: vec![Found {
                id: own,
                own: true,
                ..Found::default()
            }],
            gaps: Vec::new(),
        }),
        Namespaces::One(target) => Ok(Survey {
            found: vec![one(target, proc, own)?],
            gaps: Vec::new(),
        }),
        Namespaces::All => all(proc, own),
    }
}

/// So often everybody who is known to live in a namespace may end before we get there. Numbers are used again:
/// it may be a new one each time.
const SURVEYS: usize = 8;

/// Gets to a namespace, with what `open` does there, asking `again` who lives there as long as all who did have
/// ended; `None` if nobody does any more.
pub(super) fn reach<T>(
    found: &mut Found,
    open: impl Fn(&Found) -> Result<T>,
    again: impl Fn(&Found) -> Result<Option<Found>>,
) -> Result<Option<T>> {
    for _ in 0..SURVEYS {
        match open(found) {
            Err(error) if is_gone(&error) => match again(found)? {
                Some(now) => *found = now,
                None => return Ok(None),
            },
            reached => return reached.map(Some),
        }
    }
    open(found).map(Some)
}

fn is_gone(error: &Error) -> bool {
    let Error::System { cause, .. } = error else {
        return false;
    };
    cause.kind() == io::ErrorKind::NotFound || cause.raw_os_error() == Some(libc::ESRCH)
}

/// The same namespace by whoever lives there now, if anybody does.
pub(super) fn again(found: &Found, plan: &Plan, proc: &Proc) -> Result<Option<Found>> {
    let Survey { found: now, .. } = survey(plan, proc)?;
    Ok(now.into_iter().find(|namespace| namespace.id == found.id))
}

fn one(target: &NetnsTarget, proc: &Proc, own: Option<u64>) -> Result<Found> {
    let mut found = Found::default();
    let path = match target {
        NetnsTarget::Pid(pid) => {
            let process = proc.root.join(pid.to_string());
            if !process.is_dir() {
                return Err(Error::Usage(format!("there is no process {pid}")));
            }
            found.processes.push(*pid);
            process.join("ns/net")
        }
        NetnsTarget::Path(path) => path.clone(),
        NetnsTarget::Name(name) => {
            let path = Path::new(NAMED).join(name);
            if !path.exists() {
                return Err(Error::Usage(format!(
                    "there is no {}: give a PID, a path, or a name that 'ip netns' lists",
                    path.display()
                )));
            }
            found.names.push(name.clone());
            path
        }
    };
    let netns = NetNs::open(&path).map_err(|cause| match cause.kind() {
        io::ErrorKind::PermissionDenied => Error::Unsupported(format!(
            "open {}: {cause}: a namespace of others takes CAP_SYS_PTRACE and CAP_SYS_ADMIN: run with sudo",
            path.display()
        )),
        _ => Error::System {
            operation: format!("open {}", path.display()),
            cause,
        },
    })?;
    let id = netns.id().during(|| format!("fstat {}", path.display()))?;
    found.id = Some(id);
    found.own = own == Some(id);
    found.paths.push(path);
    Ok(found)
}

fn all(proc: &Proc, own: Option<u64>) -> Result<Survey> {
    let mut found: BTreeMap<u64, Found> = BTreeMap::new();
    let mut hidden: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut gaps = Vec::new();
    let pids = proc
        .processes()
        .during(|| format!("listing the processes in {}", proc.root.display()))?;
    for pid in pids {
        let path = proc.root.join(pid.to_string()).join("ns/net");
        match id_of(&path) {
            Ok(id) => {
                let namespace = found.entry(id).or_default();
                namespace.processes.push(pid);
                if namespace.paths.len() < PATHS_KEPT {
                    namespace.paths.push(path);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => hidden
                .entry(String::from("not permitted"))
                .or_default()
                .push(pid),
            Err(error) => hidden.entry(error.to_string()).or_default().push(pid),
        }
    }
    for (why, pids) in hidden {
        gaps.push(Incomplete {
            what: String::from("the network namespaces of some processes, which may be others"),
            why,
            hides_sockets: true,
            pids,
        });
    }
    for (name, path) in named() {
        match NetNs::open(&path).and_then(|netns| netns.id()) {
            Ok(id) => {
                let namespace = found.entry(id).or_default();
                namespace.names.push(name);
                namespace.paths.push(path);
            }
            // Deleted just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => gaps.push(Incomplete {
                what: format!("the network namespace {}", path.display()),
                why: error.to_string(),
                hides_sockets: true,
                pids: Vec::new(),
            }),
        }
    }
    if let Some(own) = own {
        found.entry(own).or_default().own = true;
    }
    let mut found: Vec<Found> = found
        .into_iter()
        .map(|(id, namespace)| Found {
            id: Some(id),
            ..namespace
        })
        .collect();
    found.sort_by_key(|namespace| !namespace.own);
    Ok(Survey { found, gaps })
}

/// So many processes may end before we get to their namespace.
const PATHS_KEPT: usize = 8;

fn named() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(NAMED).into_iter().flatten().flatten();
    let mut named: Vec<(String, PathBuf)> = entries
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .collect();
    named.sort();
    named
}

/// The number in `net:[4026531840]`, which needs no right to open the namespace.
fn id_of(link: &Path) -> io::Result<u64> {
    let target = std::fs::read_link(link)?;
    target
        .to_str()
        .and_then(number_in)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a link to a namespace"))
}

fn number_in(target: &str) -> Option<u64> {
    decimal(target.strip_prefix("net:[")?.strip_suffix(']')?)
}

impl Found {
    /// Runs `work` inside.
    pub(super) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        if self.own {
            return Ok(work());
        }
        let name = self.to_string();
        self.open()?.run(&name, String::from("kalive netns"), work)
    }

    fn open(&self) -> Result<NetNs> {
        let mut refused = None;
        for path in &self.paths {
            let opened = NetNs::open(path).during(|| format!("open {}", path.display()));
            match opened {
                Ok(netns) if netns.id().ok() == self.id => return Ok(netns),
                // A process of that number lives, but elsewhere.
                Ok(_) => {}
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| Error::System {
            operation: format!("open the {self} namespace"),
            cause: io::Error::from_raw_os_error(libc::ESRCH),
        }))
    }

    /// The container that a process in it runs in.
    pub(super) fn container(&self) -> Option<String> {
        if self.own {
            return None;
        }
        self.processes.iter().take(PATHS_KEPT).find_map(|pid| {
            let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
            container::name(&cgroup)
        })
    }

    /// That nothing is known of its sockets.
    pub(super) fn not_looked_into(&self, why: String) -> Incomplete {
        Incomplete {
            what: format!("the sockets of the network namespace {self}, which was not looked into"),
            why,
            hides_sockets: true,
            pids: self.processes.clone(),
        }
    }
}

/// Its name, else its number.
impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.names.first(), self.id) {
            (Some(name), _) => f.write_str(name),
            (None, Some(id)) => write!(f, "net:[{id}]"),
            (None, None) => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::hostile::attack_text;

    fn refused(errno: i32) -> Result<()> {
        Err(Error::System {
            operation: String::from("open /proc/7/ns/net"),
            cause: io::Error::from_raw_os_error(errno),
        })
    }

    /// How often was opened, and what came of it, if the first `ends` dwellers have ended and so many come.
    fn reached(ends: usize, come: usize, errno: i32) -> (usize, Result<Option<()>>) {
        let (opened, asked) = (Cell::new(0), Cell::new(0));
        let count = |counter: &Cell<usize>| counter.replace(counter.get() + 1);
        let open = |_: &Found| {
            if count(&opened) < ends {
                return refused(errno);
            }
            Ok(())
        };
        let again = |_: &Found| Ok((count(&asked) < come).then(Found::default));
        let reached = reach(&mut Found::default(), open, again);
        (opened.get(), reached)
    }

    #[test]
    fn what_has_ended_is_not_missing_and_whoever_came_is_asked() {
        for errno in [libc::ENOENT, libc::ESRCH] {
            assert!(matches!(reached(0, 0, errno), (1, Ok(Some(())))));
            assert!(matches!(reached(1, 0, errno), (1, Ok(None))));
            assert!(matches!(reached(3, 2, errno), (3, Ok(None))));
            assert!(matches!(reached(3, 3, errno), (4, Ok(Some(())))));
            // It cannot go on for ever.
            assert!(matches!(reached(99, 99, errno), (9, Err(_))));
        }
        assert!(
            matches!(reached(1, 1, libc::EPERM), (1, Err(_))),
            "who may not asks once"
        );
    }

    #[test]
    fn hostile_links() {
        assert_eq!(number_in("net:[4026531840]"), Some(4_026_531_840));
        attack_text(
            &["net:[4026531840]", "mnt:[1]", "/run/netns/blue"],
            |link| {
                if let Some(number) = number_in(link) {
                    let digits = &link[5..link.len() - 1];
                    assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{link}");
                    assert_eq!(digits.parse(), Ok(number));
                }
            },
        );
    }
}

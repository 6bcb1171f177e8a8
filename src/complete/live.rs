//! What the running system has to offer: processes, users, network namespaces and interfaces. What cannot be
//! read is not offered; nobody at a prompt wants to hear of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::{Offer, Places};
use crate::sys::holders::{Holders, numeric_entries};
use crate::sys::proc_net;

/// Those that --pid can mean, with their names.
pub(super) fn pids(places: &Places) -> Vec<Offer> {
    processes(&places.root.join("proc"))
        .into_iter()
        .map(|(pid, name)| Offer {
            value: pid.to_string(),
            about: Some(name),
        })
        .collect()
}

/// The names that --process can mean.
pub(super) fn names(places: &Places) -> Vec<Offer> {
    let names: BTreeSet<String> = processes(&places.root.join("proc")).into_values().collect();
    names.into_iter().map(Offer::plain).collect()
}

/// Those that --user can mean.
pub(super) fn users(places: &Places) -> Vec<Offer> {
    let passwd = fs::read_to_string(places.root.join("etc/passwd")).unwrap_or_default();
    let name = |line: &str| Some(Offer::plain(line.split_once(':')?.0));
    passwd.lines().filter_map(name).collect()
}

/// Names that ip-netns(8) keeps, and of each other namespace the process that lives there longest.
pub(super) fn namespaces(places: &Places) -> Vec<Offer> {
    let proc = places.root.join("proc");
    let own = namespace_of(&proc.join("self"));
    let mut others: BTreeMap<_, u32> = BTreeMap::new();
    for pid in sorted_pids(&proc) {
        if let Some(namespace) = namespace_of(&proc.join(pid.to_string())) {
            others.entry(namespace).or_insert(pid);
        }
    }
    if let Some(own) = own {
        others.remove(&own);
    }
    let kept = fs::read_dir(places.root.join("run/netns"))
        .into_iter()
        .flatten();
    let named = kept
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(Offer::plain);
    let lived_in = others.into_values().map(|pid| Offer {
        value: pid.to_string(),
        about: name_of(&proc, pid),
    });
    named.chain(lived_in).collect()
}

/// The links of this network namespace.
pub(super) fn interfaces(places: &Places) -> Vec<Offer> {
    let table = fs::read_to_string(places.root.join("proc/net/dev")).unwrap_or_default();
    let name = |line: &str| Some(Offer::plain(line.split_once(':')?.0.trim()));
    table.lines().filter_map(name).collect()
}

/// The processes that are seen to hold a TCP socket; where none is, all.
fn processes(proc: &Path) -> BTreeMap<u32, String> {
    let holding = holding_tcp(proc).unwrap_or_default();
    if !holding.is_empty() {
        return holding;
    }
    sorted_pids(proc)
        .into_iter()
        .filter_map(|pid| Some((pid, name_of(proc, pid)?)))
        .collect()
}

fn holding_tcp(proc: &Path) -> io::Result<BTreeMap<u32, String>> {
    let holders = Holders::scan(proc, true)?;
    let mut found = BTreeMap::new();
    for table in ["net/tcp", "net/tcp6"] {
        let Ok(table) = File::open(proc.join(table)) else {
            continue;
        };
        proc_net::read(BufReader::new(table), |socket| {
            for holder in socket.inode.into_iter().flat_map(|inode| holders.of(inode)) {
                found.insert(holder.pid, holder.name.to_string());
            }
            Ok::<_, io::Error>(())
        })?;
    }
    Ok(found)
}

fn sorted_pids(proc: &Path) -> BTreeSet<u32> {
    numeric_entries(proc)
        .unwrap_or_default()
        .into_iter()
        .collect()
}

fn name_of(proc: &Path, pid: u32) -> Option<String> {
    let name = fs::read_to_string(proc.join(pid.to_string()).join("comm")).ok()?;
    Some(name.trim_end_matches('\n').to_owned())
}

/// What /proc/PID/ns/net points to, such as `net:[4026531840]`.
fn namespace_of(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/net")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine with two processes in two namespaces, one of which holds a TCP socket.
    fn machine() -> (tempfile::TempDir, Places) {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let link = |path: &str, target: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        };
        for (pid, name, namespace) in [(10, "nginx", 1), (11, "tmux: server", 2), (12, "sh", 2)] {
            let stat = format!("{pid} ({name}) S {}", "1 ".repeat(49));
            write(&format!("proc/{pid}/stat"), &stat);
            write(&format!("proc/{pid}/comm"), &format!("{name}\n"));
            link(&format!("proc/{pid}/ns/net"), &format!("net:[{namespace}]"));
            fs::create_dir(root.path().join(format!("proc/{pid}/fd"))).unwrap();
        }
        link("proc/self/ns/net", "net:[1]");
        link("proc/10/fd/3", "socket:[70]");
        link("proc/12/fd/3", "socket:[71]");
        write(
            "proc/net/tcp",
            "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 70 1 0 100 0 0 10 0\n",
        );
        write(
            "proc/net/dev",
            "Inter-|   Receive\n face |bytes    packets\n    lo: 1 2\n  eth0: 1 2\n",
        );
        write(
            "etc/passwd",
            "root:x:0:0::/root:/bin/sh\n\nbroken\npostgres:x:1:1:::\n",
        );
        write("run/netns/blue", "");
        let places = Places {
            root: root.path().to_owned(),
            home: None,
        };
        (root, places)
    }

    fn values(offers: Vec<Offer>) -> Vec<String> {
        offers.into_iter().map(|offer| offer.value).collect()
    }

    #[test]
    fn processes_that_hold_tcp_sockets() {
        let (_root, places) = machine();
        let nginx = Offer {
            value: String::from("10"),
            about: Some(String::from("nginx")),
        };
        assert_eq!(pids(&places), [nginx]);
        assert_eq!(values(names(&places)), ["nginx"]);
    }

    #[test]
    fn every_process_where_none_is_seen_to_hold_one() {
        let (root, places) = machine();
        fs::remove_file(root.path().join("proc/net/tcp")).unwrap();
        assert_eq!(values(pids(&places)), ["10", "11", "12"]);
        assert_eq!(values(names(&places)), ["nginx", "sh", "tmux: server"]);
    }

    #[test]
    fn namespaces_by_name_and_by_their_first_process() {
        let (_root, places) = machine();
        let offers = namespaces(&places);
        assert_eq!(
            offers.last().unwrap().about.as_deref(),
            Some("tmux: server")
        );
        assert_eq!(values(offers), ["blue", "11"]);
    }

    #[test]
    fn users_and_interfaces() {
        let (_root, places) = machine();
        assert_eq!(values(users(&places)), ["root", "postgres"]);
        assert_eq!(values(interfaces(&places)), ["lo", "eth0"]);
    }
}

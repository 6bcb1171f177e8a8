//! Hosts that this machine or user knows by name: those of hosts(5) and, as ssh's own completion does, of
//! ssh's known_hosts and ssh_config(5).

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use super::{Offer, Places};

/// Hosts where a port may follow.
pub(super) fn plain(places: &Places) -> Vec<Offer> {
    all(places).into_iter().map(Offer::plain).collect()
}

/// Hosts where a port must follow.
pub(super) fn with_colon(places: &Places) -> Vec<Offer> {
    let colon = |host| Offer::plain(format!("{host}:"));
    all(places).into_iter().map(colon).collect()
}

fn all(places: &Places) -> BTreeSet<String> {
    let read = |path: Option<_>| path.and_then(|path| fs::read_to_string(path).ok());
    let system = |file| read(Some(places.root.join(file))).unwrap_or_default();
    let own = |file| read(places.home.as_ref().map(|home| home.join(file))).unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut add = |host: &str| found.extend(written(host));
    named(&system("etc/hosts")).for_each(&mut add);
    for known in [system("etc/ssh/ssh_known_hosts"), own(".ssh/known_hosts")] {
        known_to_ssh(&known).for_each(&mut add);
    }
    for config in [system("etc/ssh/ssh_config"), own(".ssh/config")] {
        configured_for_ssh(&config).into_iter().for_each(&mut add);
    }
    found
}

/// The host as a target has it. Patterns and what else is no host are left out.
fn written(host: &str) -> Option<String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        });
    }
    let ordinary = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
    (!host.is_empty() && host.chars().all(ordinary)).then(|| host.to_owned())
}

/// The names in hosts(5), without those of multicast groups that every Linux has there.
fn named(hosts: &str) -> impl Iterator<Item = &str> {
    hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(|line| line.split_ascii_whitespace().skip(1))
        .filter(|name| !name.starts_with("ip6-"))
}

/// The hosts of sshd(8)'s known_hosts that are not hashed.
fn known_to_ssh(known: &str) -> impl Iterator<Item = &str> {
    known
        .lines()
        .filter(|line| !line.starts_with(['#', '|']))
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            fields.find(|field| !field.starts_with('@'))
        })
        .flat_map(|hosts| hosts.split(','))
        .filter_map(|host| match host.strip_prefix('[') {
            Some(bracketed) => Some(bracketed.split_once(']')?.0),
            None => Some(host),
        })
}

/// Where the hosts of ssh_config(5) are: HostName, else what stands behind Host, which is then a real name.
fn configured_for_ssh(config: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut aliases: Vec<&str> = Vec::new();
    for line in config.lines() {
        let mut words = line
            .split(|character: char| character.is_ascii_whitespace() || character == '=')
            .filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
        match keyword.as_str() {
            "host" => {
                found.append(&mut aliases);
                aliases = words.collect();
            }
            "match" => found.append(&mut aliases),
            "hostname" => {
                aliases.clear();
                found.extend(words.next());
            }
            _ => {}
        }
    }
    found.append(&mut aliases);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        let hosts = "127.0.0.1 localhost # not this\n# 1.2.3.4 nor-this\n::1 ip6-localhost localhost\n\
            10.0.0.5\tdb.example db\n";
        let found: Vec<_> = named(hosts).collect();
        assert_eq!(found, ["localhost", "localhost", "db.example", "db"]);
    }

    #[test]
    fn hosts_known_to_ssh() {
        let known = "github.com,140.82.121.4 ssh-ed25519 AAAA\n|1|hashed= ssh-rsa AAAA\n\
            [build.example]:2222 ssh-rsa AAAA\n@cert-authority *.example ssh-rsa AAAA\n# comment\n\n";
        let found: Vec<_> = known_to_ssh(known).filter_map(written).collect();
        assert_eq!(found, ["github.com", "140.82.121.4", "build.example"]);
    }

    #[test]
    fn an_alias_of_ssh_is_the_host_behind_it() {
        let config = "Host web\n  HostName=web1.example\n  User x\nHost db1 db2\nHost *\n  Port 22\nhost tok\n hostname %h.example\n";
        let found: Vec<_> = configured_for_ssh(config)
            .into_iter()
            .filter_map(written)
            .collect();
        assert_eq!(found, ["web1.example", "db1", "db2"]);
    }

    #[test]
    fn a_port_follows() {
        let root = tempfile::tempdir().unwrap();
        let (etc, ssh) = (root.path().join("etc"), root.path().join("home/.ssh"));
        fs::create_dir_all(&etc).unwrap();
        fs::create_dir_all(&ssh).unwrap();
        fs::write(etc.join("hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(ssh.join("known_hosts"), "fd00::1 ssh-rsa AAAA\n").unwrap();
        let places = Places {
            root: root.path().to_owned(),
            home: Some(root.path().join("home")),
        };
        let values = |offers: Vec<Offer>| offers.into_iter().map(|offer| offer.value);
        assert!(values(with_colon(&places)).eq(["[fd00::1]:", "localhost:"]));
        assert!(values(plain(&places)).eq(["[fd00::1]", "localhost"]));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,200}") {
            let _ = named(&text).count();
            let _ = known_to_ssh(&text).filter_map(written).count();
            let _ = configured_for_ssh(&text);
        }
    }
}

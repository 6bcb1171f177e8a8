//! `kalive inspect` in other network namespaces, those of a lab.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic")]

mod common;
#[path = "common/lab.rs"]
mod lab;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{json, kalive, run, sockets};
use kalive::lab::{Lab, Namespace, Plan, servers};
use lab::in_lab_user_namespace;
use serde_json::{Value, json as value};
use socket2::SockRef;

/// A lab whose client holds a connection to its server; a process lives in each of the two.
struct World {
    lab: Lab,
    client: TcpStream,
    inside: [Child; 2],
}

impl World {
    fn new() -> Self {
        let lab = Lab::build(&Plan::default()).unwrap();
        let [server, _] = servers();
        let client = lab
            .client()
            .run(|| TcpStream::connect(server))
            .unwrap()
            .unwrap();
        let inside = [sleeping_in(lab.client()), sleeping_in(&lab.server())];
        Self {
            lab,
            client,
            inside,
        }
    }

    fn client_netns(&self) -> u64 {
        netns_of(&self.inside[0])
    }

    fn server_netns(&self) -> u64 {
        netns_of(&self.inside[1])
    }

    /// The rows of the lab's connection. Its server knows it by the router's address.
    fn rows(&self, report: &Value) -> Vec<Value> {
        let ours = [self.client_netns(), self.server_netns()].map(|netns| value!(netns));
        let rows = sockets(report).iter();
        rows.filter(|row| ours.contains(&row["netns"]))
            .cloned()
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.inside {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sleeping_in(namespace: &Namespace) -> Child {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::null());
    namespace.adopt(&mut command).unwrap();
    command.spawn().unwrap()
}

fn netns_of(child: &Child) -> u64 {
    let path = format!("/proc/{}/ns/net", child.id());
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn one_namespace_by_its_process_or_path() {
    in_lab_user_namespace(|| {
        let world = World::new();
        let pid = world.inside[0].id();
        SockRef::from(&world.client).set_keepalive(true).unwrap();
        for target in [pid.to_string(), format!("/proc/{pid}/ns/net")] {
            for source in ["netlink", "proc"] {
                let line = format!("inspect -s --options --netns {target} --source {source}");
                let report = json(&line);
                let rows = sockets(&report);
                assert_eq!(rows.len(), 1, "{rows:?}");
                assert_eq!(rows[0]["netns"], world.client_netns());
                assert_eq!(rows[0]["keepalive"]["enabled"], true);
                // It lives there; who holds it lives here.
                assert_eq!(rows[0]["processes"][0]["pid"], std::process::id());
                let namespaces = report["namespaces"].as_array().unwrap();
                assert_eq!(namespaces.len(), 1);
                assert_eq!(namespaces[0]["own"], false);
                assert_eq!(namespaces[0]["count"], 1);
            }
        }
        let here = json("inspect -s");
        assert_eq!(
            world.rows(&here).len(),
            0,
            "without the flag only this namespace counts"
        );
    });
}

#[test]
fn all_namespaces_once_each() {
    in_lab_user_namespace(|| {
        let world = World::new();
        let report = json("inspect -s --options --all-netns");
        let mut found: Vec<u64> = world
            .rows(&report)
            .iter()
            .map(|row| row["netns"].as_u64().unwrap())
            .collect();
        found.sort_unstable();
        let mut expected = [world.client_netns(), world.server_netns()];
        expected.sort_unstable();
        assert_eq!(found, expected, "either end in its own namespace, once");
        let mut keys: Vec<(u64, u64)> = sockets(&report)
            .iter()
            .map(|row| {
                (
                    row["netns"].as_u64().unwrap(),
                    row["cookie"].as_u64().unwrap(),
                )
            })
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all, "no socket twice");
        let namespaces = report["namespaces"].as_array().unwrap();
        let own: Vec<&Value> = namespaces.iter().filter(|one| one["own"] == true).collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0]["tunables"], report["tunables"]);
        let of_client = namespaces
            .iter()
            .find(|one| one["netns"] == world.client_netns())
            .unwrap();
        assert_eq!(of_client["pids"], value!([world.inside[0].id()]));
    });
}

/// Each socket is compared with the sysctls of its own namespace, and they are told for each.
#[test]
fn sysctls_are_those_of_the_namespace() {
    in_lab_user_namespace(|| {
        let world = World::new();
        let socket = SockRef::from(&world.client);
        socket.set_keepalive(true).unwrap();
        let pid = world.inside[0].id();
        let line = format!("inspect -s --options --survives 350s --netns {pid} -o json");
        let report = || -> Value { serde_json::from_slice(&run(&line).stdout).unwrap() };
        let before = report();
        assert_eq!(before["tunables"]["tcp_keepalive_time_s"], 7_200.0);
        set_sysctl(world.lab.client(), "tcp_keepalive_time", "90");
        let report = report();
        assert_eq!(report["tunables"]["tcp_keepalive_time_s"], 90.0);
        let row = &sockets(&report)[0];
        assert_eq!(
            row["keepalive"]["idle_s"], 90.0,
            "getsockopt follows at once"
        );
        assert_eq!(row["keepalive"]["origin"]["idle"], "socket-or-sysctl");
        // ... but the timer was armed for two hours, and is not armed anew.
        assert!(row["timer"]["expires_s"].as_f64() > Some(7_000.0), "{row}");
        assert_eq!(row["survives"]["reason"], "armed-for-longer");
        let reach = |report: &Value| report["sysctls_reach"].clone();
        let followed = reach(&report);
        assert_eq!(
            (&followed["sysctl"], &followed["own"]),
            (&1.into(), &0.into())
        );
        assert_eq!(followed["outdated_timers"], 1);
        assert_eq!(
            followed["outdated_timers_fire_within_s"],
            row["timer"]["expires_s"]
        );
        // What sets its own value does not follow.
        let own = socket2::TcpKeepalive::new().with_time(Duration::from_secs(7_200));
        socket.set_tcp_keepalive(&own).unwrap();
        let report: Value = serde_json::from_slice(&run(&line).stdout).unwrap();
        let row = &sockets(&report)[0];
        assert_eq!(row["keepalive"]["origin"]["idle"], "socket");
        assert_eq!(row["survives"]["reason"], "idle-too-long");
        assert_eq!(row["survives"]["overrides_sysctls"], true);
        let reached = reach(&report);
        assert_eq!(
            (&reached["partly"], &reached["sysctl"]),
            (&1.into(), &0.into())
        );
        assert_eq!(reached["outdated_timers"], 0);
        socket.set_keepalive(false).unwrap();
        let report: Value = serde_json::from_slice(&run(&line).stdout).unwrap();
        assert_eq!(reach(&report)["off"], 1);
        assert_eq!(json("inspect")["tunables"]["tcp_keepalive_time_s"], 7_200.0);
    });
}

fn set_sysctl(namespace: &Namespace, name: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv4/{name}");
    namespace
        .run(|| std::fs::write(path, value))
        .unwrap()
        .unwrap();
}

/// Two namespaces may have connections between the same addresses: they are two sockets.
#[test]
fn equal_addresses_in_two_namespaces_are_two_sockets() {
    in_lab_user_namespace(|| {
        let world = World::new();
        let connect = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 7_777)).unwrap();
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket
                .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 7_778)).into())
                .unwrap();
            socket
                .connect(&listener.local_addr().unwrap().into())
                .unwrap();
            (socket, listener.accept().unwrap(), listener)
        };
        let held =
            [world.lab.client(), &*world.lab.server()].map(|netns| netns.run(connect).unwrap());
        let report = json("inspect -s --all-netns --local 127.0.0.1:7778 --peer 127.0.0.1:7777");
        let rows = sockets(&report);
        assert_eq!(rows.len(), 2);
        assert_ne!(rows[0]["netns"], rows[1]["netns"]);
        drop(held);
    });
}

#[test]
fn without_the_right_to_enter_it_is_listed_as_not_looked_into() {
    in_lab_user_namespace(|| {
        let world = World::new();
        let without_rights = |line: &str| {
            let mut command = Command::new("setpriv");
            command
                .args(["--bounding-set=-sys_admin", "--inh-caps=-all"])
                .arg(env!("CARGO_BIN_EXE_kalive"))
                .args(line.split_whitespace())
                .output()
        };
        let output = match without_rights("inspect --all-netns -o json") {
            Ok(output) => output,
            Err(error) => {
                println!("skipped: setpriv cannot be run: {error}");
                return;
            }
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = world.client_netns().to_string();
        let missing = report["incomplete"].as_array().unwrap();
        let named = missing.iter().find(|gap| {
            let what = gap["what"].as_str().unwrap();
            what.contains(&number) && what.contains("not looked into")
        });
        let gap = named.unwrap_or_else(|| panic!("{missing:?}"));
        assert!(
            gap["why"]
                .as_str()
                .unwrap()
                .contains("Operation not permitted"),
            "{gap}"
        );
        assert_eq!(gap["pids"], value!([world.inside[0].id()]));
        // Who may be at risk there is not known either.
        let nobody = "inspect --survives 350s --all-netns --local 127.99.0.1";
        assert_eq!(without_rights(nobody).unwrap().status.code(), Some(0));
        let strict = without_rights(&format!("{nobody} --strict")).unwrap();
        assert_eq!(strict.status.code(), Some(2));
        let line = format!("inspect --netns {}", world.inside[0].id());
        assert_eq!(without_rights(&line).unwrap().status.code(), Some(2));
    });
}

#[test]
fn what_is_no_namespace_is_said() {
    for (target, said) in [
        ("4194304", "there is no process 4194304"),
        ("no-such-name", "there is no /run/netns/no-such-name"),
        ("/etc/passwd", "it is not a file of a namespace"),
        (
            "/no/such/file",
            "open /no/such/file: No such file or directory",
        ),
    ] {
        let output = kalive()
            .args(["inspect", "--netns", target])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{target}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(said), "{target}: {errors}");
        assert!(output.stdout.is_empty());
    }
}

/// A name as ip-netns(8) gives it: a file with the namespace mounted on it.
#[test]
fn a_name_below_run_netns() {
    in_lab_user_namespace(|| {
        let name = format!("kalive-test-{}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            println!("skipped: ip netns add does not work here (no iproute2, or not root)");
            return;
        }
        let report = json(&format!("inspect --netns {name}"));
        let all = json("inspect --all-netns");
        let deleted = Command::new("ip").args(["netns", "delete", &name]).output();
        assert!(deleted.unwrap().status.success());
        assert_eq!(report["namespaces"][0]["names"], value!([name]));
        let named = |one: &&Value| one["names"] == value!([name]);
        let namespaces = all["namespaces"].as_array().unwrap();
        assert_eq!(namespaces.iter().filter(named).count(), 1);
    });
}

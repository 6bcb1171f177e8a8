//! `kalive inspect` against the real kernel: sockets of this process over loopback, whose truth is known.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::mpsc;

use common::{Connection, defer_accept, json, kalive, listener, run, sockets, stdout};
use serde_json::{Value, json as value};
use socket2::SockRef;

/// The only row of a report.
fn only(report: &Value) -> Value {
    let rows = sockets(report);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// The filter that tells the client's end of a connection from all others: another connection may use the
/// same local port to another peer.
fn client_end(connection: &Connection) -> String {
    let peer = connection.client.peer_addr().unwrap();
    format!("--local {} --peer {peer}", connection.client_address())
}

fn established(connection: &Connection) -> Value {
    only(&json(&format!("inspect -s {}", client_end(connection))))
}

#[test]
fn tunables_are_those_of_proc() {
    let report = json("inspect");
    let number = |path: &str| -> f64 {
        std::fs::read_to_string(format!("/proc/sys/{path}"))
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    for name in [
        "tcp_keepalive_probes",
        "tcp_retries1",
        "tcp_retries2",
        "tcp_orphan_retries",
    ] {
        assert_eq!(
            report["tunables"][name].as_f64(),
            Some(number(&format!("net/ipv4/{name}")))
        );
    }
    for name in [
        "tcp_keepalive_time",
        "tcp_keepalive_intvl",
        "tcp_fin_timeout",
    ] {
        let reported = &report["tunables"][format!("{name}_s")];
        assert_eq!(
            reported.as_f64(),
            Some(number(&format!("net/ipv4/{name}"))),
            "{name}"
        );
    }
    let detection = &report["detection"];
    let nominal = number("net/ipv4/tcp_keepalive_time")
        + number("net/ipv4/tcp_keepalive_intvl") * number("net/ipv4/tcp_keepalive_probes");
    assert_eq!(detection["nominal_s"].as_f64(), Some(nominal));
    assert!(
        detection["latest_s"].as_f64() > Some(nominal),
        "{detection}"
    );
    assert_eq!(report["schema"], "kalive.inspect/1");
    assert_eq!(report["complete"], true);
}

#[test]
fn keepalive_is_told_by_the_armed_timer() {
    for listener in [listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)] {
        let off = Connection::to(&listener);
        let on = Connection::to(&listener);
        SockRef::from(&on.client).set_keepalive(true).unwrap();
        let mut hidden = Connection::to(&listener);
        SockRef::from(&hidden.client).set_keepalive(true).unwrap();
        hidden.stuff();

        let row = established(&off);
        assert_eq!(row["keepalive"]["enabled"], false);
        assert_eq!(row["timer"]["kind"], "none");
        assert!(row["idle_s"].as_f64() < Some(60.0), "{row}");

        let row = established(&on);
        assert_eq!(row["keepalive"]["enabled"], true);
        assert_eq!(row["timer"]["kind"], "keepalive");
        let left = row["timer"]["expires_s"].as_f64();
        assert!(Some(7_100.0) < left && left <= Some(7_200.0), "{row}");

        let row = established(&hidden);
        assert_eq!(row["keepalive"]["enabled"], Value::Null);
        assert_eq!(
            row["keepalive"]["enabled_unknown"],
            "data in flight hides the keepalive timer"
        );
        assert!(row["send_queue"].as_u64() > Some(0), "{row}");
    }
}

#[test]
fn the_filter_by_keepalive_agrees_with_what_is_shown() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let off = Connection::to(&listener);
    let on = Connection::to(&listener);
    SockRef::from(&on.client).set_keepalive(true).unwrap();
    for (status, connection, shown) in [
        ("on", &on, 1),
        ("on", &off, 0),
        ("off", &off, 1),
        ("unknown", &off, 0),
    ] {
        let line = format!("inspect -s --keepalive {status} {}", client_end(connection));
        assert_eq!(sockets(&json(&line)).len(), shown, "{line}");
    }
}

/// Both sources fill one model: whatever both tell is the same.
#[test]
fn the_sources_agree() {
    let mut kept = Vec::new();
    let mut ports = Vec::new();
    let mut time_wait = Vec::new();
    for listener in [listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)] {
        let on = Connection::to(&listener);
        SockRef::from(&on.client).set_keepalive(true).unwrap();
        let half_closed = Connection::to(&listener);
        half_closed
            .client
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        (&half_closed.server).read_exact(&mut []).unwrap();
        assert_eq!((&half_closed.server).read(&mut [0]).unwrap(), 0);
        time_wait.push(Connection::to(&listener).close_client());
        ports.push(listener.local_addr().unwrap().port());
        kept.push((listener, on, half_closed));
    }
    drop(time_wait);

    for port in ports {
        let by = |source: &str| -> BTreeMap<(String, String), Value> {
            let filters = format!("--local :{port} --state all");
            let mut report = json(&format!("inspect -s {filters} --source {source}"));
            let filters = format!("--peer :{port} --state all");
            let clients = json(&format!("inspect -s {filters} --source {source}"));
            report["sockets"]
                .as_array_mut()
                .unwrap()
                .extend(sockets(&clients).iter().cloned());
            sockets(&report).iter().map(common_part).collect()
        };
        let (netlink, proc) = (by("netlink"), by("proc"));
        assert_eq!(netlink, proc);
        let states: Vec<&Value> = netlink.values().map(|row| &row["state"]).collect();
        for state in [
            "LISTEN",
            "ESTABLISHED",
            "CLOSE-WAIT",
            "FIN-WAIT-2",
            "TIME-WAIT",
        ] {
            assert!(
                states.contains(&&value!(state)),
                "{state} is not among {states:?}"
            );
        }
    }
}

/// What both sources tell: not what only sock_diag knows, nor what time changes between two looks.
fn common_part(row: &Value) -> ((String, String), Value) {
    let mut row = row.clone();
    let fields = row.as_object_mut().unwrap();
    for only_netlink in [
        "cookie",
        "idle_s",
        "idle_s_unknown",
        "cookie_unknown",
        "last_data_sent_s",
        "last_data_received_s",
        "last_ack_received_s",
    ] {
        fields.remove(only_netlink);
    }
    if fields["state"] == "LISTEN" {
        fields.remove("send_queue");
    }
    fields["timer"]["expires_s"].take();
    // A process that another test starts at this moment holds everything for an instant.
    if let Some(processes) = fields["processes"].as_array_mut() {
        processes.retain(|holder| holder["pid"] == std::process::id());
    }
    (
        (fields["local"].to_string(), fields["peer"].to_string()),
        row,
    )
}

/// A request in the queue of a listener that defers accepting until data comes.
#[test]
fn requests_and_time_wait_are_listed_without_an_owner() {
    for listener in [listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)] {
        let address = listener.local_addr().unwrap();
        defer_accept(&listener);
        let client = TcpStream::connect(address).unwrap();
        for source in ["netlink", "proc"] {
            let line =
                format!("inspect -s --state new-syn-recv --local {address} --source {source}");
            let row = only(&json(&line));
            assert_eq!(row["peer"], client.local_addr().unwrap().to_string());
            assert_eq!(row["state"], "NEW-SYN-RECV");
            assert_eq!(row["inode"], Value::Null);
            assert_eq!(row["processes"], value!([]));
        }
        let line = format!("inspect -s --state syn-recv --local {address}");
        assert_eq!(
            sockets(&json(&line)).len(),
            0,
            "a request is not a full socket in SYN-RECV"
        );
    }
}

#[test]
fn v4_mapped_addresses_are_shown_as_such() {
    let listener = listener(Ipv6Addr::UNSPECIFIED);
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (_server, _) = listener.accept().unwrap();
    let mapped = format!("[::ffff:127.0.0.1]:{port}");
    for source in ["netlink", "proc"] {
        for filter in ["127.0.0.0/8", "::ffff:0:0/96", "127.0.0.1"] {
            let peer = client.local_addr().unwrap().port();
            let line = format!("inspect -s --local {filter} --peer :{peer} --source {source}");
            let report = json(&line);
            let rows = sockets(&report).iter().filter(|row| row["local"] == mapped);
            assert_eq!(rows.count(), 1, "{line}");
        }
        for filter in [
            format!("--local :{port}"),
            format!("--local 127.0.0.1:{port}"),
        ] {
            let line = format!("inspect -s {filter} --source {source}");
            assert_eq!(only(&json(&line))["local"], mapped);
        }
    }
    drop(client);
}

#[test]
fn every_holder_is_found() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    // The duplicate has no CLOEXEC, so that the child inherits it.
    let inherited = nix::unistd::dup(&connection.client).unwrap();
    let mut child = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap();

    let row = established(&connection);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut holders: Vec<(u64, u64, String)> = row["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|holder| {
            let number = |field: &str| holder[field].as_u64().unwrap();
            (
                number("pid"),
                number("fd"),
                holder["name"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    holders.sort_unstable();
    let own = |fd: i32| {
        (
            u64::from(std::process::id()),
            u64::try_from(fd).unwrap(),
            name.trim().to_owned(),
        )
    };
    let fd = |fd: i32| u64::try_from(fd).unwrap();
    let mut expected = vec![
        own(connection.client.as_raw_fd()),
        own(inherited.as_raw_fd()),
        (
            u64::from(child.id()),
            fd(inherited.as_raw_fd()),
            String::from("sleep"),
        ),
    ];
    expected.sort_unstable();
    // A process that another test starts at this moment may inherit the duplicate for an instant.
    holders.retain(|holder| expected.iter().any(|other| other.0 == holder.0));
    assert_eq!(holders, expected);
}

/// A thread that has called unshare(CLONE_FILES) shows its descriptors only below /proc/PID/task.
#[test]
fn a_thread_with_its_own_descriptors_is_found() {
    let (connected, filter) = mpsc::channel();
    let (finish, finished) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
        let listener = listener(Ipv4Addr::LOCALHOST);
        let connection = Connection::to(&listener);
        connected.send(client_end(&connection)).unwrap();
        finished.recv().unwrap();
    });
    let filter = filter.recv().unwrap();
    let report = json(&format!("inspect -s {filter} --pid {}", std::process::id()));
    finish.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(only(&report)["processes"][0]["pid"], std::process::id());
}

#[test]
fn owners_can_be_filtered_by() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let end = client_end(&connection);
    let pid = std::process::id();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let uid = nix::unistd::getuid();
    for (filter, shown) in [
        (format!("--pid {pid}"), 1),
        (format!("--process {}", name.trim()), 1),
        (String::from("--process no-such-name"), 0),
        (format!("--user {uid}"), 1),
        (format!("--user {}", uid.as_raw() + 1), 0),
        (format!("--user {} --pid {pid}", uid.as_raw() + 1), 0),
        (
            String::from("--state all --local 127.0.0.2 --source proc"),
            1,
        ),
        (String::from("--source proc"), 1),
        (String::from("--no-loopback"), 0),
        (String::from("--state listen"), 0),
        (String::from("--state listen,established"), 1),
    ] {
        let line = format!("inspect -s {end} {filter}");
        assert_eq!(sockets(&json(&line)).len(), shown, "{line}");
    }
    let nobody = run("inspect -s --process no-such-name");
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(
        said.contains("no process named 'no-such-name' is seen"),
        "{said}"
    );
}

#[test]
fn what_does_not_exist_is_a_wrong_call() {
    for (line, said) in [
        ("inspect -s --pid 4194304", "there is no process 4194304"),
        (
            "inspect -s --user no-such-user",
            "there is no user 'no-such-user'",
        ),
        (
            "inspect --proc /no/such/dir",
            "/no/such/dir is not a directory",
        ),
        (
            "inspect --source netlink --proc /proc",
            "leave one of them out",
        ),
        ("inspect --local 1.2.3.4.5", "is not an address"),
        (
            "inspect --state established,sleeping",
            "possible values: all, established",
        ),
        (
            "inspect --columns local,nothing",
            "possible values: state, local",
        ),
        ("inspect -o yaml", "possible values: table, json, ndjson"),
        ("man nothing", "there is no page 'nothing'"),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(said), "{line}: {errors}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn events_are_lines_and_the_report_is_the_last() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let text = stdout(&format!("inspect -s -o ndjson {}", client_end(&connection)));
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(names, [&value!("socket"), &value!("report")]);
    assert!(
        events
            .iter()
            .all(|event| event["schema"] == "kalive.inspect/1")
    );
    assert_eq!(events[1]["count"], 1);
    assert_eq!(
        events[1]["protection"]["off"],
        value!({"ipv4": 1, "ipv6": 0})
    );
    let only_asked = value!({"ESTABLISHED": {"ipv4": 1, "ipv6": 0}});
    assert_eq!(
        events[1]["states"], only_asked,
        "states that were not asked for are not told as zero"
    );
}

#[test]
fn the_summary_fits_80_columns_and_counts_every_state() {
    let text = stdout("inspect");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line, line.trim_end());
    }
    for name in [
        "tcp_keepalive_time",
        "ESTABLISHED",
        "NEW-SYN-RECV",
        "CLOSING",
        "unknown",
    ] {
        assert!(text.contains(name), "{name}");
    }
    assert!(!text.contains('\x1b'), "no colours off a terminal");
    assert!(stdout("inspect --color always").contains("\x1b["));
}

#[test]
fn the_summary_counts_protection_only_where_connections_were_asked_for() {
    for (states, shown) in [("listen", false), ("listen,established", true)] {
        let text = stdout(&format!("inspect --state {states}"));
        assert_eq!(text.contains("by SO_KEEPALIVE"), shown, "{text}");
        assert!(text.contains("LISTEN"), "{text}");
    }
}

/// A table for pipes: one line a socket, whole addresses, no count at the end.
#[test]
fn a_list_off_a_terminal_is_neither_cut_nor_wrapped() {
    let listener = listener(Ipv6Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let local = connection.client_address();
    let output = kalive()
        .args(["inspect", "-s", "--columns", "peer,local,state"])
        .args(client_end(&connection).split(' '))
        .env("COLUMNS", "20")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let peer = connection.client.peer_addr().unwrap().to_string();
    assert_eq!(
        words,
        [
            vec!["PEER", "LOCAL", "STATE"],
            vec![&peer, &local.to_string(), "ESTAB"]
        ]
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let _many: Vec<Connection> = (0..50).map(|_| Connection::to(&listener)).collect();
    for output in ["table", "json", "ndjson"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = kalive()
            .args(["inspect", "-s", "--state", "all", "-o", output])
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{errors}");
        assert!(
            !errors.contains("panic") && !errors.contains("Broken pipe"),
            "{errors}"
        );
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let ended = kalive()
        .arg("inspect")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(
        errors.contains("cannot write the result: No space left on device"),
        "{errors}"
    );
}

/// The pipe is full before the signal is sent, and read only afterwards: the run cannot have ended.
#[test]
fn a_signal_ends_with_the_report_so_far() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let many: Vec<Connection> = (0..1_000).map(|_| Connection::to(&listener)).collect();
    for (signal, code) in [
        (nix::sys::signal::SIGTERM, 143),
        (nix::sys::signal::SIGINT, 130),
    ] {
        let mut child = kalive()
            .args(["inspect", "-s", "-o", "ndjson", "--local", "127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        let last = lines.lines().last().unwrap().unwrap();
        let report: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(report["event"], "report");
        assert_eq!(report["complete"], false);
        assert!(report["count"].as_u64() < Some(2 * 1_000), "{report}");
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
    drop(many);
}

/// As an ordinary user every socket is listed; whose it is stays unknown, and that is said once.
#[test]
fn without_rights_all_sockets_are_listed_and_owners_are_unknown() {
    if !nix::unistd::getuid().is_root() {
        println!("skipped: only root can become another user, who may not look into this process");
        return;
    }
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("kalive");
    std::fs::copy(env!("CARGO_BIN_EXE_kalive"), &copy).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(directory.path(), mode(0o755)).unwrap();
    let as_nobody = |line: String| {
        let mut command = std::process::Command::new(&copy);
        command
            .args(line.split_whitespace())
            .uid(65_534)
            .gid(65_534)
            .output()
            .unwrap()
    };
    let output = as_nobody(format!("inspect -s -o json {}", client_end(&connection)));
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = only(&report);
    assert_eq!(row["processes"], Value::Null);
    assert!(row["processes_unknown"].is_string());
    assert_eq!(row["uid"], 0);
    let unreadable = report["incomplete"].as_array().unwrap();
    assert_eq!(unreadable.len(), 1, "{unreadable:?}");
    assert_eq!(unreadable[0]["why"], "not permitted");
    let pids = unreadable[0]["pids"].as_array().unwrap();
    assert!(pids.contains(&value!(std::process::id())), "{pids:?}");

    let output = as_nobody(format!("inspect -s --pid {}", std::process::id()));
    assert_eq!(
        output.status.code(),
        Some(2),
        "not permitted is not an empty list"
    );
}

/// A copy of some machine's /proc, with a damaged line and no IPv6.
#[test]
fn a_copy_of_proc_is_read() {
    let report = json("inspect -s --state all --proc tests/data/proc");
    assert_eq!(report["source"], "proc");
    assert_eq!(report["hz"], Value::Null);
    assert_eq!(report["tunables"]["tcp_keepalive_time_s"], 600.0);
    assert_eq!(report["tunables"]["tcp_retries2"], Value::Null);
    assert_eq!(
        report["tunables"]["tcp_retries2_unknown"],
        "not in this copy of /proc"
    );
    assert_eq!(report["detection"]["nominal_s"], 780.0);
    assert_eq!(sockets(&report).len(), 16);
    let held = sockets(&report)
        .iter()
        .find(|row| row["local"] == "127.0.0.1:33770")
        .unwrap();
    assert_eq!(
        held["processes"],
        value!([{"pid": 812, "fd": 7, "name": "post gres"}])
    );
    let missing = report["incomplete"].as_array().unwrap();
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert_eq!(
        missing[0]["what"],
        "1 of the lines of tests/data/proc/net/tcp"
    );
    let no_ipv6 = value!({
        "what": "the IPv6 sockets",
        "why": "tests/data/proc/net/tcp6 is not in this copy of /proc",
    });
    assert_eq!(missing[1], no_ipv6);

    let text = stdout("inspect --proc tests/data/proc");
    assert!(
        text.contains("*    10m") || text.contains("* 10m"),
        "{text}"
    );
}

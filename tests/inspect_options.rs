//! `kalive inspect --options` against the real kernel: options of live sockets of other processes, and what
//! reading them must not do.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]

mod common;
#[path = "common/faults.rs"]
mod faults;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use common::{Connection, json, kalive, listener, run, sockets};
use faults::{Refusal, refuse, shell};
use serde_json::{Value, json as value};
use socket2::{SockRef, TcpKeepalive};

/// The only row of a report.
fn only(report: &Value) -> Value {
    let rows = sockets(report);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// The filter for the client's end alone: another connection may use the same local port to another peer.
fn client_end(connection: &Connection) -> String {
    let peer = connection.client.peer_addr().unwrap();
    format!("--local {} --peer {peer}", connection.client_address())
}

fn options(connection: &Connection) -> Value {
    only(&json(&format!(
        "inspect -s --options {}",
        client_end(connection)
    )))["keepalive"]
        .clone()
}

fn set(stream: &TcpStream, idle: Option<u64>, interval: Option<u64>, count: Option<u32>) {
    let socket = SockRef::from(stream);
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = idle {
        keepalive = keepalive.with_time(Duration::from_secs(idle));
    }
    if let Some(interval) = interval {
        keepalive = keepalive.with_interval(Duration::from_secs(interval));
    }
    if let Some(count) = count {
        keepalive = keepalive.with_retries(count);
    }
    socket.set_tcp_keepalive(&keepalive).unwrap();
}

fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}

/// A process of its own that holds connections; ends when its input does.
struct Other {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Other {
    /// Runs the test `name` of this file as another process, prepared by `prepare`.
    fn start(name: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("/proc/self/exe");
        command
            .args([
                name,
                "--exact",
                "--nocapture",
                "--ignored",
                "--test-threads=1",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// What it says after "said ".
    fn said(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, said)) = line.split_once("said ") {
                return said.trim().to_owned();
            }
        }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn say(text: &str) {
    println!("said {text}");
    std::io::stdout().flush().unwrap();
}

fn wait_for_the_end() {
    let _ = std::io::stdin().read(&mut [0]);
}

/// Every combination of options, set or not, over both families, in another process.
#[test]
fn every_combination_is_read() {
    let mut other = Other::start("holds_every_combination", |_| {});
    let count: usize = other.said().parse().unwrap();
    let mut expected: Vec<(String, Value)> = (0..count)
        .map(|_| {
            let line = other.said();
            let (local, keepalive) = line.split_once(' ').unwrap();
            (local.to_owned(), serde_json::from_str(keepalive).unwrap())
        })
        .collect();
    let report = json(&format!("inspect -s --options --pid {}", other.pid()));
    let mut found: Vec<(String, Value)> = sockets(&report)
        .iter()
        .filter(|row| row["processes"][0]["pid"] == other.pid())
        .filter(|row| expected.iter().any(|(local, _)| row["local"] == *local))
        .map(|row| {
            let local = row["local"].as_str().unwrap().to_owned();
            (local, row["keepalive"].clone())
        })
        .collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found.len(), 64);
    assert_eq!(found, expected);
}

#[test]
#[ignore = "the other process of every_combination_is_read"]
fn holds_every_combination() {
    let mut held = Vec::new();
    let mut lines = Vec::new();
    let read = |name: &str| -> u32 {
        let path = format!("/proc/sys/net/ipv4/{name}");
        std::fs::read_to_string(path)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let sysctls = [
        "tcp_keepalive_time",
        "tcp_keepalive_intvl",
        "tcp_keepalive_probes",
    ]
    .map(read);
    for listener in [listener(Ipv4Addr::LOCALHOST), listener(Ipv6Addr::LOCALHOST)] {
        for bits in 0..32_u32 {
            let has = |bit: u32| bits & 1 << bit != 0;
            let connection = Connection::to(&listener);
            set(
                &connection.client,
                has(1).then_some(61),
                has(2).then_some(11),
                has(3).then_some(5),
            );
            let socket = SockRef::from(&connection.client);
            socket.set_keepalive(has(0)).unwrap();
            let limit = has(4).then_some(Duration::from_millis(90_500));
            socket.set_tcp_user_timeout(limit).unwrap();
            let pick = |bit, own: u32, index: usize| if has(bit) { own } else { sysctls[index] };
            let origin = |bit| {
                if has(bit) {
                    "socket"
                } else {
                    "socket-or-sysctl"
                }
            };
            let or_default = |bit| if has(bit) { "socket" } else { "default" };
            let keepalive = value!({
                "enabled": has(0),
                "evidence": "option",
                "idle_s": f64::from(pick(1, 61, 0)),
                "interval_s": f64::from(pick(2, 11, 1)),
                "count": pick(3, 5, 2),
                "user_timeout_s": if has(4) { 90.5 } else { 0.0 },
                "origin": {
                    "enabled": or_default(0),
                    "idle": origin(1),
                    "interval": origin(2),
                    "count": origin(3),
                    "user_timeout": or_default(4),
                },
            });
            lines.push(format!("{} {keepalive}", connection.client_address()));
            held.push(connection);
        }
    }
    say(&lines.len().to_string());
    for line in lines {
        say(&line);
    }
    wait_for_the_end();
}

/// The option is told also where data in flight hides the timer, and on a listener, which passes it on.
#[test]
fn what_no_timer_shows() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    SockRef::from(&listener)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(77)))
        .unwrap();
    let mut connection = Connection::to(&listener);
    SockRef::from(&connection.client)
        .set_keepalive(true)
        .unwrap();
    connection.stuff();
    let address = listener.local_addr().unwrap();
    let of_listener = format!("inspect -s --state listen --options --local {address}");
    let of_listener = only(&json(&of_listener))["keepalive"].clone();
    assert_eq!(of_listener["enabled"], true);
    assert_eq!(of_listener["idle_s"], 77.0);
    let accepted = format!(
        "inspect -s --options --local {address} --peer {}",
        connection.client_address()
    );
    let accepted = only(&json(&accepted))["keepalive"].clone();
    assert_eq!(
        (&accepted["enabled"], &accepted["idle_s"]),
        (&value!(true), &value!(77.0))
    );
    let hidden = format!("inspect -s {}", client_end(&connection));
    assert_eq!(only(&json(&hidden))["keepalive"]["enabled"], Value::Null);
    assert_eq!(options(&connection)["enabled"], true);
    // The filter goes by the same knowledge as what is shown.
    let filtered = |status| {
        let line = format!(
            "inspect -s --options --keepalive {status} {}",
            client_end(&connection)
        );
        sockets(&json(&line)).len()
    };
    assert_eq!((filtered("on"), filtered("unknown")), (1, 0));
}

#[test]
fn the_socket_can_be_checked_without_a_cookie() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    set(&connection.client, Some(62), None, None);
    let line = format!(
        "inspect -s --options --source proc {}",
        client_end(&connection)
    );
    assert_eq!(only(&json(&line))["keepalive"]["idle_s"], 62.0);
}

#[test]
fn time_wait_has_no_options() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let (local, peer) = (connection.client_address(), listener.local_addr().unwrap());
    drop(connection.close_client());
    let line = format!("inspect -s --options --state time-wait --local {local} --peer {peer}");
    let keepalive = only(&json(&line))["keepalive"].clone();
    assert_eq!(keepalive["idle_s"], Value::Null);
    assert_eq!(
        keepalive["options_unknown"],
        "no process holds the socket any more, or yet"
    );
    assert_eq!(keepalive["enabled"], Value::Null);
}

/// As nobody, whose rights end at other users' processes.
fn as_nobody(line: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("kalive");
    std::fs::copy(env!("CARGO_BIN_EXE_kalive"), &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    Command::new(&copy)
        .args(line.split_whitespace())
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap()
}

#[test]
fn another_users_options_are_unknown_and_the_timer_is_the_evidence() {
    if !is_root() {
        println!("skipped: only root can become another user, who may not look into this process");
        return;
    }
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    set(&connection.client, Some(63), None, None);
    let line = format!("inspect -s --options -o json {}", client_end(&connection));
    let output = as_nobody(&line);
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keepalive = &only(&report)["keepalive"];
    assert_eq!(keepalive["enabled"], true);
    assert_eq!(keepalive["evidence"], "timer");
    assert_eq!(keepalive["idle_s"], Value::Null);
    assert_eq!(
        keepalive["options_unknown"],
        "no process that could be read holds it"
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("the options of 1 socket"), "{errors}");
}

/// Descriptors that can be listed but not duplicated, as under Yama or in a container.
#[test]
fn a_refusal_is_told_as_such() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    set(&connection.client, Some(64), None, None);
    let filter = client_end(&connection);
    let arguments = format!("inspect -s --options -o json {filter}");
    let mut refusing = kalive();
    refusing.args(arguments.split_whitespace());
    refuse(
        &mut refusing,
        &[Refusal::of(libc::SYS_pidfd_getfd, libc::EPERM)],
    );
    let output = refusing.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = only(&report);
    assert_eq!(row["processes"][0]["pid"], std::process::id());
    let keepalive = &row["keepalive"];
    assert_eq!(keepalive["enabled"], true);
    let why = keepalive["options_unknown"].as_str().unwrap();
    assert!(why.starts_with("not permitted: pidfd_getfd needs"), "{why}");
    assert_eq!(keepalive["origin"], Value::Null);
}

/// Two processes hold one socket: any of them will do, and both are named.
#[test]
fn a_forked_pair_shares_a_socket() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    set(&connection.client, Some(65), None, None);
    let inherited = nix::unistd::dup(&connection.client).unwrap();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let end = client_end(&connection);
    let of_child = json(&format!("inspect -s --options {end} --pid {}", child.id()));
    let Connection { client, server } = connection;
    drop((client, inherited));
    let alone = json(&format!("inspect -s --options {end}"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(only(&of_child)["keepalive"]["idle_s"], 65.0);
    assert_eq!(only(&alone)["keepalive"]["idle_s"], 65.0);
    assert_eq!(only(&alone)["processes"][0]["pid"], child.id());
    drop(server);
}

/// Its descriptors are not those of its process: the number alone would name another one.
#[test]
fn a_thread_with_its_own_descriptors_is_asked_itself() {
    let (connected, filter) = std::sync::mpsc::channel();
    let (finish, finished) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES).unwrap();
        let listener = listener(Ipv4Addr::LOCALHOST);
        let connection = Connection::to(&listener);
        set(&connection.client, Some(66), None, None);
        connected.send(client_end(&connection)).unwrap();
        finished.recv().unwrap();
    });
    let filter = filter.recv().unwrap();
    let report = json(&format!("inspect -s --options {filter}"));
    finish.send(()).unwrap();
    thread.join().unwrap();
    let keepalive = &only(&report)["keepalive"];
    if let Some(why) = keepalive["options_unknown"].as_str() {
        assert!(why.contains("Linux 6.9"), "{why}");
        println!("skipped: this kernel cannot reach a thread's own descriptors");
        return;
    }
    assert_eq!(keepalive["idle_s"], 66.0);
}

/// While kalive reads without pause, a close sends FIN as fast as ever: no duplicate outlives its reading.
#[test]
fn the_owners_close_still_sends_fin_at_once() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let reading = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let line = format!("inspect -s --options --pid {}", std::process::id());
            while reading.load(Ordering::Relaxed) {
                let _ = run(&line);
            }
        });
        let mut slowest = Duration::ZERO;
        for round in 0..300 {
            let connections: Vec<Connection> = (0..20).map(|_| Connection::to(&listener)).collect();
            std::thread::sleep(Duration::from_millis(round % 7));
            for connection in connections {
                let closed = Instant::now();
                drop(connection.close_client());
                slowest = slowest.max(closed.elapsed());
            }
        }
        reading.store(false, Ordering::Relaxed);
        println!("the slowest of 6000 closes took {slowest:?} to reach the peer");
        assert!(slowest < Duration::from_millis(500), "FIN took {slowest:?}");
    });
}

/// Sockets that come and go by the thousands while they are read: what is told of a socket is its own, for
/// every socket on this listener's port has the idle time that its port encodes.
#[test]
fn a_race_of_closing_sockets_gives_no_wrong_row() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let address = listener.local_addr().unwrap();
    let racing = AtomicBool::new(true);
    let (stays, staying) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let stop = Stop(&racing);
        let churn = || churn(address, &listener, &racing, &stays);
        let churning: Vec<_> = (0..2).map(|_| scope.spawn(churn)).collect();
        // What stays is there, with its options, before anything is read.
        let stay: HashSet<SocketAddr> = staying.iter().take(2 * STAY).collect();
        assert_eq!(stay.len(), 2 * STAY);
        let (mut right, mut unknown) = (0, 0);
        for _ in 0..20 {
            let report = json(&format!("inspect -s --options --peer {address}"));
            for row in sockets(&report) {
                let local: SocketAddr = row["local"].as_str().unwrap().parse().unwrap();
                let stays = stay.contains(&local);
                match row["keepalive"]["idle_s"].as_f64() {
                    Some(idle) if (idle - f64::from(encoded(local.port()))).abs() < 0.5 => {
                        right += usize::from(stays);
                    }
                    // Else it was caught between connecting and setting.
                    Some(idle) => assert!(!stays && (idle - 7_200.0).abs() < 0.5, "{row}"),
                    None => {
                        assert!(!stays, "{row}");
                        unknown += 1;
                    }
                }
            }
        }
        drop(stop);
        let opened: u32 = churning
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        println!("{opened} sockets opened and closed: {right} read that stay, {unknown} gone");
        assert!(right > 0);
    });
}

/// Ends a churn, in a test that fails too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Of each thread's sockets so many stay, so that there is always something to read.
const STAY: usize = 100;

fn encoded(port: u16) -> u16 {
    port.saturating_sub(32_767).max(1)
}

fn churn(
    address: SocketAddr,
    listener: &TcpListener,
    racing: &AtomicBool,
    stays: &Sender<SocketAddr>,
) -> u32 {
    let mut held = Vec::new();
    let mut opened = 0;
    while racing.load(Ordering::Relaxed) {
        let client = TcpStream::connect(address).unwrap();
        let port = client.local_addr().unwrap().port();
        set(&client, Some(encoded(port).into()), None, None);
        // No TIME-WAIT: the ports would run out.
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let (server, _) = listener.accept().unwrap();
        if held.len() < STAY {
            stays.send(client.local_addr().unwrap()).unwrap();
        }
        held.push((client, server));
        opened += 1;
        if held.len() > 2 * STAY {
            held.remove(STAY);
        }
    }
    opened
}

/// It reads hundreds of sockets with few descriptors to spare.
#[test]
fn no_descriptor_is_leaked() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let many: Vec<Connection> = (0..400).map(|_| Connection::to(&listener)).collect();
    let address = listener.local_addr().unwrap();
    let line = format!("inspect -s --options -o json --peer {address}");
    let mut command = shell("ulimit -n 40", &line, "");
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = |row: &&Value| row["keepalive"]["idle_s"].is_f64();
    assert_eq!(sockets(&report).iter().filter(read).count(), many.len());
}

/// Verdicts for 350 s by the options, and the exit status that follows from them.
#[test]
fn survival_by_options() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let judged = |connection: &Connection, flags: &str| {
        let line = format!(
            "inspect -s --survives 350s {flags} {}",
            client_end(connection)
        );
        let output = run(&format!("{line} -o json"));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (
            only(&report)["survives"].clone(),
            report,
            output.status.code(),
        )
    };
    for (options, reason, code) in [
        (None, "no-keepalive", 1),
        (Some((60, 10, 9)), "enough-tries", 0),
        (Some((7_200, 75, 9)), "idle-too-long", 1),
        (Some((300, 300, 9)), "one-try", 1),
        (Some((60, 10, 1)), "one-probe-ends-it", 1),
        // 1 s below, which the timer wheel passes at any HZ from 100 to 1000.
        (Some((349, 1, 9)), "late-timer", 1),
    ] {
        let connection = Connection::to(&listener);
        if let Some((idle, interval, count)) = options {
            set(&connection.client, Some(idle), Some(interval), Some(count));
        }
        let (survives, report, exit) = judged(&connection, "--options");
        assert_eq!(survives["reason"], reason, "{survives}");
        assert_eq!(exit, Some(code), "{reason}");
        let protected = u64::from(code == 0);
        let verdicts = value!({"timeout_s": 350.0, "at_risk": 1 - protected, "protected": protected, "unknown": 0});
        assert_eq!(report["survives"], verdicts);
        let name = &sockets(&report)[0]["processes"][0]["name"];
        let processes = report["processes"].as_array().unwrap();
        let of_process = processes.iter().find(|one| one["name"] == *name).unwrap();
        assert_eq!(of_process["verdicts"]["protected"], protected);
    }
    // Data in flight suspends keepalive: 350 s are bridged by retransmissions, what is too late stays so.
    for (idle, verdict, reason) in [
        (60, "protected", "enough-tries"),
        (7_200, "at-risk", "idle-too-long"),
    ] {
        let mut connection = Connection::to(&listener);
        set(&connection.client, Some(idle), Some(10), None);
        connection.stuff();
        let (survives, ..) = judged(&connection, "--options");
        assert_eq!(survives["verdict"], verdict, "{survives}");
        assert_eq!(survives["reason"], reason, "{survives}");
    }
    // What the timer alone tells, and what it does not.
    let connection = Connection::to(&listener);
    assert_eq!(judged(&connection, "").0["reason"], "no-keepalive");
    set(&connection.client, Some(7_200), None, None);
    assert_eq!(judged(&connection, "").0["reason"], "timer-too-long");
    set(&connection.client, Some(60), None, None);
    let (survives, _, code) = judged(&connection, "");
    assert_eq!(
        (&survives["verdict"], &survives["reason"]),
        (&value!("unknown"), &value!("timer-only"))
    );
    assert_eq!(code, Some(0));
    assert_eq!(judged(&connection, "--strict").2, Some(2));
    assert_eq!(judged(&connection, "--strict --options").2, Some(0));
}

/// By its options when idle, by retransmission with data in flight, never without SO_KEEPALIVE.
#[test]
fn when_a_silent_peer_is_noticed() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let mut connection = Connection::to(&listener);
    let detection = |connection: &Connection| {
        let line = format!("inspect -s --options {}", client_end(connection));
        only(&json(&line))["detection"].clone()
    };
    assert_eq!(
        detection(&connection),
        value!({"rule": "never", "earliest_s": null, "nominal_s": null, "latest_s": null})
    );
    set(&connection.client, Some(60), Some(10), Some(5));
    let noticed = detection(&connection);
    assert_eq!(noticed["rule"], "keepalive-count");
    assert_eq!(noticed["nominal_s"], 110.0);
    assert!(noticed["latest_s"].as_f64() >= Some(110.0), "{noticed}");
    connection.stuff();
    let noticed = detection(&connection);
    assert_eq!(noticed["rule"], "retries2");
    assert!(noticed["earliest_s"].as_f64() > Some(0.0), "{noticed}");
    assert_eq!(noticed["nominal_s"], Value::Null);
    SockRef::from(&connection.client)
        .set_tcp_user_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let noticed = detection(&connection);
    assert_eq!(noticed["rule"], "retransmission-user-timeout");
    assert_eq!(noticed["earliest_s"], 30.0);
}

/// SO_KEEPALIVE that is set after a long silence starts to count then: the timer is later than the option says.
#[test]
fn a_timer_that_runs_for_longer_than_the_option_says_counts() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    // In this order: TCP_KEEPIDLE on a socket with SO_KEEPALIVE arms the timer with what is left of it.
    set(&connection.client, Some(10), Some(1), None);
    let socket = SockRef::from(&connection.client);
    socket.set_keepalive(false).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    socket.set_keepalive(true).unwrap();
    // Protected if counted from now, too late if counted from the last segment: 10 + 1 + their lateness < 12.
    let judged = |limit: &str| {
        let line = format!(
            "inspect -s --options --survives {limit} {}",
            client_end(&connection)
        );
        let output = run(&format!("{line} -o json"));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        only(&report)["survives"]["reason"].clone()
    };
    assert_eq!(judged("13s"), "armed-for-longer");
    assert_eq!(judged("15s"), "enough-tries");
}

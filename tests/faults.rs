//! Faults of the system: no descriptors, no memory, no permission, no room on the disk, nobody who reads. A
//! run ends with what it knows and says what is missing, or says why it could not know anything.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod common;
#[path = "common/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "common/lab.rs"]
mod lab;

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Connection, kalive, listener};
use faults::{Ended, Refusal, finish_within, refuse, run_within, shell};
use kalive::lab::{FarEnd, Lab, Plan, servers};
use lab::in_lab_user_namespace;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use socket2::{SockRef, TcpKeepalive};

/// Longer than any run here takes, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that prints a result, with a listener that needs nobody behind it: the kernel answers.
fn commands(listener: &TcpListener) -> Vec<String> {
    let target = listener.local_addr().unwrap();
    let mut commands: Vec<String> = [
        "--help",
        "--version",
        "help probe",
        "man",
        "man hold",
        "completions zsh",
        "inspect",
        "inspect -s --state all -o json",
        "inspect -s --state all -o ndjson",
        "inspect -o openmetrics",
        "inspect --watch 100ms -o ndjson",
        "serve --listen 127.0.0.1:0",
        "serve --listen 127.0.0.1:0 -o ndjson",
    ]
    .map(String::from)
    .into();
    for output in ["table", "json", "ndjson"] {
        commands.push(format!("probe {target} --for 100ms -o {output}"));
        commands.push(format!("hold {target} --max 2s -o {output}"));
    }
    commands
}

/// Results that nobody can read are no success: the first that cannot be written ends the run.
#[test]
fn a_stdout_that_takes_nothing_is_an_error() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let faults = [
        (">&-", "Bad file descriptor"),
        ("1</dev/null", "Bad file descriptor"),
        (">/dev/full", "No space left on device"),
    ];
    std::thread::scope(|scope| {
        for command in commands(&listener) {
            scope.spawn(move || {
                for (redirection, why) in faults {
                    let ended = run_within(&mut shell("", &command, redirection), PATIENCE);
                    assert_eq!(
                        ended.code,
                        Some(2),
                        "kalive {command} {redirection}: {ended:?}"
                    );
                    let said = format!("kalive: cannot write the result: {why}");
                    assert!(ended.errors.contains(&said), "{command}: {ended:?}");
                }
            });
        }
    });
}

/// Whoever has gone has seen enough.
#[test]
fn a_reader_that_has_gone_ends_a_run_quietly() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    std::thread::scope(|scope| {
        for command in commands(&listener) {
            scope.spawn(move || {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let mut run = kalive();
                run.args(command.split_whitespace()).stdout(writer);
                let ended = finish_within(run.stderr(Stdio::piped()).spawn().unwrap(), PATIENCE);
                assert_eq!(ended.code, Some(0), "kalive {command}: {ended:?}");
                assert!(!ended.errors.contains("pipe"), "{command}: {ended:?}");
            });
        }
    });
}

/// System calls that a container, a security module or a full kernel refuses, and with what.
fn refusals() -> Vec<Refusal> {
    const PERMISSION: [libc::c_int; 2] = [libc::EPERM, libc::ENOSYS];
    const ROOM: [libc::c_int; 3] = [libc::EMFILE, libc::ENOMEM, libc::ENOBUFS];
    let permission = [
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_setns,
        libc::SYS_clone3,
        libc::SYS_prlimit64,
        libc::SYS_getdents64,
        libc::SYS_readlinkat,
        libc::SYS_setsockopt,
        libc::SYS_getsockopt,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_epoll_ctl,
        libc::SYS_timerfd_settime,
    ];
    let room = [
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_signalfd4,
        libc::SYS_timerfd_create,
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_getdents64,
        libc::SYS_setsockopt,
        libc::SYS_getsockopt,
        libc::SYS_connect,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
    ];
    let of = |calls: &[libc::c_long], errnos: &[libc::c_int]| -> Vec<Refusal> {
        let every = |&call| errnos.iter().map(move |&errno| Refusal::of(call, errno));
        calls.iter().flat_map(every).collect()
    };
    // A socket of one family, tcp_info.
    let sockets = [libc::AF_NETLINK, libc::AF_INET].map(|family| (libc::SYS_socket, 0, family));
    let info = (libc::SYS_getsockopt, 2, libc::TCP_INFO);
    let some = sockets.into_iter().chain([info]);
    let some = some.flat_map(|(call, argument, value)| {
        let errnos = PERMISSION.into_iter().chain(ROOM);
        errnos.map(move |errno| Refusal {
            only: Some((argument, value)),
            ..Refusal::of(call, errno)
        })
    });
    let more_ports = Refusal::of(libc::SYS_connect, libc::EADDRNOTAVAIL);
    let more_threads = Refusal::of(libc::SYS_clone3, libc::EAGAIN);
    of(&permission, &PERMISSION)
        .into_iter()
        .chain(of(&room, &ROOM))
        .chain(some)
        .chain([more_ports, more_threads])
        .collect()
}

/// Whatever the system refuses: no panic, no run without end, never a wrong value, and exit 0 only with the
/// whole answer.
#[test]
fn a_refused_system_call_is_told_or_made_up_for() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5));
    SockRef::from(&connection.client)
        .set_tcp_keepalive(&keepalive)
        .unwrap();
    let target = listener.local_addr().unwrap();
    let local = connection.client_address();
    std::thread::spawn(move || take_all(&listener));
    let one = format!("inspect -s --local {local} --peer {target} -o json");
    let commands = [
        format!("{one} --options --survives 1m"),
        format!("{one} --all-netns"),
        format!("{one} --pid {}", std::process::id()),
        format!("probe {target} --idle 1s --interval 1s --rounds 1 -o json"),
        format!("hold {target} --max 2s -o json"),
    ];
    let right: Vec<Value> = (commands.iter())
        .map(|command| {
            let ended = run_refused(command, &[]);
            assert_eq!(ended.code, Some(0), "kalive {command}: {ended:?}");
            ended.document().unwrap()
        })
        .collect();
    let refusals = refusals();
    let commands = || commands.iter().zip(&right);
    std::thread::scope(|scope| {
        for part in refusals.chunks(refusals.len().div_ceil(32)) {
            scope.spawn(move || {
                for refusal in part {
                    for (command, right) in commands() {
                        let ended = run_refused(command, &[*refusal]);
                        is_true(&ended, right, &format!("kalive {command} with {refusal:?}"));
                    }
                }
            });
        }
    });
}

fn run_refused(command: &str, refusals: &[Refusal]) -> Ended {
    let mut run = kalive();
    run.args(command.split_whitespace());
    refuse(&mut run, refusals);
    run_within(&mut run, PATIENCE)
}

/// It waits for better times, at no cost, and goes on serving whom it has.
#[test]
fn a_server_that_may_accept_nobody_waits() {
    let accept = libc::SYS_accept4;
    for errno in [libc::EPERM, libc::ENFILE, libc::ENOMEM] {
        let mut run = kalive();
        run.args(["serve", "--listen", "127.0.0.1:0", "-o", "ndjson"]);
        refuse(&mut run, &[Refusal::of(accept, errno)]);
        let piped = run.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut listening = Vec::new();
        let mut byte = [0];
        while listening.last() != Some(&b'\n') {
            child
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut byte)
                .unwrap();
            listening.push(byte[0]);
        }
        let listening: Value = serde_json::from_slice(&listening).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let waiting = TcpStream::connect(listening["address"].as_str().unwrap()).unwrap();
        // What it does meanwhile is what is tested.
        std::thread::sleep(Duration::from_millis(1_500));
        let stat = procfs::process::Process::new(pid).unwrap().stat().unwrap();
        let busy = stat.utime + stat.stime;
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        let ended = finish_within(child, PATIENCE);
        assert_eq!(ended.code, Some(143), "{ended:?}");
        let limit = procfs::ticks_per_second() / 2;
        assert!(busy < limit, "{errno}: {busy} ticks of {limit}");
        drop(waiting);
    }
}

/// A lab that cannot be built says what is missing, and leaves nothing behind.
#[test]
fn a_lab_that_is_refused_something_says_so() {
    let netlink = Refusal {
        only: Some((0, libc::AF_NETLINK)),
        ..Refusal::of(libc::SYS_socket, libc::EPERM)
    };
    let refusals = [
        (Refusal::of(libc::SYS_unshare, libc::EPERM), "namespace"),
        (Refusal::of(libc::SYS_unshare, libc::ENOSPC), "namespace"),
        (Refusal::of(libc::SYS_setns, libc::EPERM), "namespace"),
        (Refusal::of(libc::SYS_sendto, libc::EPERM), "nf_tables"),
        (netlink, "netlink"),
        (Refusal::of(libc::SYS_signalfd4, libc::EMFILE), "signalfd"),
        (Refusal::of(libc::SYS_clone3, libc::EAGAIN), "start"),
    ];
    for (refusal, what) in refusals {
        let ended = run_refused("lab -- true", &[refusal]);
        println!("{refusal:?}: {}", ended.errors);
        assert_eq!(ended.code, Some(2), "{refusal:?}: {ended:?}");
        assert!(ended.errors.contains(what), "{refusal:?}: {ended:?}");
    }
}

/// With so few descriptors that anything may lack one: the whole answer, or what was missing.
#[test]
fn few_descriptors_are_told_or_made_up_for() {
    let listener = listener(Ipv4Addr::LOCALHOST);
    let connection = Connection::to(&listener);
    let target = listener.local_addr().unwrap();
    let local = connection.client_address();
    std::thread::spawn(move || take_all(&listener));
    let inspect = format!("inspect -s --local {local} --peer {target} -o json");
    let targets = format!("{target} ").repeat(20);
    let commands = [
        format!("{inspect} --options"),
        format!("{inspect} --all-netns"),
        format!("probe {targets} --idle 1s --for 100ms -o json"),
        format!("hold {target} --max 1100ms -o json"),
    ];
    let limited = |command: &str, descriptors: u32| {
        let limit = format!("ulimit -n {descriptors}");
        run_within(&mut shell(&limit, command, ""), PATIENCE)
    };
    std::thread::scope(|scope| {
        for command in commands {
            scope.spawn(move || {
                let right = limited(&command, 100).document().unwrap();
                // A run needs four for itself to start, and as many as 74 to hold anything.
                let limits = (4..16).chain([51, 52, 73, 74]);
                let ended: Vec<Ended> = limits.map(|limit| limited(&command, limit)).collect();
                for ended in &ended {
                    is_true(ended, &right, &command);
                }
                let found = ended.iter().filter(|ended| ended.code == Some(0)).count();
                assert!(found > 0, "{command}: {ended:?}");
            });
        }
    });
}

/// Accepts what comes, and keeps it for longer than any run here takes.
fn take_all(listener: &TcpListener) {
    const KEPT: usize = 500;
    let mut kept = VecDeque::with_capacity(KEPT);
    for stream in listener.incoming() {
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(stream);
    }
}

/// A run that failed says why; what it prints besides is right, or unknown.
fn is_true(ended: &Ended, right: &Value, what: &str) {
    match ended.code {
        Some(0) => assert_eq!(ended.document().unwrap()["complete"], true, "{what}"),
        Some(2) => assert!(ended.errors.starts_with("kalive: "), "{what}: {ended:?}"),
        _ => panic!("{what}: {ended:?}"),
    }
    let Some(document) = ended.document() else {
        return;
    };
    let unknown_or = |of: &Value, right: &Value, names: &[&str]| {
        for name in names {
            let is = &of[name];
            let known = !is.is_null();
            assert!(!known || *is == right[name], "{what}: {name} in {document}");
        }
    };
    for (row, right) in rows(&document, "sockets").zip(rows(right, "sockets")) {
        unknown_or(row, right, &["state", "local", "peer", "inode", "uid"]);
        let names = ["enabled", "idle_s", "interval_s", "count"];
        unknown_or(&row["keepalive"], &right["keepalive"], &names);
        let verdict = &row["survives"]["verdict"];
        assert_ne!(*verdict, "at-risk", "{what}: {document}");
        // A child that is being started is a holder too.
        let holders: Vec<&Value> = rows(row, "processes")
            .map(|holder| &holder["pid"])
            .collect();
        let known = holders.is_empty() || holders.contains(&&Value::from(std::process::id()));
        assert!(known, "{what}: {document}");
    }
    for (target, right) in rows(&document, "targets").zip(rows(right, "targets")) {
        unknown_or(target, right, &["target", "outcome"]);
    }
    for (direction, right) in rows(&document, "directions").zip(rows(right, "directions")) {
        unknown_or(direction, right, &["direction", "timeout"]);
    }
}

fn rows<'a>(report: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    report[name].as_array().into_iter().flatten()
}

/// Runs `test` where a file takes a few KiB only: with the shell's word for it, a directory, and what the system
/// says then.
fn where_little_fits(test: impl Fn(&str, &Path, &str)) {
    let directory = tempfile::tempdir().unwrap();
    // RLIMIT_FSIZE, which sends SIGXFSZ too.
    test("ulimit -f 4", directory.path(), "File too large");
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).unwrap();
    let small = Some("size=4k");
    mount(
        none,
        directory.path(),
        Some("tmpfs"),
        MsFlags::empty(),
        small,
    )
    .unwrap();
    test("", directory.path(), "No space left on device");
    umount(directory.path()).unwrap();
}

#[test]
fn a_record_that_has_no_room_ends_and_the_measurement_goes_on() {
    in_lab_user_namespace(|| {
        let listener = listener(Ipv4Addr::LOCALHOST);
        let target = listener.local_addr().unwrap();
        std::thread::spawn(move || take_all(&listener));
        where_little_fits(|before, directory, why| {
            let record = directory.join("record");
            let line = format!(
                "hold {target} --max 2s --resolution 20ms -o json --record {}",
                record.display()
            );
            let ended = run_within(&mut shell(before, &line, ""), PATIENCE);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            let said = format!("kalive: write {}: {why}", record.display());
            assert_eq!(ended.errors.matches(&said).count(), 1, "{ended:?}");
            let report = ended.document().unwrap();
            assert_eq!(report["complete"], true);
            assert_eq!(report["inconclusive"], Value::Null, "{report}");
            let found = &report["directions"][0];
            assert!(found["answered_s"].as_f64() >= Some(2.0), "{report}");
            let recorded = std::fs::read_to_string(&record).unwrap();
            assert!(recorded.ends_with('\n'), "{recorded}");
            for line in recorded.lines() {
                let event: Value = serde_json::from_str(line).unwrap();
                assert_eq!(event["schema"], "kalive.hold/1");
            }
        });
    });
}

#[test]
fn a_textfile_that_has_no_room_stays_as_it_was() {
    in_lab_user_namespace(|| {
        let listener = listener(Ipv4Addr::LOCALHOST);
        let _rows: Vec<Connection> = (0..20).map(|_| Connection::to(&listener)).collect();
        where_little_fits(|before, directory, why| {
            let textfile = directory.join("kalive.prom");
            std::fs::write(&textfile, "old").unwrap();
            let line = format!("inspect -o openmetrics --textfile {}", textfile.display());
            let ended = run_within(&mut shell(before, &line, ""), PATIENCE);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.errors.contains(why), "{ended:?}");
            assert!(ended.errors.starts_with("kalive: write "), "{ended:?}");
            assert_eq!(std::fs::read(&textfile).unwrap(), b"old");
            assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);

            let line = "inspect -s --state all -o ndjson";
            let into = format!(">{}", directory.join("stdout").display());
            let ended = run_within(&mut shell(before, line, &into), PATIENCE);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            let said = format!("kalive: cannot write the result: {why}");
            assert!(ended.errors.contains(&said), "{ended:?}");
        });
    });
}

/// A lab whose client has so many ephemeral ports.
fn lab_with_ports(count: u16) -> Lab {
    let lab = Lab::build(&Plan {
        far_end: FarEnd::Serve,
        ..Plan::default()
    })
    .unwrap();
    let range = format!("40000 {}", 40_000 + count - 1);
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    lab.client()
        .run(|| std::fs::write(path, range))
        .unwrap()
        .unwrap();
    lab
}

fn at_client(lab: &Lab, line: &str) -> Ended {
    let mut run = kalive();
    run.args(line.split_whitespace());
    lab.client().adopt(&mut run).unwrap();
    run_within(&mut run, PATIENCE)
}

/// There is no port for the last targets: that is told, and what is known of the others too.
#[test]
fn a_probe_without_ports_keeps_what_it_knows() {
    in_lab_user_namespace(|| {
        const PORTS: u16 = 20;
        let lab = lab_with_ports(PORTS);
        let targets = format!("{} ", servers()[0]).repeat(30);
        let line = format!("probe {targets} --idle 1s --for 1s -o json");
        let ended = at_client(&lab, &line);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let said = format!("kalive: connect to {}: Cannot assign", servers()[0]);
        assert!(ended.errors.starts_with(&said), "{ended:?}");
        let report = ended.document().unwrap();
        // Nothing cut it short: what is missing is told of each target.
        assert_eq!(report["complete"], true);
        let (probed, without): (Vec<&Value>, Vec<&Value>) =
            rows(&report, "targets").partition(|target| target["connect_s"].is_f64());
        assert!(probed.len() <= PORTS.into(), "{report}");
        assert!(probed.iter().all(|target| target["outcome"] == "alive"));
        for target in without {
            assert_eq!(target["outcome"], Value::Null);
            let why = target["outcome_unknown"].as_str().unwrap();
            assert!(why.contains("Cannot assign"), "{target}");
        }
    });
}

/// Ports that others have taken already: the plan is made smaller until it fits.
#[test]
fn hold_makes_do_with_the_ports_that_are_left() {
    in_lab_user_namespace(|| {
        let lab = lab_with_ports(40);
        let server = servers()[0];
        let connect = || TcpStream::connect(server).unwrap();
        let taken: Vec<TcpStream> = (0..20)
            .map(|_| lab.client().run(connect).unwrap())
            .collect();
        let line = format!("hold {server} --max 3s --resolution 20ms --direction outbound -o json");
        let ended = at_client(&lab, &line);
        drop(taken);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let report = ended.document().unwrap();
        let warned = rows(&report, "warnings").filter_map(Value::as_str);
        let told = warned.filter(|text| text.contains("this machine has no more room"));
        assert!(told.count() > 0, "{ended:?}");
        let found = &report["directions"][0];
        assert!(found["answered_s"].as_f64() >= Some(3.0), "{report}");
        assert_eq!(found["timeout"], Value::Null);
    });
}

/// Processes and namespaces that come and go by the hundred while /proc is read: what has gone is nothing that
/// is missing, and what stays is there in every report.
#[test]
fn what_vanishes_from_proc_is_not_missing() {
    in_lab_user_namespace(|| {
        let listener = listener(Ipv4Addr::LOCALHOST);
        let connection = Connection::to(&listener);
        let local = connection.client_address();
        let churning = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let churns: Vec<_> = (0..4).map(|_| scope.spawn(|| churn(&churning))).collect();
            let stop = Stop(&churning);
            let peer = listener.local_addr().unwrap();
            let line =
                format!("inspect -s --all-netns --options -o json --local {local} --peer {peer}");
            for _ in 0..15 {
                let mut run = kalive();
                let ended = run_within(run.args(line.split_whitespace()), PATIENCE);
                assert_eq!(ended.code, Some(0), "{ended:?}");
                let report = ended.document().unwrap();
                assert_eq!(report["count"], 1, "{report}");
                assert_eq!(report["sockets"][0]["keepalive"]["enabled"], false);
                for gap in rows(&report, "incomplete") {
                    let why = gap["why"].as_str().unwrap();
                    assert!(!why.contains("No such"), "{gap}");
                }
            }
            drop(stop);
            let come: u32 = churns.into_iter().map(|churn| churn.join().unwrap()).sum();
            println!("{come} processes, each in a namespace of its own, came and went");
            assert!(come > 0);
        });
    });
}

/// Ends a churn, in a test that fails too.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Starts processes that end at once, each in a new network namespace.
fn churn(churning: &AtomicBool) -> u32 {
    let mut come = 0;
    while churning.load(Ordering::Relaxed) {
        let mut short = Command::new("true");
        #[expect(
            unsafe_code,
            reason = "there is no safe way to act between fork and exec"
        )]
        // SAFETY: unshare is async-signal-safe and the closure does nothing else.
        unsafe {
            short.pre_exec(|| Ok(unshare(CloneFlags::CLONE_NEWNET)?));
        }
        assert!(short.status().unwrap().success());
        come += 1;
    }
    come
}

/// A copy of /proc that was made while processes ended, or by who may not read all of it.
#[test]
fn holes_in_a_copy_of_proc_are_told() {
    let copy = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = copy.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let inspect = || {
        let mut run = kalive();
        run.args(["inspect", "-s", "-o", "json", "--proc"])
            .arg(copy.path());
        run_within(&mut run, PATIENCE)
    };
    let none = inspect();
    assert_eq!(none.code, Some(2), "no table at all: {none:?}");
    assert!(none.errors.contains("has no net/tcp"), "{none:?}");
    // A table that was cut in the midst of a line; processes without descriptors, stat or a sane one.
    let table = include_str!("data/proc/net/tcp");
    write("net/tcp", &table[..table.len() - 70]);
    write("7/stat", "7 (");
    write("8/fd/3", "no link");
    write("9/status", "");
    std::os::unix::fs::symlink("socket:[", copy.path().join("8/fd/4")).unwrap();
    let ended = inspect();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let report = ended.document().unwrap();
    let told = |what: &str| {
        let mut gaps = rows(&report, "incomplete").filter_map(|gap| gap["what"].as_str());
        assert!(gaps.any(|gap| gap.contains(what)), "{what}: {report}");
    };
    told("of the lines of");
    told("the IPv6 sockets");
    assert!(rows(&report, "sockets").count() > 0, "{report}");
}

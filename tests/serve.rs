//! `kalive serve` as its clients meet it, hostile ones included.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod common;

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Only what hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// `kalive-serve/1 ` with a token and a line feed.
const GREETING: usize = 32;

/// A running server on a port of its own.
struct Server {
    child: Child,
    events: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start(options: &str) -> Self {
        let mut child = common::kalive()
            .args(["serve", "--listen", "[::]:0", "-o", "ndjson"])
            .args(options.split_whitespace())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self {
            child,
            events,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let listening = server.event("listening");
        let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();
        server.address.set_port(address.port());
        server
    }

    /// The next event of this name.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.events.read_line(&mut line).unwrap() > 0, "no {name}");
            let event: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(event["schema"], "kalive.serve/1");
            if event["event"] == name {
                return event;
            }
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection is ended as soon as it is made, which may be before this side knows that it was.
    fn refuses(&self) -> bool {
        match TcpStream::connect_timeout(&self.address, PATIENCE) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                is_closed(&mut stream)
            }
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// A session that has been greeted, with its token.
    fn session(&self) -> (TcpStream, String) {
        let mut stream = self.connect();
        let mut greeting = [0; GREETING];
        stream.read_exact(&mut greeting).unwrap();
        let text = std::str::from_utf8(&greeting).unwrap();
        let token = text.strip_prefix("kalive-serve/1 ").unwrap().trim_end();
        (stream, token.to_owned())
    }

    fn control(&self) -> TcpStream {
        let (mut stream, _) = self.session();
        stream.write_all(b"\0kalive-control/1\n").unwrap();
        stream
    }

    /// Ends it with SIGTERM: its exit code and report.
    fn end(mut self) -> (Option<i32>, Value) {
        kill(
            Pid::from_raw(self.child.id().try_into().unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        let report = self.event("report");
        (self.child.wait().unwrap().code(), report)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn ask(control: &mut TcpStream, request: &str) -> String {
    writeln!(control, "{request:<63}").unwrap();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        control.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// What ends a session from the other side: a FIN or a RST, within reason.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Nothing comes for a while.
fn is_silent(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let read = stream.read(&mut [0]).map_err(|error| error.kind());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    read == Err(ErrorKind::WouldBlock)
}

#[test]
fn it_echoes_over_both_families_and_reports_at_the_end() {
    let server = Server::start("");
    let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], server.address.port()));
    let mut sessions = vec![server.session().0];
    let mut stream = TcpStream::connect_timeout(&v6, PATIENCE).unwrap();
    stream.read_exact(&mut [0; GREETING]).unwrap();
    sessions.push(stream);
    for stream in &mut sessions {
        // More than one buffer, and text that could begin a control connection.
        for text in [&b"k"[..], b"kalive-control/1\n", &b"x".repeat(100_000)] {
            let mut writer = stream.try_clone().unwrap();
            let owned = text.to_vec();
            let sent = std::thread::spawn(move || writer.write_all(&owned).unwrap());
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back).unwrap();
            sent.join().unwrap();
            assert!(back == text);
        }
    }
    sessions[0].shutdown(Shutdown::Write).unwrap();
    assert!(is_closed(&mut sessions[0]));
    let (code, report) = server.end();
    assert_eq!(code, Some(143), "as every command after SIGTERM");
    assert_eq!(report["sessions"], 2);
    assert_eq!(report["ended"]["closed"], 1);
}

#[test]
fn it_speaks_when_told_to_and_tells_what_it_saw() {
    let mut server = Server::start("");
    let (mut session, token) = server.session();
    let mut control = server.control();
    assert_eq!(ask(&mut control, "ping 7"), "pong 7");
    assert!(is_silent(&mut session));
    let said = ask(&mut control, &format!("speak {token} 4 50"));
    let words: Vec<&str> = said.split(' ').collect();
    assert_eq!(words[..2], ["acknowledged", token.as_str()]);
    let silence: u64 = words[2].parse().unwrap();
    assert!((150..5_000).contains(&silence), "{said}");
    assert_eq!(words[3], "1", "the first byte was answered");
    let mut byte = [0];
    session.read_exact(&mut byte).unwrap();
    assert!(is_silent(&mut session), "one byte, no more");
    assert_eq!(server.event("spoke")["outcome"], "acknowledged");

    drop(session);
    server.event("ended");
    let unknown = format!("unknown {token}");
    assert_eq!(ask(&mut control, &format!("speak {token} 4 50")), unknown);
    assert_eq!(server.end().1["spoken"]["acknowledged"], 1);
}

#[test]
fn nobody_makes_it_speak_on_what_is_not_his() {
    let server = Server::start("");
    let (mut session, token) = server.session();
    let (_, other) = server.session();
    let mut control = server.control();
    let guessed = "0000000000000001";
    assert_eq!(
        ask(&mut control, &format!("speak {guessed} 1 0")),
        format!("unknown {guessed}")
    );
    assert_ne!(token, other);
    assert!(is_silent(&mut session));
}

#[test]
fn what_is_not_of_the_language_costs_only_its_own_session() {
    let server = Server::start("");
    let (mut bystander, _) = server.session();
    for said in [
        "ping 1\n".to_owned(),
        format!("{:<63}\n", "shout"),
        format!("{:<63}\n", "speak 0123456789abcdef 11 50"),
        format!("{:<63}\n", "ping 99999999999"),
        "x".repeat(1_000),
        "\n".repeat(64),
    ] {
        let mut control = server.control();
        control.write_all(said.as_bytes()).unwrap();
        assert!(is_closed(&mut control), "{said:?}");
    }
    bystander.write_all(b"here").unwrap();
    bystander.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(server.end().1["ended"]["malformed"], 6);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let server = Server::start("");
    let (mut deaf, _) = server.session();
    let (mut bystander, _) = server.session();
    deaf.set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut sent = 0_usize;
    let much = vec![0; 65_536];
    while let Ok(written) = deaf.write(&much) {
        sent += written;
        assert!(sent < 1 << 30, "it takes for ever");
    }
    bystander.write_all(b"here").unwrap();
    bystander.read_exact(&mut [0; 4]).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(kilobytes < 50_000, "{kilobytes} kB");
}

#[test]
fn limits_are_kept() {
    let mut server = Server::start("--max-sessions 3 --max-sessions-per-client 2");
    let first = server.session();
    let _second = server.session();
    assert!(server.refuses());
    assert_eq!(
        server.event("refused")["outcome"],
        "max-sessions-per-client"
    );
    drop(first);
    server.event("ended");
    let _third = server.session();

    let mut server = Server::start("--max-sessions 1");
    let _first = server.session();
    assert!(server.refuses());
    assert_eq!(server.event("refused")["outcome"], "max-sessions");

    let mut server = Server::start("--allow 192.0.2.0/24 --allow 2001:db8::/32");
    assert!(server.refuses());
    assert_eq!(server.event("refused")["outcome"], "not-allowed");

    let server = Server::start("--max-session-age 300ms");
    let (mut session, _) = server.session();
    let start = Instant::now();
    assert!(is_closed(&mut session));
    assert!(start.elapsed() >= Duration::from_millis(250));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn a_reset_is_seen() {
    let mut server = Server::start("");
    let (session, token) = server.session();
    let mut control = server.control();
    socket2::SockRef::from(&session)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(session);
    assert_eq!(server.event("ended")["outcome"], "reset");
    assert_eq!(
        ask(&mut control, &format!("speak {token} 1 50")),
        format!("unknown {token}")
    );
}

#[test]
fn without_descriptors_it_waits_and_goes_on() {
    let mut limited = std::process::Command::new("sh");
    limited
        .args([
            "-c",
            "ulimit -n 48; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_kalive"),
        ])
        .args(["serve", "--listen", "127.0.0.1:0", "-o", "ndjson"])
        .stdout(Stdio::piped());
    let mut child = limited.spawn().unwrap();
    let events = BufReader::new(child.stdout.take().unwrap());
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut server = Server {
        child,
        events,
        address,
    };
    let listening = server.event("listening");
    assert_eq!(
        listening["max_sessions"], 16,
        "it says how many it has room for"
    );
    server.address = listening["address"].as_str().unwrap().parse().unwrap();
    let held: Vec<_> = (0..16).map(|_| server.session()).collect();
    assert!(server.refuses());
    drop(held);
    for _ in 0..16 {
        server.event("ended");
    }
    server.session();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let server = Server::start("");
    let again = format!("serve --listen {}", server.address);
    let output = common::run(&again);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&format!("listen on {}: Address", server.address)),
        "{said}"
    );
}

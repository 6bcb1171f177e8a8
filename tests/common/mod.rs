//! What the tests of the command line share: running the binary, and connections in every state.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this; a test may panic"
)]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use nix::sys::signal::{SigHandler, Signal, signal};
use serde_json::Value;

/// The binary under test, with an environment and signals that do not depend on who runs the tests: in the
/// background of a script, SIGINT would be ignored.
#[expect(unsafe_code, reason = "std does not reset what is ignored")]
pub fn kalive() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalive"));
    command
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env_remove("KALIVE_UPDATE");
    let reset = || {
        for heard in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            // SAFETY: SIG_DFL is no function that could be called.
            unsafe { signal(heard, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes system calls only.
    unsafe { command.pre_exec(reset) };
    command
}

/// Runs `kalive` with words separated by spaces.
pub fn run(line: &str) -> Output {
    kalive().args(line.split_whitespace()).output().unwrap()
}

/// Runs it, expects exit 0, and gives what it printed.
pub fn stdout(line: &str) -> String {
    let output = run(line);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "kalive {line}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs it with `-o json` and parses the document.
pub fn json(line: &str) -> Value {
    serde_json::from_str(&stdout(&format!("{line} -o json"))).unwrap()
}

/// The sockets of a JSON report.
pub fn sockets(report: &Value) -> &Vec<Value> {
    report["sockets"].as_array().unwrap()
}

/// A connection over loopback, both ends in this process.
pub struct Connection {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Connection {
    pub fn to(listener: &TcpListener) -> Self {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        Self { client, server }
    }

    /// The client's own address, which tells this connection from all others.
    pub fn client_address(&self) -> SocketAddr {
        self.client.local_addr().unwrap()
    }

    /// Closes the client and waits until the server has seen it.
    pub fn close_client(self) -> TcpStream {
        drop(self.client);
        let mut server = self.server;
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        server
    }

    /// Sends until nothing more fits, so that data stays in flight.
    pub fn stuff(&mut self) {
        self.client.set_nonblocking(true).unwrap();
        while self.client.write(&[0; 8_192]).is_ok() {}
    }
}

/// A listener on a free port.
pub fn listener(address: impl Into<IpAddr>) -> TcpListener {
    TcpListener::bind((address.into(), 0)).unwrap()
}

/// Makes a listener leave connections that send nothing as requests in its queue, for two minutes.
#[expect(unsafe_code, reason = "neither socket2 nor nix sets TCP_DEFER_ACCEPT")]
pub fn defer_accept(listener: &impl AsFd) {
    let seconds: libc::c_int = 120;
    // SAFETY: the option's value is an int, which lives across the call.
    let result = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            4,
        )
    };
    assert_eq!(result, 0);
}

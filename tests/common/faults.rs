//! Faults that a test can have at will: system calls that fail, limits, a deadline.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this; a test may panic"
)]

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A system call that fails with this error number, always or only for one value of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub call: libc::c_long,
    /// The number of the argument, and the value.
    pub only: Option<(u32, libc::c_int)>,
    pub errno: libc::c_int,
}

impl Refusal {
    pub fn of(call: libc::c_long, errno: libc::c_int) -> Self {
        let only = None;
        Self { call, only, errno }
    }
}

/// Makes system calls of `command` fail, as the seccomp filter of a container does.
pub fn refuse(command: &mut Command, refusals: &[Refusal]) {
    let mut program = filter(refusals);
    #[expect(
        unsafe_code,
        reason = "there is no safe way to act between fork and exec"
    )]
    // SAFETY: only prctl is called, with a program that lives across the call.
    unsafe {
        command.pre_exec(move || {
            let filter = libc::sock_fprog {
                len: u16::try_from(program.len()).unwrap_or_default(),
                filter: program.as_mut_ptr(),
            };
            let on: libc::c_ulong = 1;
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const filter) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// The program for the kernel: linux/seccomp.h, linux/filter.h.
fn filter(refusals: &[Refusal]) -> Vec<libc::sock_filter> {
    const ARGUMENTS: u32 = 16;
    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    let statement = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load = |offset| statement(0x20, 0, 0, offset);
    let skip_unless = |value, count| statement(0x15, 0, count, value);
    let end = |verdict| statement(0x06, 0, 0, verdict);
    let mut program = Vec::new();
    for refusal in refusals {
        let refused = end(ERRNO | refusal.errno.cast_unsigned());
        let number = u32::try_from(refusal.call).unwrap();
        program.push(load(0));
        match refusal.only {
            None => program.extend([skip_unless(number, 1), refused]),
            Some((argument, value)) => program.extend([
                skip_unless(number, 3),
                load(ARGUMENTS + 8 * argument),
                skip_unless(value.cast_unsigned(), 1),
                refused,
            ]),
        }
    }
    program.push(end(ALLOW));
    program
}

/// `kalive` by a shell, which does `before`, such as `ulimit -n 9`, and then redirects as `redirections` say.
pub fn shell(before: &str, arguments: &str, redirections: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!(
            "{before}\nexec \"$KALIVE\" {arguments} {redirections}"
        ))
        .env("KALIVE", env!("CARGO_BIN_EXE_kalive"))
        .stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub errors: String,
}

impl Ended {
    /// The document that is printed: whole, or nothing at all.
    pub fn document(&self) -> Option<Value> {
        let text = self.stdout.as_str();
        (!text.is_empty())
            .then(|| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {self:?}")))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs it, for so long at most.
pub fn run_within(command: &mut Command, time: Duration) -> Ended {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish_within(piped.spawn().unwrap(), time)
}

/// Waits for its end, for so long at most, and takes what it prints.
pub fn finish_within(child: Child, time: Duration) -> Ended {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (over, is_over) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let late = is_over.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            kill(pid, Signal::SIGKILL).unwrap();
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    drop(over);
    assert!(!watchdog.join().unwrap(), "still running: {output:?}");
    let ended = Ended::from(output);
    assert!(!ended.errors.contains("panicked"), "{ended:?}");
    ended
}

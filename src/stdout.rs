//! Standard output as the process was given it; part of the binary. The standard library opens /dev/null in
//! the place of a closed one before `main`, and takes EBADF for success: results that nobody can ever read
//! would count as written.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd, write};
use rustix::stdio::stdout;

/// Written once, before `main`.
static CLOSED: AtomicBool = AtomicBool::new(false);

#[expect(
    unsafe_code,
    reason = "only what runs before the standard library can tell that standard output was closed"
)]
// SAFETY: the loader calls the functions of .init_array one after the other before `main`, and this one makes a
// system call and stores a number: it needs nothing of the standard library.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    CLOSED.store(fcntl_getfd(stdout()) == Err(Errno::BADF), Ordering::Relaxed);
}

/// Standard output, unbuffered. A write to a closed one fails.
#[derive(Debug)]
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if CLOSED.load(Ordering::Relaxed) {
            return Err(Errno::BADF.into());
        }
        Ok(write(stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

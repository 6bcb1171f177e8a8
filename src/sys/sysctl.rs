//! Sysctl values below a /proc directory. /proc/sys/net is that of the network namespace of whoever
//! opens it.

use std::io;
use std::path::Path;

/// A number from `proc`/sys/`name`; `None` where the kernel has no such sysctl.
///
/// # Errors
/// When it exists and cannot be read, or does not hold a number.
pub(crate) fn number(proc: &Path, name: &str) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(proc.join("sys").join(name)) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("'{}' is not a number", text.trim()),
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

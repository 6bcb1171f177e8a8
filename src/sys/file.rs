//! Files below /proc, or below a copy of it that may come from anybody: opened without waiting, and read without
//! going on for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Longer than any single value or line that is read whole.
const LONGEST: u64 = 4_096;

/// Opens a regular file; a pipe or a device is refused.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Who opens a pipe would wait for its other end.
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let message = "it is not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// The beginning of a short file, which is all of it.
pub(crate) fn read_short(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = open(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
        let long = directory.path().join("long");
        File::create(&long).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_short(&long).unwrap().len(), 4_096);
        assert!(read_short(Path::new("/proc/self/stat")).is_ok());
    }
}

//! Files that others read at any moment: written beside their place, then put there at once.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{During as _, Error, Result};

/// Replaces `path` by what `write` writes. On failure the old file stays, and nothing else.
pub(crate) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let beside = beside(path)?;
    let written = File::options()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()?;
            // Else a crash may leave an empty file in the place of the old one.
            file.get_ref().sync_all()
        })
        .during(|| format!("write {}", beside.display()));
    let replaced = written.and_then(|()| {
        fs::rename(&beside, path).during(|| format!("rename to {}", path.display()))
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced
}

/// Whether `path` could be replaced now: what takes hours should not fail at its end for that.
pub(crate) fn check(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::Usage(format!(
            "{} is a directory: name a file in it",
            path.display()
        )));
    }
    let beside = beside(path)?;
    File::options()
        .write(true)
        .create_new(true)
        .open(&beside)
        .and_then(|_| fs::remove_file(&beside))
        .during(|| format!("write {}", path.display()))
}

/// A name in the same directory that no collector takes for one of its own.
fn beside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::Usage(format!(
            "{} is not the path of a file that can be written",
            path.display()
        ))
    })?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kalive.prom");
        replace(&path, |file| file.write_all(b"one")).unwrap();
        let failed = replace(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("full"))
        });
        assert!(failed.unwrap_err().to_string().contains("full"));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, |file| file.write_all(b"two")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(replace(Path::new("/"), |_| Ok(())).is_err());
    }

    #[test]
    fn what_cannot_be_replaced_is_known_beforehand() {
        let directory = tempfile::tempdir().unwrap();
        check(&directory.path().join("new.svg")).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        for wrong in [directory.path(), &directory.path().join("no/such.svg")] {
            assert!(check(wrong).is_err(), "{}", wrong.display());
        }
    }
}

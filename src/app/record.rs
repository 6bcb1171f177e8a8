//! The record of a long run: a file of whole lines. That one cannot be written any more is told at once, and the
//! run goes on: what it is after is the report.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::warn;
use crate::error::{During as _, Result};

pub(super) struct Record {
    path: PathBuf,
    /// `None` once something could not be written.
    file: Option<File>,
    /// How long the whole lines are together.
    length: u64,
}

impl Record {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).during(|| format!("create {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: Some(file),
            length: 0,
        })
    }

    /// Appends what `write` writes.
    pub(super) fn add(
        &mut self,
        err: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) {
        let Some(file) = &mut self.file else {
            return;
        };
        let mut lines = Vec::new();
        match write(&mut lines).and_then(|()| file.write_all(&lines)) {
            Ok(()) => self.length += u64::try_from(lines.len()).unwrap_or(u64::MAX),
            Err(error) => {
                // No half a line; of a pipe nothing can be taken back.
                let _ = file.set_len(self.length);
                self.file = None;
                let path = self.path.display();
                warn(
                    err,
                    &format!(
                        "write {path}: {error}: the record ends here, the measurement goes on"
                    ),
                );
            }
        }
    }

    /// Whether everything has been written.
    pub(super) fn is_whole(&self) -> bool {
        self.file.is_some()
    }
}

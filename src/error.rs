//! The library's one error type: what was attempted, on what, and why it failed.
//! A dead peer or a connection at risk is a result, never an error.

use std::io;

/// Why kalive could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused an operation.
    #[error("{operation}: {cause}")]
    System {
        /// What was attempted and on which object, in the words of the kernel's interface.
        operation: String,
        /// What the system answered.
        cause: io::Error,
    },
    /// The call itself is wrong: says what is wrong and what would be right.
    #[error("{0}")]
    Usage(String),
    /// This machine cannot do it: says what is missing and the remedy.
    #[error("{0}")]
    Unsupported(String),
    /// The result could not be written.
    #[error("cannot write the result: {0}")]
    Output(io::Error),
}

/// The library's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Adds to a system error what was attempted.
pub(crate) trait During<T> {
    /// Names the operation and its object; only evaluated on failure.
    fn during<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during<S: Into<String>>(self, operation: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| Error::System {
            operation: operation().into(),
            cause: error.into(),
        })
    }
}

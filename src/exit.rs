//! The exit codes that scripts rely on.

use std::process::ExitCode;

use crate::sys::signals::Interrupt;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked holds: 0.
    Holds,
    /// The answer is negative: 1.
    Negative,
    /// It could not be measured, or the call was wrong: 2.
    Failed,
    /// Ended by a signal, with the report so far: 130 (SIGINT) or 143 (SIGTERM).
    Interrupted(Interrupt),
    /// That of the command that was run.
    Command(u8),
}

impl Exit {
    /// The number the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Negative => 1,
            Self::Failed => 2,
            Self::Interrupted(Interrupt::Interrupted) => 130,
            Self::Interrupted(Interrupt::Terminated) => 143,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_promises() {
        assert_eq!(Exit::Holds.code(), 0);
        assert_eq!(Exit::Negative.code(), 1);
        assert_eq!(Exit::Failed.code(), 2);
        assert_eq!(Exit::Interrupted(Interrupt::Interrupted).code(), 130);
        assert_eq!(Exit::Interrupted(Interrupt::Terminated).code(), 143);
    }
}

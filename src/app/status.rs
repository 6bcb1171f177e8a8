//! How a long run goes, told on stderr: on a terminal in one line that changes, in a log by a line now and then.

use std::io::{self, Write};
use std::time::Duration;

use super::warn;

/// A log takes no more lines than one in this time.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

pub(super) enum Status {
    Silent,
    /// One line, and whether it has been begun.
    Line(bool),
    /// Lines, and when the last one was written.
    Log(Duration),
}

impl Status {
    pub(super) fn new(wanted: bool, terminal: bool) -> Self {
        match (wanted, terminal) {
            (false, _) => Self::Silent,
            (true, true) => Self::Line(false),
            (true, false) => Self::Log(Duration::ZERO),
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Silent)
    }

    /// How it goes after so much time.
    pub(super) fn show(&mut self, err: &mut dyn Write, elapsed: Duration, text: &str) {
        match self {
            Self::Silent => {}
            Self::Line(begun) => {
                *begun = true;
                let _: io::Result<()> = write!(err, "\r{text}\x1b[K");
            }
            Self::Log(last) => {
                if elapsed.saturating_sub(*last) >= BETWEEN_LINES {
                    *last = elapsed;
                    warn(err, text);
                }
            }
        }
    }

    /// What comes next begins on a line of its own.
    pub(super) fn close(&mut self, err: &mut dyn Write) {
        if let Self::Line(begun @ true) = self {
            *begun = false;
            let _: io::Result<()> = writeln!(err);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mut status: Status) -> String {
        let mut err = Vec::new();
        for second in 0..=61 {
            let text = format!("{second} s");
            status.show(&mut err, Duration::from_secs(second), &text);
        }
        status.close(&mut err);
        String::from_utf8(err).unwrap()
    }

    #[test]
    fn a_log_gets_a_line_now_and_then_without_control_characters() {
        assert_eq!(
            said(Status::new(true, false)),
            "kalive: 30 s\nkalive: 60 s\n"
        );
    }

    #[test]
    fn a_terminal_sees_each_in_place() {
        let said = said(Status::new(true, true));
        assert!(said.starts_with("\r0 s\x1b[K\r1 s\x1b[K"), "{said:?}");
        assert!(said.ends_with("\r61 s\x1b[K\n"), "{said:?}");
        assert_eq!(super::tests::said(Status::new(false, true)), "");
    }
}

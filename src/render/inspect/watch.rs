//! One round of a watch on a terminal: a frame of lines that fit, drawn over the one before it. Lines that
//! were not in the frame before are marked.

use std::collections::HashSet;
use std::io::{self, Write};

use unicode_width::UnicodeWidthChar as _;

/// Clears the screen and hides the cursor.
const OPEN: &str = "\x1b[2J\x1b[?25l";
/// Back to the first line.
const HOME: &str = "\x1b[H";
/// Clears the rest of the line.
const REST_OF_LINE: &str = "\x1b[K";
/// Clears what is below.
const REST_OF_SCREEN: &str = "\x1b[J";
const SHOW_CURSOR: &str = "\x1b[?25h";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";
/// What is before a line: changed, or not.
const MARKS: [&str; 2] = ["~ ", "  "];
/// How many columns those take.
pub(crate) const MARK_WIDTH: usize = 2;

/// A line, and what it is compared by: times that run change no socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// `None`: never marked.
    pub(crate) identity: Option<String>,
}

/// The screen.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: bool,
    before: HashSet<String>,
}

impl Screen {
    /// Draws a frame.
    pub(crate) fn draw(
        &mut self,
        out: &mut dyn Write,
        lines: &[Line],
        (width, height): (usize, usize),
        colored: bool,
    ) -> io::Result<()> {
        if !self.drawn {
            out.write_all(OPEN.as_bytes())?;
        }
        out.write_all(HOME.as_bytes())?;
        // The last line of the screen stays free: a line feed there would scroll.
        let room = height.saturating_sub(1);
        let shown = if lines.len() > room {
            room.saturating_sub(1)
        } else {
            lines.len()
        };
        for line in lines.iter().take(shown) {
            let is_new = |identity: &String| self.drawn && !self.before.contains(identity);
            let changed = line.identity.as_ref().is_some_and(is_new);
            let [mark, unmarked] = MARKS;
            let text = fitting(&line.text, width.saturating_sub(MARK_WIDTH));
            match (changed, colored) {
                (true, true) => write!(out, "{BOLD}{mark}{text}{PLAIN}")?,
                (true, false) => write!(out, "{mark}{text}")?,
                (false, _) => write!(out, "{unmarked}{text}")?,
            }
            write!(out, "{REST_OF_LINE}\r\n")?;
        }
        let hidden = lines.len() - shown;
        if hidden > 0 && room > 0 {
            let more = format!("({hidden} more lines)");
            let more = fitting(&more, width.saturating_sub(MARK_WIDTH));
            write!(out, "  {more}{REST_OF_LINE}\r\n")?;
        }
        out.write_all(REST_OF_SCREEN.as_bytes())?;
        self.drawn = true;
        self.before = lines
            .iter()
            .filter_map(|line| line.identity.clone())
            .collect();
        out.flush()
    }

    /// Leaves the terminal as it was, below the last frame.
    pub(crate) fn close(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.drawn {
            out.write_all(SHOW_CURSOR.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }
}

/// As much of the text as fits.
fn fitting(text: &str, width: usize) -> &str {
    let mut used = 0;
    let beyond = text.char_indices().find(|(_, character)| {
        used += character.width().unwrap_or(0);
        used > width
    });
    beyond.map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, identity: &str) -> Line {
        Line {
            text: text.to_owned(),
            identity: Some(identity.to_owned()),
        }
    }

    fn drawn(screen: &mut Screen, lines: &[Line], size: (usize, usize)) -> String {
        let mut out = Vec::new();
        screen.draw(&mut out, lines, size, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_changed_is_marked() {
        let mut screen = Screen::default();
        let first = drawn(
            &mut screen,
            &[line("a 1s", "a"), line("b 1s", "b")],
            (80, 24),
        );
        assert!(
            first.starts_with("\x1b[2J\x1b[?25l\x1b[H  a 1s\x1b[K\r\n  b 1s"),
            "{first:?}"
        );
        let second = drawn(
            &mut screen,
            &[line("a 2s", "a"), line("c 1s", "c")],
            (80, 24),
        );
        assert_eq!(second, "\x1b[H  a 2s\x1b[K\r\n~ c 1s\x1b[K\r\n\x1b[J");
    }

    #[test]
    fn a_frame_fits_the_screen() {
        let lines: Vec<Line> = (0..50)
            .map(|n| line(&"wide ".repeat(30), &n.to_string()))
            .collect();
        for height in [1, 2, 3, 10] {
            let frame = drawn(
                &mut Screen {
                    drawn: true,
                    ..Screen::default()
                },
                &lines,
                (20, height),
            );
            assert!(
                frame.matches("\r\n").count() < height.max(1),
                "{height}: {frame:?}"
            );
            for text in frame.split("\r\n") {
                let text = text
                    .replace(HOME, "")
                    .replace(REST_OF_LINE, "")
                    .replace(REST_OF_SCREEN, "");
                assert!(text.len() <= 20, "{text:?}");
            }
        }
        assert!(drawn(&mut Screen::default(), &lines, (80, 10)).contains("(42 more lines)"));
    }
}

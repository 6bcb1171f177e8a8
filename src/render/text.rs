//! Small pieces of text that every command shows alike: durations, and names from outside.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A duration in its two largest units, for narrow columns: `2h 11m`, `1m 15s`, `12.3s`, `250ms`. Rounded down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brief(pub(crate) Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let tenths = self.0.subsec_millis() / 100;
        let (large, unit, small, part) = match seconds {
            0 => return write!(f, "{}ms", self.0.as_millis()),
            1..60 if tenths > 0 => return write!(f, "{seconds}.{tenths}s"),
            1..60 => return write!(f, "{seconds}s"),
            60..3_600 => (seconds / 60, 'm', seconds % 60, 's'),
            3_600..86_400 => (seconds / 3_600, 'h', seconds % 3_600 / 60, 'm'),
            _ => (seconds / 86_400, 'd', seconds % 86_400 / 3_600, 'h'),
        };
        write!(f, "{large}{unit}")?;
        if small == 0 {
            Ok(())
        } else {
            write!(f, " {small}{part}")
        }
    }
}

/// A duration in full: `2h 11m 15s`, rounded up to seconds from a minute on, to milliseconds below.
pub(crate) fn full(duration: Duration) -> humantime::FormattedDuration {
    let unit = if duration < Duration::from_secs(60) {
        1_000_000
    } else {
        1_000_000_000
    };
    let units = duration.as_nanos().div_ceil(unit);
    let seconds = u64::try_from(units * unit / 1_000_000_000).unwrap_or(u64::MAX);
    // What is left is below a billion.
    let below = u32::try_from(units * unit % 1_000_000_000).unwrap_or_default();
    humantime::format_duration(Duration::new(seconds, below))
}

/// A measured time to the hundredth of a second, from an hour on to the second: `4.90s`, `5m 49.99s`,
/// `2h 11m 15s`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measured {
    /// Not before this: rounded down.
    AtLeast(Duration),
    /// Not after this: rounded up.
    AtMost(Duration),
    /// Rounded to the nearest.
    About(Duration),
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::AtLeast(time) | Self::AtMost(time) | Self::About(time)) = *self;
        let unit = if time.as_secs() < 3_600 { 10 } else { 1_000 };
        let units = match self {
            Self::AtLeast(_) => time.as_millis() / unit,
            Self::AtMost(_) => time.as_nanos().div_ceil(unit * 1_000_000),
            Self::About(_) => (time.as_millis() + unit / 2) / unit,
        };
        let (seconds, below) = (units * unit / 1_000, units * unit % 1_000 / 10);
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        let text = match (unit, hours, minutes) {
            (10, 0, 0) => format!("{seconds}.{below:02}s"),
            (10, 0, _) => format!("{minutes}m {}.{below:02}s", seconds % 60),
            _ => format!("{hours}h {minutes}m {}s", seconds % 60),
        };
        f.pad(&text)
    }
}

/// Appends text that comes from outside with what a terminal obeys escaped.
pub(crate) fn push_escaped(target: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() || turns_or_breaks(character) {
            let _ = write!(target, "{}", character.escape_default());
        } else {
            target.push(character);
        }
    }
}

/// Characters that are no controls to Unicode and yet change where others stand: the marks, embeddings, overrides
/// and isolates of UAX 9, and the separators of lines and paragraphs.
fn turns_or_breaks(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    #[test]
    fn brief_durations() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (12_390, "12.3s"),
            (59_999, "59.9s"),
            (75_000, "1m 15s"),
            (3_600_000, "1h"),
            (7_199_999, "1h 59m"),
            (432_000_000, "5d"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(Brief(Duration::from_millis(milliseconds)).to_string(), text);
        }
    }

    #[test]
    fn full_durations() {
        assert_eq!(full(Duration::from_secs(7_875)).to_string(), "2h 11m 15s");
        assert_eq!(
            full(Duration::from_nanos(1_500_000_001)).to_string(),
            "1s 501ms"
        );
        assert_eq!(
            full(Duration::from_millis(8_024_504)).to_string(),
            "2h 13m 45s"
        );
        let _longest_does_not_panic = full(Duration::MAX).to_string();
    }

    /// Nothing that a terminal obeys is left: no control character, and none that turns the direction of text.
    #[test]
    fn hostile_names() {
        let names = [
            "nginx",
            "a\x1b[2Jb\n",
            "\u{202e}gpj.exe",
            "é\u{9b}\u{200f}\u{2066}x\u{feff}",
        ];
        attack_text(&names, |name| {
            let mut shown = String::new();
            push_escaped(&mut shown, name);
            let obeyed = |character: char| {
                character.is_control()
                    || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!shown.contains(obeyed), "{shown:?}");
            let mut again = String::new();
            push_escaped(&mut again, &shown);
            assert_eq!(again, shown);
        });
    }

    #[test]
    fn measured_times_never_promise_more_than_was_measured() {
        let time = Duration::from_millis;
        for (shown, text) in [
            (Measured::AtLeast(time(4_909)), "4.90s"),
            (Measured::AtMost(time(4_901)), "4.91s"),
            (Measured::AtMost(time(5_000)), "5.00s"),
            (Measured::About(time(4_906)), "4.91s"),
            (Measured::AtLeast(time(349_999)), "5m 49.99s"),
            (Measured::AtMost(time(59_999)), "1m 0.00s"),
            (Measured::AtMost(time(3_599_999)), "1h 0m 0s"),
            (Measured::AtMost(time(7_199_001)), "2h 0m 0s"),
            (Measured::AtLeast(time(7_875_999)), "2h 11m 15s"),
            (Measured::AtMost(Duration::from_nanos(1)), "0.01s"),
            (Measured::AtLeast(Duration::MAX), "5124095576030431h 0m 15s"),
        ] {
            assert_eq!(shown.to_string(), text);
        }
        assert_eq!(format!("{:>8}", Measured::About(time(1_000))), "   1.00s");
    }

    #[test]
    fn outside_text_cannot_move_the_cursor() {
        let mut text = String::new();
        push_escaped(&mut text, "a\x1b[2Jb\nc\u{9b}d");
        assert_eq!(text, "a\\u{1b}[2Jb\\nc\\u{9b}d");
    }
}

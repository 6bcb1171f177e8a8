//! Value parsers: from the text of a flag to a value, or to an error that says what would be right.

use std::time::Duration;

/// A duration such as `90s`, `5m`, `1h 30m` or `250ms`.
///
/// # Errors
/// What is wrong with the text, and how to write it. A bare number is refused: it has no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        let number = text.trim();
        let with_unit = format!("{number}s");
        if humantime::parse_duration(&with_unit).is_ok() {
            return format!("a unit is missing: write {with_unit}, {number}m or {number}ms");
        }
        let wrong = match error {
            // humantime would list every unit that it knows.
            humantime::DurationError::UnknownUnit { unit, .. } => format!("'{unit}' is no unit"),
            other => other.to_string(),
        };
        format!("{wrong}: write it like 90s, 5m, 1h 30m or 250ms")
    })
}

/// A duration that is not zero.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn positive(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.is_zero() {
        Err(String::from("it must be longer than 0s"))
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    /// What is understood can be printed, and is the same again; and what is advised can be written.
    #[test]
    fn hostile_durations() {
        attack_text(
            &["90s", "1h 30m", "250ms", "7200", "1.5s", "2days 3us"],
            |text| match duration(text) {
                Ok(duration) => {
                    let printed = humantime::format_duration(duration).to_string();
                    assert_eq!(super::duration(&printed), Ok(duration), "{printed}");
                }
                Err(advice) => {
                    let advised = advice.strip_prefix("a unit is missing: write ");
                    if let Some((advised, _)) = advised.and_then(|advised| advised.split_once(','))
                    {
                        assert!(duration(advised).is_ok(), "{advised}");
                    }
                }
            },
        );
    }

    #[test]
    fn durations() {
        for (text, milliseconds) in [("90s", 90_000), ("1h 30m", 5_400_000), ("250ms", 250)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        let error = duration("90").unwrap_err();
        assert!(duration("NaN").unwrap_err().contains("write it like"));
        assert!(error.contains("write 90s"), "{error}");
        for text in [
            "",
            "1.5",
            "-3s",
            "5 parsecs",
            "NaN",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

//! Value parsers: from the text of a flag to a value, or to an error that says what would be right.

use std::time::Duration;

/// A duration such as `90s`, `5m`, `1h 30m` or `250ms`.
///
/// # Errors
/// What is wrong with the text, and how to write it. A bare number is refused: it has no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.trim().parse::<f64>().is_ok() {
        let number = text.trim();
        return Err(format!(
            "a unit is missing: write {number}s, {number}m or {number}ms"
        ));
    }
    humantime::parse_duration(text).map_err(|error| {
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

    #[test]
    fn durations() {
        for (text, milliseconds) in [("90s", 90_000), ("1h 30m", 5_400_000), ("250ms", 250)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        let error = duration("90").unwrap_err();
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

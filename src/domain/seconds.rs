//! Durations as JSON numbers of seconds. Fields that use it end in `_s`.

use std::time::Duration;

use serde::Serializer;

/// A duration as a number of seconds.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// The same for a value that may be unknown: `null`.
pub mod optional {
    use std::time::Duration;

    use serde::{Serialize, Serializer};

    /// A duration as a number of seconds, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration
            .map(|duration| duration.as_secs_f64())
            .serialize(serializer)
    }
}

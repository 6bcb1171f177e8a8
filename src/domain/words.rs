//! Words that depend on numbers, for all who write sentences.

use std::fmt::Display;

/// `1 connection`, `2 connections`.
pub(crate) fn counted(count: impl Display + PartialEq + From<u8> + Copy, noun: &str) -> String {
    let plural = if count == 1.into() { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1_u64, "session"), "1 session");
        assert_eq!(counted(0_u64, "session"), "0 sessions");
    }
}

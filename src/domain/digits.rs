//! Numbers in text from outside: digits and nothing else. The standard parsers take a sign too.

use std::str::FromStr;

/// A decimal number that fits.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A hexadecimal number that fits.
pub(crate) fn hexadecimal<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits)?;
    number.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_only() {
        assert_eq!(decimal("0255"), Some(255_u8));
        assert_eq!(hexadecimal("00fF"), Some(255_u8));
        for text in ["", "+1", "-1", " 1", "1 ", "256", "1_0", "\u{661}"] {
            assert_eq!(decimal::<u8>(text), None, "{text}");
        }
        for text in ["", "+1", "-1", "0x1", "100", "fffffffffffffffff"] {
            assert_eq!(hexadecimal::<u8>(text), None, "{text}");
        }
    }
}

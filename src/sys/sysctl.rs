//! Sysctl values below a /proc directory. /proc/sys/net is that of the network namespace of whoever
//! opens it.

use std::io;
use std::path::Path;

use super::file;
use crate::domain::digits::decimal;

/// A number from `proc`/sys/`name`; `None` where the kernel has no such sysctl.
///
/// # Errors
/// When it exists and cannot be read, or does not hold a number.
pub(crate) fn number(proc: &Path, name: &str) -> io::Result<Option<u64>> {
    match file::read_short(&proc.join("sys").join(name)) {
        Ok(text) => parse(&String::from_utf8_lossy(&text)).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> io::Result<u64> {
    let text = text.trim();
    decimal(text).ok_or_else(|| {
        let message = format!("'{text}' is not a number");
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack_text;

    #[test]
    fn hostile_values() {
        attack_text(&["7200\n", "0", "4294967295\n", "32768\t60999\n"], |text| {
            let expected = text.trim();
            let is_number =
                !expected.is_empty() && expected.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = parse(text).ok();
            assert_eq!(parsed, expected.parse().ok().filter(|_| is_number));
        });
    }
}

//! What /proc/PID/stat (proc_pid_stat(5)) tells of a process, as far as it is needed here.

use std::io;
use std::path::Path;

use super::file;
use crate::domain::digits::decimal;

/// Where the number of threads is, counted from what stands behind the name.
const THREADS: usize = 17;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// What it calls itself, without its arguments.
    pub(crate) name: String,
    pub(crate) threads: u32,
}

/// Of the process whose directory this is.
pub(crate) fn stat(directory: &Path) -> io::Result<Stat> {
    parse(&file::read_short(&directory.join("stat"))?)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The name may have anything in it, parentheses too; behind it there are none.
fn parse(text: &[u8]) -> Option<Stat> {
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let fields = text.get(close + 1..)?.strip_prefix(b" ")?;
    let fields = str::from_utf8(fields).ok()?;
    Some(Stat {
        name: String::from_utf8_lossy(text.get(open + 1..close)?).into_owned(),
        threads: decimal(fields.split_ascii_whitespace().nth(THREADS)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hostile::attack;

    #[test]
    fn this_process() {
        let own = stat(Path::new("/proc/self")).unwrap();
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(own.name, name.trim_end());
        assert!(own.threads >= 1);
    }

    #[test]
    fn hostile_descriptions() {
        let long = "812 (nginx: (worker) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 9 18 19\n";
        let found = parse(long.as_bytes()).unwrap();
        assert_eq!((&*found.name, found.threads), ("nginx: (worker", 9));
        let none: [&[u8]; 3] = [b"812)(", b"(nginx)", b"1 (a) b) S 1 2"];
        assert_eq!(none.map(parse), [None, None, None]);
        attack(&[long.as_bytes(), none[0], none[1], none[2]], |text| {
            if let Some(stat) = parse(text) {
                let text = String::from_utf8_lossy(text);
                assert!(text.contains(&format!("({})", stat.name)), "{stat:?}");
                let fields = &text[text.rfind(')').unwrap()..];
                let threads = fields.split_ascii_whitespace().nth(THREADS + 1);
                assert_eq!(threads.unwrap().parse(), Ok(stat.threads));
            }
        });
    }
}

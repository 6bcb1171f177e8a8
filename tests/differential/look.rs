//! All TCP sockets of the calling thread's namespace as `kalive` and others tell them, in one form.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{sockets, stdout};
use crate::ss;

/// What a tool told, and when it ran.
pub(crate) struct Look {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// By their cookies.
    pub(crate) rows: BTreeMap<u64, Row>,
}

/// The same before it is read: another look may follow at once.
pub(crate) struct Said {
    began: Instant,
    ended: Instant,
    read: Box<dyn FnOnce() -> Vec<(u64, Row)>>,
}

/// A socket. What differs between the tools only in form is the same here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) fixed: Fixed,
    pub(crate) timer: Timer,
    /// Milliseconds since data was sent, data was received, and an ACK was received.
    pub(crate) since: Option<[u64; 3]>,
}

/// What does not change while nobody does anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fixed {
    pub(crate) state: String,
    pub(crate) local: SocketAddr,
    /// None of a listener.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) receive_queue: u64,
    pub(crate) send_queue: u64,
    pub(crate) uid: u64,
    /// 0 where there is none.
    pub(crate) inode: u64,
    /// Process, descriptor, name; none from who does not tell.
    pub(crate) holders: Option<Vec<(u64, u64, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timer {
    pub(crate) kind: String,
    /// Milliseconds, as exactly as they were told; none if no timer runs.
    pub(crate) left: Option<RangeInclusive<u64>>,
    pub(crate) count: u64,
}

impl Said {
    /// Looks with `look`, whose answer is read with `read` later.
    pub(crate) fn by<T: 'static>(
        look: impl FnOnce() -> T,
        read: impl FnOnce(T) -> Vec<(u64, Row)> + 'static,
    ) -> Self {
        let began = Instant::now();
        let said = look();
        let ended = Instant::now();
        Self {
            began,
            ended,
            read: Box::new(|| read(said)),
        }
    }

    pub(crate) fn by_kalive_in_json() -> Self {
        Self::by(
            || stdout("inspect -s --state all -o json"),
            |text| {
                let report = serde_json::from_str(&text).unwrap();
                sockets(&report).iter().map(kalives_row).collect()
            },
        )
    }

    pub(crate) fn by_kalive_in_ndjson() -> Self {
        Self::by(
            || stdout("inspect -s --state all -o ndjson"),
            |text| {
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap())
                    .filter(|event| event["event"] == "socket")
                    .map(|event| kalives_row(&event))
                    .collect()
            },
        )
    }

    /// None where there is no ss.
    pub(crate) fn by_ss() -> Option<Self> {
        let mut ss = Command::new("ss");
        ss.arg("-tanoiepOH").stdout(Stdio::piped());
        let child = match ss.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            child => child.unwrap(),
        };
        Some(Self::by(
            || child.wait_with_output().unwrap(),
            |output| {
                assert!(output.status.success(), "{output:?}");
                let text = str::from_utf8(&output.stdout).unwrap();
                text.lines().map(ss::row).collect()
            },
        ))
    }

    pub(crate) fn read(self) -> Look {
        let all = (self.read)();
        let told = all.len();
        let rows: BTreeMap<_, _> = all.into_iter().collect();
        assert_eq!(rows.len(), told, "no cookie twice");
        Look {
            began: self.began,
            ended: self.ended,
            rows,
        }
    }
}

fn kalives_row(row: &Value) -> (u64, Row) {
    let number = |name: &str| row[name].as_u64();
    let milliseconds = |seconds: &Value| {
        let duration = seconds.as_f64().map(Duration::from_secs_f64);
        duration.map(|duration| u64::try_from(duration.as_millis()).unwrap())
    };
    let left = milliseconds(&row["timer"]["expires_s"]);
    let [sent, received, acknowledged] = [
        "last_data_sent_s",
        "last_data_received_s",
        "last_ack_received_s",
    ]
    .map(|name| milliseconds(&row[name]));
    let holders = row["processes"].as_array().unwrap().iter().map(|holder| {
        let number = |name: &str| holder[name].as_u64().unwrap();
        let name = holder["name"].as_str().unwrap().to_owned();
        (number("pid"), number("fd"), name)
    });
    let row = Row {
        fixed: Fixed {
            state: row["state"].as_str().unwrap().to_owned(),
            local: row["local"].as_str().unwrap().parse().unwrap(),
            peer: row["peer"].as_str().map(|peer| peer.parse().unwrap()),
            receive_queue: number("receive_queue").unwrap(),
            send_queue: number("send_queue").unwrap(),
            uid: number("uid").unwrap_or_default(),
            inode: number("inode").unwrap_or_default(),
            holders: Some(sorted(holders)),
        },
        timer: Timer {
            kind: row["timer"]["kind"].as_str().unwrap().to_owned(),
            left: left.map(|left| left..=left),
            count: row["timer"]["count"].as_u64().unwrap(),
        },
        since: sent
            .zip(received)
            .zip(acknowledged)
            .map(|((sent, received), acknowledged)| [sent, received, acknowledged]),
    };
    (number("cookie").unwrap(), row)
}

pub(crate) fn sorted(holders: impl Iterator<Item = (u64, u64, String)>) -> Vec<(u64, u64, String)> {
    let mut holders: Vec<_> = holders.collect();
    holders.sort();
    holders
}

impl Timer {
    pub(crate) fn none() -> Self {
        Self {
            kind: "none".to_owned(),
            left: None,
            count: 0,
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::hostile::{attack, attack_text};

#[test]
fn the_lines_are_promises() {
    let token = Token(0x0123_4567_89ab_cdef);
    assert_eq!(greeting(token), "kalive-serve/1 0123456789abcdef\n");
    let speak = Request::Speak {
        token,
        bytes: 4,
        spacing: Duration::from_millis(50),
    };
    assert_eq!(speak.encode().trim_end(), "speak 0123456789abcdef 4 50");
    let spoken = Reply::Spoken {
        token,
        outcome: Outcome::Acknowledged,
        silence: Duration::from_millis(12_345),
        bytes: 1,
    };
    assert_eq!(spoken.encode(), "acknowledged 0123456789abcdef 12345 1\n");
}

#[test]
fn what_is_not_of_the_language_is_refused() {
    let padded = |text: &str| format!("{text:<63}\n");
    for text in [
        "",
        "ping",
        "ping -1",
        "ping +1",
        "ping 1 2",
        "ping  1",
        "speak 0123456789abcdef 0 50",
        "speak 0123456789abcdef 11 50",
        "speak 0123456789abcdef 1 10001",
        "speak 0123456789ABCDEF 1 50",
        "speak 123 1 50",
        "speak 0123456789abcdef 1",
        "shout 0123456789abcdef 1 50",
    ] {
        assert_eq!(
            Request::parse(padded(text).as_bytes()),
            Err(Malformed),
            "{text}"
        );
    }
    assert_eq!(Request::parse(b"ping 1\n"), Err(Malformed), "not padded");
    assert!(Request::parse(padded("ping 1").as_bytes()).is_ok());
    assert_eq!(read_greeting(b"SSH-2.0-OpenSSH_9.6\r\n"), Err(Malformed));
    assert_eq!(
        read_greeting(b"kalive-serve/2 0123456789abcdef\n"),
        Err(Malformed)
    );
    assert_eq!(read_greeting(b"kalive-se"), Ok(None));
    assert_eq!(read_greeting(b""), Ok(None));
}

#[test]
fn a_line_that_never_ends_is_refused() {
    let mut lines = Lines::default();
    lines.push(b"ab\ncd");
    assert_eq!(lines.next(4), Ok(Some(b"ab\n".to_vec())));
    assert_eq!(lines.next(4), Ok(None));
    lines.push(b"ef");
    assert_eq!(lines.next(4), Err(Malformed));
}

fn replies() -> impl Strategy<Value = Reply> {
    let outcome = prop_oneof![
        Just(Outcome::Acknowledged),
        Just(Outcome::Reset),
        Just(Outcome::Silence)
    ];
    prop_oneof![
        any::<u32>().prop_map(|number| Reply::Pong { number }),
        any::<u64>().prop_map(|token| Reply::NoSession {
            token: Token(token)
        }),
        (any::<u64>(), outcome, 0_u64..1 << 40, 0_u32..=MOST_BYTES).prop_map(
            |(token, outcome, silence, bytes)| Reply::Spoken {
                token: Token(token),
                outcome,
                silence: Duration::from_millis(silence),
                bytes,
            }
        ),
    ]
}

fn requests() -> impl Strategy<Value = Request> {
    prop_oneof![
        any::<u32>().prop_map(|number| Request::Ping { number }),
        (any::<u64>(), 1..=MOST_BYTES, 0_u64..=10_000).prop_map(|(token, bytes, spacing)| {
            Request::Speak {
                token: Token(token),
                bytes,
                spacing: Duration::from_millis(spacing),
            }
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(request in requests(), reply in replies(), token: u64) {
        let line = request.encode();
        prop_assert_eq!(line.len(), REQUEST);
        prop_assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        let line = reply.encode();
        prop_assert!(line.len() <= REQUEST, "an answer is never longer than its question");
        prop_assert_eq!(Reply::parse(line.as_bytes()), Ok(reply));
        let line = greeting(Token(token));
        prop_assert_eq!(line.len(), GREETING_LENGTH);
        prop_assert_eq!(read_greeting(line.as_bytes()), Ok(Some(Token(token))));
    }
}

const LINES: [&str; 6] = [
    "ping 7                                                         \n",
    "speak 0123456789abcdef 4 50                                    \n",
    "acknowledged 0123456789abcdef 12345 1\n",
    "unknown 0123456789abcdef\n",
    "pong 4294967295\n",
    "kalive-serve/1 0123456789abcdef\n",
];

/// Whatever is understood can be said, and means the same.
#[test]
fn hostile_lines() {
    attack_text(&LINES, |text| {
        let line = text.as_bytes();
        if let Ok(request) = Request::parse(line) {
            assert_eq!(Request::parse(request.encode().as_bytes()), Ok(request));
        }
        if let Ok(reply) = Reply::parse(line) {
            let encoded = reply.encode();
            assert!(encoded.len() <= REQUEST, "no server says so much: {text}");
            assert_eq!(Reply::parse(encoded.as_bytes()), Ok(reply));
            if let Reply::Spoken { bytes, .. } = reply {
                assert!(
                    bytes <= MOST_BYTES,
                    "no server is asked for so much: {text}"
                );
            }
        }
        match read_greeting(line) {
            Ok(Some(token)) => assert!(text.starts_with(&greeting(token))),
            Ok(None) => assert!(line.len() < GREETING_LENGTH),
            Err(Malformed) => {}
        }
    });
}

/// However it arrives, the same lines come of it, and what is held is what is left.
#[test]
fn hostile_streams() {
    let stream = LINES.concat();
    attack(&[stream.as_bytes()], |bytes| {
        let mut whole = Vec::new();
        for chunks in [bytes.len().max(1), 7, 1] {
            let mut lines = Lines::default();
            let mut read = Vec::new();
            for chunk in bytes.chunks(chunks) {
                lines.push(chunk);
                while let Ok(Some(line)) = lines.next(REQUEST) {
                    assert!(line.len() <= REQUEST && line.ends_with(b"\n"));
                    read.push(line);
                }
                assert!(lines.held.len() < REQUEST, "no more is held than a line");
            }
            assert!(bytes.starts_with(&read.concat()));
            if chunks >= bytes.len() {
                whole = read;
            } else {
                assert_eq!(read, whole);
            }
        }
    });
}

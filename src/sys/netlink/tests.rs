use super::*;
use crate::hostile::attack;

const SEQUENCE: u32 = 7;

fn answer(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Message::new(kind, flags)
        .fixed(payload)
        .finish(sequence)
        .unwrap();
    bytes[0..4].copy_from_slice(&u32::try_from(HEADER + payload.len()).unwrap().to_ne_bytes());
    bytes
}

fn done() -> Vec<u8> {
    answer(NLMSG_DONE, 0, SEQUENCE, &0_u32.to_ne_bytes())
}

/// Reads a dump that arrives as these datagrams; gives the payloads and the loss.
fn dumped(datagrams: &[Vec<u8>]) -> io::Result<(Vec<Vec<u8>>, DumpLoss)> {
    let mut arriving = datagrams.iter();
    let mut payloads = Vec::new();
    let receive = |buffer: &mut [u8]| {
        let datagram = arriving
            .next()
            .ok_or_else(|| io::Error::other("nothing more arrives"))?;
        let fits = datagram.len().min(buffer.len());
        buffer[..fits].copy_from_slice(&datagram[..fits]);
        Ok(datagram.len())
    };
    let loss = read_dump(&mut [0; 64], SEQUENCE, receive, |payload| {
        payloads.push(payload.to_vec());
        Ok::<_, io::Error>(payload != b"bad!")
    })?;
    Ok((payloads, loss))
}

#[test]
fn a_whole_dump() {
    let first = [
        answer(20, 2, SEQUENCE, b"one."),
        answer(20, 2, SEQUENCE, b"two"),
    ]
    .concat();
    let (payloads, loss) = dumped(&[first, done()]).unwrap();
    assert_eq!(payloads, [b"one.".to_vec(), b"two".to_vec()]);
    assert_eq!(loss, DumpLoss::default());
}

#[test]
fn answers_to_another_request_are_not_ours() {
    let (payloads, _) = dumped(&[answer(20, 2, SEQUENCE - 1, b"old."), done()]).unwrap();
    assert_eq!(payloads, Vec::<Vec<u8>>::new());
}

#[test]
fn a_dump_that_raced_says_so() {
    let raced = answer(20, DUMP_INTERRUPTED, SEQUENCE, b"one.");
    let (payloads, loss) = dumped(&[raced, done()]).unwrap();
    assert_eq!(payloads.len(), 1);
    assert!(loss.interrupted);
}

#[test]
fn a_truncated_datagram_costs_what_was_cut_off() {
    let long = [
        answer(20, 2, SEQUENCE, b"one."),
        answer(20, 2, SEQUENCE, &[0; 40]),
    ]
    .concat();
    let (payloads, loss) = dumped(&[long, done()]).unwrap();
    assert_eq!(payloads, [b"one.".to_vec()]);
    assert_eq!(
        loss,
        DumpLoss {
            truncated: 1,
            ..DumpLoss::default()
        }
    );
}

#[test]
fn malformed_messages_are_counted() {
    let mut short = answer(20, 2, SEQUENCE, b"one.");
    short.extend([9, 9]);
    let bad = answer(20, 2, SEQUENCE, b"bad!");
    let (_, loss) = dumped(&[short, bad, done()]).unwrap();
    assert_eq!(
        loss,
        DumpLoss {
            malformed: 2,
            ..DumpLoss::default()
        }
    );
}

#[test]
fn refusals_are_errors() {
    let refused = i32::to_ne_bytes(-libc::EPERM);
    for answer in [
        answer(NLMSG_ERROR, 0, SEQUENCE, &refused),
        answer(NLMSG_DONE, 0, SEQUENCE, &refused),
    ] {
        let error = dumped(&[answer]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }
    assert!(dumped(&[answer(NLMSG_OVERRUN, 0, SEQUENCE, &[])]).is_err());
    assert!(dumped(&[answer(NLMSG_ERROR, 0, SEQUENCE, &i32::MIN.to_ne_bytes())]).is_err());
    assert!(dumped(&[answer(NLMSG_ERROR, 0, SEQUENCE, &[])]).is_err());
}

#[test]
fn an_attribute_that_does_not_fit_its_length_is_refused() {
    let fits = Message::new(1, 0).attribute(1, &vec![0; 65_531]).finish(1);
    assert!(fits.is_ok());
    let error = Message::new(1, 0)
        .attribute(1, &vec![0; 65_532])
        .finish(1)
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// A dump counts as whole only if the kernel said so, and no byte is told twice.
#[test]
fn hostile_dumps() {
    let one = Message::new(20, 2).fixed(&[1; 24]).attribute(2, &[2; 30]);
    let one = one.nest(3, |inner| inner.attribute(4, &[5; 5]));
    let one = one.finish(SEQUENCE).unwrap();
    let refused = answer(NLMSG_ERROR, 0, SEQUENCE, &i32::to_ne_bytes(-libc::EPERM));
    let whole = [&one[..], &one, &done()].concat();
    attack(&[&whole, &[one, refused].concat()], |bytes| {
        let is_end = |answer: &Answer| {
            let code = Bytes::new(answer.payload).u32().map(u32::cast_signed);
            let of_dump = (answer.sequence, answer.kind) == (SEQUENCE, NLMSG_DONE);
            of_dump && code.is_some_and(|code| code >= 0)
        };
        let mut arriving = Some(bytes);
        let receive = |buffer: &mut [u8]| {
            let datagram = arriving.take().ok_or(io::ErrorKind::TimedOut)?;
            buffer[..datagram.len()].copy_from_slice(datagram);
            Ok(datagram.len())
        };
        let mut told = 0;
        let ended = read_dump(&mut vec![0; 32 * 1024], SEQUENCE, receive, |payload| {
            told += payload.len();
            attributes(payload.get(24..).unwrap_or_default())
                .flatten()
                .for_each(|(_, value)| {
                    assert!(value.len() <= payload.len());
                    attributes(value).for_each(drop);
                });
            Ok::<_, io::Error>(true)
        });
        assert!(told <= bytes.len());
        if ended.is_ok() {
            assert!(messages(bytes).flatten().any(|answer| is_end(&answer)));
        }
    });
}

proptest::proptest! {
    #[test]
    fn what_is_built_is_read_again(kind in 0..ATTRIBUTE_TYPE, payload: Vec<u8>, inner: Vec<u8>) {
        let built = Message::new(kind, ACK)
            .fixed(&[1, 2, 3, 4])
            .attribute(kind, &payload)
            .nest(3, |message| message.attribute(4, &inner))
            .finish(SEQUENCE)
            .unwrap();
        let all: Vec<_> = messages(&built).map(Result::unwrap).collect();
        proptest::prop_assert_eq!(all.len(), 1);
        let found: Vec<_> = attributes(&all[0].payload[4..]).map(Result::unwrap).collect();
        proptest::prop_assert_eq!(found[0], (kind, &payload[..]));
        let nested: Vec<_> = attributes(found[1].1).map(Result::unwrap).collect();
        proptest::prop_assert_eq!(nested, [(4, &inner[..])]);
    }
}

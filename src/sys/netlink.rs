//! A small netlink client: builds requests, takes apart answers, runs a dump or a batch.
//! Knows the envelope (headers, attributes, acknowledgements) and nothing of any protocol in it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::bytes::Bytes;

/// `NLM_F_REQUEST`: every request carries it; `Message::new` sets it.
const REQUEST: u16 = 0x001;
/// `NLM_F_ACK`: asks for an acknowledgement of this message.
pub(crate) const ACK: u16 = 0x004;
/// `NLM_F_DUMP_INTR`: the table changed between two parts of a dump.
const DUMP_INTERRUPTED: u16 = 0x010;
/// `NLM_F_DUMP`: asks for the whole table.
pub(crate) const DUMP: u16 = 0x300;
/// `NLA_F_NESTED`: the attribute's payload is attributes.
const NESTED: u16 = 0x8000;
/// What an attribute's type is without `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;

const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// Larger than the largest datagram the kernel makes for a dump (32 KiB).
const RECEIVE_BUFFER: usize = 64 * 1024;
/// The kernel answers at once: who has waited so many seconds waits for what will not come.
const RECEIVE_TIMEOUT: i64 = 5;

/// A request under construction.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    too_long: bool,
}

impl Message {
    /// A request of this type; `flags` beside `NLM_F_REQUEST`.
    pub(crate) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend((kind).to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.extend([0; 8]);
        Self {
            bytes,
            too_long: false,
        }
    }

    /// Appends a fixed structure, padded to the netlink alignment.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.append(bytes);
        self
    }

    /// Appends an attribute.
    pub(crate) fn attribute(mut self, kind: u16, payload: &[u8]) -> Self {
        let start = self.open_attribute();
        self.bytes.extend(payload);
        self.close_attribute(start, kind);
        self
    }

    /// Appends an attribute whose payload is the attributes that `fill` appends.
    pub(crate) fn nest(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.open_attribute();
        let mut filled = fill(self);
        filled.close_attribute(start, kind | NESTED);
        filled
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    fn open_attribute(&mut self) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; ATTRIBUTE_HEADER]);
        start
    }

    fn close_attribute(&mut self, start: usize, kind: u16) {
        let length = u16::try_from(self.bytes.len() - start);
        self.too_long |= length.is_err();
        let [l0, l1] = length.unwrap_or_default().to_ne_bytes();
        let [k0, k1] = kind.to_ne_bytes();
        if let Some(header) = self.bytes.get_mut(start..start + ATTRIBUTE_HEADER) {
            header.copy_from_slice(&[l0, l1, k0, k1]);
        }
        self.append(&[]);
    }

    /// The finished request. Fails if an attribute does not fit its 16-bit length.
    pub(crate) fn finish(mut self, sequence: u32) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        if self.too_long {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a netlink attribute is longer than 65535 bytes",
            ));
        }
        if let Some(field) = self.bytes.get_mut(0..4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        if let Some(field) = self.bytes.get_mut(8..12) {
            field.copy_from_slice(&sequence.to_ne_bytes());
        }
        Ok(self.bytes)
    }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// One message of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages of a datagram; `Err` once, at the end, if the rest of it makes no sense.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Answer<'_>, Malformed>> {
    pieces(datagram, |bytes| {
        let mut cursor = Bytes::new(bytes);
        let length = usize::try_from(cursor.u32()?).ok()?;
        let kind = cursor.u16()?;
        let flags = cursor.u16()?;
        let sequence = cursor.u32()?;
        let payload = bytes.get(HEADER..length)?;
        let answer = Answer {
            kind,
            flags,
            sequence,
            payload,
        };
        Some((answer, length))
    })
}

/// The attributes of a message; `Err` once, at the end, if the rest makes no sense.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Malformed>> {
    pieces(bytes, |bytes| {
        let mut cursor = Bytes::new(bytes);
        let length = usize::from(cursor.u16()?);
        let kind = cursor.u16()? & ATTRIBUTE_TYPE;
        Some(((kind, bytes.get(ATTRIBUTE_HEADER..length)?), length))
    })
}

/// Bytes that do not follow the netlink framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Cuts `bytes` with `first`, which gives a piece and its unpadded length.
fn pieces<'a, T>(
    mut bytes: &'a [u8],
    first: impl Fn(&'a [u8]) -> Option<(T, usize)>,
) -> impl Iterator<Item = Result<T, Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        if let Some((piece, length)) = first(bytes) {
            bytes = bytes.get(aligned(length)..).unwrap_or_default();
            Some(Ok(piece))
        } else {
            bytes = &[];
            Some(Err(Malformed))
        }
    })
}

/// What a dump could not deliver; all zero and false when it was whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DumpLoss {
    /// The table changed while it was read (`NLM_F_DUMP_INTR`).
    pub(crate) interrupted: bool,
    /// Datagrams that did not fit the buffer.
    pub(crate) truncated: usize,
    /// Messages or datagrams that do not follow the format.
    pub(crate) malformed: usize,
}

/// A netlink socket of the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    pub(crate) fn open(protocol: SockProtocol) -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            protocol,
        )?;
        setsockopt(
            &fd,
            sockopt::ReceiveTimeout,
            &TimeVal::new(RECEIVE_TIMEOUT, 0),
        )?;
        Ok(Self {
            fd,
            sequence: 0,
            buffer: vec![0; RECEIVE_BUFFER],
        })
    }

    /// A socket that receives the notifications of these multicast groups (a bit mask).
    pub(crate) fn subscribe(protocol: SockProtocol, groups: u32) -> io::Result<Self> {
        let socket = Self::open(protocol)?;
        bind(socket.fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(socket)
    }

    /// Waits for a notification, whatever it says.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        receive(self.fd.as_raw_fd(), &mut self.buffer).map(drop)
    }

    /// Sends `request` (which asks for a dump) and hands the payload of every answer to `each`,
    /// which returns whether it could read it. An error of `each` ends the dump.
    pub(crate) fn dump<E: From<io::Error>>(
        &mut self,
        request: Message,
        each: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<DumpLoss, E> {
        let sequence = self.next_sequence();
        self.send(&request.finish(sequence)?)?;
        let fd = self.fd.as_raw_fd();
        read_dump(
            &mut self.buffer,
            sequence,
            |buffer| receive(fd, buffer),
            each,
        )
    }

    /// Sends `messages` in one datagram and waits for the acknowledgement of each that asks for one
    /// (`ACK`). The error names the index of the first refused message.
    pub(crate) fn transact(&mut self, messages: Vec<Message>) -> Result<(), Refused> {
        let mut bytes = Vec::new();
        let mut awaited = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            let sequence = self.next_sequence();
            let encoded = message
                .finish(sequence)
                .map_err(|source| Refused { index, source })?;
            if wants_ack(&encoded) {
                awaited.push((sequence, index));
            }
            bytes.extend(encoded);
        }
        let fd = self.fd.as_raw_fd();
        self.send(&bytes)
            .map_err(|source| Refused { index: 0, source })?;
        read_acks(&mut self.buffer, awaited, |buffer| receive(fd, buffer))
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.fd.as_raw_fd(), bytes, &kernel, MsgFlags::empty())?;
        Ok(())
    }
}

/// A message of a batch that the kernel refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Which one, counted from 0.
    pub(crate) index: usize,
    pub(crate) source: io::Error,
}

fn wants_ack(encoded: &[u8]) -> bool {
    messages(encoded).any(|message| message.is_ok_and(|message| message.flags & ACK != 0))
}

/// Receives one datagram; the length is the datagram's own, also where the buffer was shorter.
fn receive(fd: i32, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(fd, buffer, MsgFlags::MSG_TRUNC) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

fn read_dump<E: From<io::Error>>(
    buffer: &mut [u8],
    sequence: u32,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    mut each: impl FnMut(&[u8]) -> Result<bool, E>,
) -> Result<DumpLoss, E> {
    let mut loss = DumpLoss::default();
    loop {
        let length = receive(buffer)?;
        let datagram = buffer.get(..length).unwrap_or_else(|| {
            loss.truncated += 1;
            &*buffer
        });
        for message in messages(datagram) {
            let Ok(message) = message else {
                loss.malformed += usize::from(length <= datagram.len());
                continue;
            };
            if message.sequence != sequence {
                continue;
            }
            loss.interrupted |= message.flags & DUMP_INTERRUPTED != 0;
            match message.kind {
                NLMSG_DONE => return finish_dump(message.payload, loss).map_err(E::from),
                NLMSG_ERROR => return Err(errno(message.payload).into()),
                NLMSG_OVERRUN => return Err(io::Error::other("netlink overrun").into()),
                _ => loss.malformed += usize::from(!each(message.payload)?),
            }
        }
    }
}

/// `NLMSG_DONE` carries the dump's own result, a negative errno if it failed.
fn finish_dump(payload: &[u8], loss: DumpLoss) -> io::Result<DumpLoss> {
    match Bytes::new(payload).u32().map(u32::cast_signed) {
        Some(0..) => Ok(loss),
        Some(_) | None => Err(errno(payload)),
    }
}

fn read_acks(
    buffer: &mut [u8],
    mut awaited: Vec<(u32, usize)>,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> Result<(), Refused> {
    while let Some(&(_, index)) = awaited.first() {
        let length = receive(buffer).map_err(|source| Refused { index, source })?;
        let datagram = buffer.get(..length).unwrap_or(&*buffer);
        for message in messages(datagram).flatten() {
            if message.kind != NLMSG_ERROR {
                continue;
            }
            let Some(place) = awaited
                .iter()
                .position(|&(sequence, _)| sequence == message.sequence)
            else {
                continue;
            };
            let (_, index) = awaited.remove(place);
            if Bytes::new(message.payload).u32() != Some(0) {
                let source = errno(message.payload);
                return Err(Refused { index, source });
            }
        }
    }
    Ok(())
}

/// The errno of an `NLMSG_ERROR`.
fn errno(payload: &[u8]) -> io::Error {
    match Bytes::new(payload).u32().map(u32::cast_signed) {
        Some(code) if code < 0 => io::Error::from_raw_os_error(code.saturating_neg()),
        _ => io::Error::other("netlink error without an errno"),
    }
}

#[cfg(test)]
mod tests;

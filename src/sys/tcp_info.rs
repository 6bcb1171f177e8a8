//! `struct tcp_info` (include/uapi/linux/tcp.h). It grows with the kernel: what the bytes do not
//! reach is `None`, never zero.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::Duration;

use super::bytes::Bytes;
use crate::domain::socket::Activity;
use crate::domain::state::State;

/// Where `tcpi_last_data_sent` is.
const LAST_DATA_SENT: usize = 44;
/// Longer than any kernel's structure so far (248 bytes in 6.18).
const LONGEST: usize = 512;

/// What the kernel knows of a connection, as far as it bears on keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    pub(crate) state: State,
    /// `tcpi_retransmits`: unanswered retransmissions of data.
    pub(crate) retransmits: u8,
    /// `tcpi_probes`: unanswered keepalive or zero window probes.
    pub(crate) probes: u8,
    /// `tcpi_rto`: the retransmission timeout.
    pub(crate) rto: Duration,
    /// `tcpi_unacked`: segments sent and not acknowledged.
    pub(crate) unacked: u32,
    /// `tcpi_sacked`: those of them that the peer has received all the same.
    pub(crate) sacked: u32,
    pub(crate) activity: Activity,
    /// `tcpi_rtt`: the smoothed round-trip time, which keepalive probes do not feed.
    pub(crate) rtt: Duration,
    /// `tcpi_segs_out`: segments sent, pure ACKs and probes too. Linux 4.2.
    pub(crate) segs_out: Option<u32>,
    /// `tcpi_segs_in`: segments received. Linux 4.2.
    pub(crate) segs_in: Option<u32>,
}

/// Reads the structure of a socket.
pub(crate) fn read(socket: impl AsFd) -> io::Result<TcpInfo> {
    let mut buffer = [0_u8; LONGEST];
    let mut length = libc::socklen_t::try_from(LONGEST).map_err(io::Error::other)?;
    #[expect(
        unsafe_code,
        reason = "nix wants the length of its own headers, which panics on other kernels"
    )]
    // SAFETY: buffer and length live across the call, and the length is that of the buffer.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let length = usize::try_from(length).unwrap_or(LONGEST);
    buffer
        .get(..length)
        .and_then(parse)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "TCP_INFO is too short"))
}

/// `None` where the structure lacks even what Linux 2.6 had.
pub(crate) fn parse(tcp_info: &[u8]) -> Option<TcpInfo> {
    let mut fields = Bytes::new(tcp_info);
    let state = State::from_kernel(fields.u8()?);
    let _congestion_state = fields.u8()?;
    let (retransmits, probes) = (fields.u8()?, fields.u8()?);
    fields.skip(4)?;
    let rto = microseconds(fields.u32()?);
    fields.skip(12)?;
    let unacked = fields.u32()?;
    let sacked = fields.u32()?;
    fields.skip(36)?;
    let rtt = microseconds(fields.u32()?);
    let mut late = fields;
    let segments = late
        .skip(64)
        .and_then(|()| Some((late.u32()?, late.u32()?)));
    Some(TcpInfo {
        state,
        retransmits,
        probes,
        rto,
        unacked,
        sacked,
        activity: activity(tcp_info)?,
        rtt,
        segs_out: segments.map(|(out, _)| out),
        segs_in: segments.map(|(_, into)| into),
    })
}

fn microseconds(value: u32) -> Duration {
    Duration::from_micros(value.into())
}

/// The moments of the last exchanges; `None` where the structure is too short for them.
pub(crate) fn activity(tcp_info: &[u8]) -> Option<Activity> {
    let mut fields = Bytes::new(tcp_info);
    fields.skip(LAST_DATA_SENT)?;
    let mut milliseconds = || Some(Duration::from_millis(fields.u32()?.into()));
    let last_data_sent = milliseconds()?;
    let _last_ack_sent_is_not_kept_by_the_kernel = milliseconds()?;
    Some(Activity {
        last_data_sent,
        last_data_received: milliseconds()?,
        last_ack_received: milliseconds()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A structure whose byte at each place tells the place.
    fn numbered(length: usize) -> Vec<u8> {
        (0..length)
            .map(|place| u8::try_from(place).unwrap())
            .collect()
    }

    fn word(place: u32) -> u32 {
        let place = u8::try_from(place).unwrap();
        u32::from_ne_bytes([place, place + 1, place + 2, place + 3])
    }

    /// The places of the fields in include/uapi/linux/tcp.h.
    #[test]
    fn every_field_is_in_its_place() {
        let info = parse(&numbered(248)).unwrap();
        assert_eq!((info.retransmits, info.probes), (2, 3));
        assert_eq!(info.rto, microseconds(word(8)));
        assert_eq!((info.unacked, info.sacked), (word(24), word(28)));
        assert_eq!(
            info.activity.last_data_sent,
            Duration::from_millis(word(44).into())
        );
        assert_eq!(
            info.activity.last_data_received,
            Duration::from_millis(word(52).into())
        );
        assert_eq!(
            info.activity.last_ack_received,
            Duration::from_millis(word(56).into())
        );
        assert_eq!(info.rtt, microseconds(word(68)));
        assert_eq!(
            (info.segs_out, info.segs_in),
            (Some(word(136)), Some(word(140)))
        );
    }

    #[test]
    fn older_kernels_tell_less_but_never_zero() {
        assert_eq!(parse(&numbered(71)), None);
        let old = parse(&numbered(104)).unwrap();
        assert_eq!((old.segs_out, old.segs_in), (None, None));
        let half = parse(&numbered(143)).unwrap();
        assert_eq!((half.segs_out, half.segs_in), (None, None));
    }
}

//! `struct tcp_info` (include/uapi/linux/tcp.h). It grows with the kernel: what the bytes do not
//! reach is `None`, never zero.

use std::time::Duration;

use super::bytes::Bytes;
use crate::domain::socket::Activity;

/// Where `tcpi_last_data_sent` is.
const LAST_DATA_SENT: usize = 44;

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

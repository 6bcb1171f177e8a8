//! The edge to the system: sockets, netlink, /proc. Everything unsafe or platform-specific is here,
//! and nothing here knows of a report or prints.

pub(crate) mod bytes;
pub(crate) mod netlink;

//! The edge to the system: sockets, netlink, /proc. Everything unsafe or platform-specific is here,
//! and nothing here knows of a report or prints.

mod bytecode;
pub(crate) mod bytes;
pub(crate) mod clock;
pub(crate) mod error_queue;
pub(crate) mod file;
pub(crate) mod guard;
pub(crate) mod holders;
pub(crate) mod limits;
pub(crate) mod live_options;
pub(crate) mod netlink;
pub(crate) mod netns;
pub(crate) mod netstat;
pub(crate) mod proc_net;
pub(crate) mod process;
pub(crate) mod reactor;
pub(crate) mod replace;
pub(crate) mod resolve;
pub(crate) mod signals;
pub(crate) mod sock_diag;
pub(crate) mod sysctl;
pub(crate) mod tcp;
pub(crate) mod tcp_info;
pub(crate) mod tick;

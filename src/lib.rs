//! kalive: diagnose TCP keepalive on Linux.
//!
//! The folders show the flow of every subcommand: arguments ([`cli`]) -> plan -> run -> report ->
//! render. What stands left knows nothing of what stands right.

#[cfg(not(target_os = "linux"))]
compile_error!("kalive reads Linux's /proc and sock_diag: it builds for Linux only");

pub mod domain;
mod error;
mod sys;

pub use error::{Error, Result};

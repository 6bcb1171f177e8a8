//! kalive: diagnose TCP keepalive on Linux.
//!
//! The folders show the flow of every subcommand: arguments (`cli`) -> `plan` -> `run` -> `report` ->
//! `render`. What stands left knows nothing of what stands right. They share the `domain`, which is
//! pure, and `sys`, the edge to the kernel; `app` leads each subcommand along that way.

#[cfg(not(target_os = "linux"))]
compile_error!("kalive reads Linux's /proc and sock_diag: it builds for Linux only");

// The tests of tests/ and those in here build their labs with the same helper.
#[cfg(test)]
extern crate self as kalive;
#[cfg(test)]
#[path = "../tests/common/lab.rs"]
mod common;

mod app;
pub mod cli;
pub mod complete;
pub mod domain;
mod error;
mod exit;
pub mod generate;
#[cfg(test)]
mod hostile;
pub mod lab;
mod plan;
mod render;
mod report;
mod run;
mod sys;

pub use app::{Surroundings, run};
pub use error::{Error, Result};
pub use exit::Exit;
pub use sys::signals::Interrupt;

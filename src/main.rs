//! The thin binary.

mod edge;

use std::process::ExitCode;

fn main() -> ExitCode {
    edge::run(std::env::args_os())
}

//! From arguments to what is to be done: pure data, computed by pure functions.

pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod probe;
pub(crate) mod serve;

use std::net::IpAddr;

use crate::domain::target::Families;
use crate::error::{Error, Result};

/// The families to use from an address to connect from: only its own.
fn families(asked: Families, bind: Option<IpAddr>) -> Result<Families> {
    match (asked, bind) {
        (Families::Any, Some(IpAddr::V4(_))) => Ok(Families::OnlyV4),
        (Families::Any, Some(IpAddr::V6(_))) => Ok(Families::OnlyV6),
        (Families::OnlyV4, Some(address @ IpAddr::V6(_)))
        | (Families::OnlyV6, Some(address @ IpAddr::V4(_))) => Err(Error::Usage(format!(
            "--bind {address} is not of the family that was asked for"
        ))),
        (families, _) => Ok(families),
    }
}

//! From arguments to what is to be done: pure data, computed by pure functions.

pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod probe;
pub(crate) mod serve;

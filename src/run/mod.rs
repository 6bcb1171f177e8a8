//! Carries a plan out on the system and tells what happens as events. Prints nothing.

pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod probe;
pub(crate) mod serve;

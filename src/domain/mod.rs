//! What kalive knows of TCP keepalive, pure: option values and their bounds, the timer wheel,
//! predictions, socket states and filters. Nothing here touches the system or prints.

pub mod address;
pub(crate) mod container;
pub(crate) mod digits;
pub(crate) mod hold;
pub(crate) mod lab;
pub mod live_options;
pub mod moment;
pub mod notice;
pub mod options;
pub mod prediction;
pub mod seconds;
pub(crate) mod serve;
pub mod socket;
pub mod state;
pub mod survival;
pub mod target;
pub mod tunables;
pub mod wheel;
pub(crate) mod words;

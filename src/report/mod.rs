//! Folds the events of a run into a report: plain documented fields that every format prints.

pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod lab;
pub(crate) mod probe;
pub(crate) mod serve;

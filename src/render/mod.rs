//! Turns a report into bytes. Knows formats, widths and colours; writes only to the writer it is given.

pub(crate) mod hold;
pub(crate) mod inspect;
pub(crate) mod json;
pub(crate) mod lab;
pub(crate) mod list;
pub(crate) mod probe;
pub(crate) mod serve;
pub(crate) mod summary;
pub(crate) mod text;

/// How a result for people is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The width of summaries, in columns.
    pub(crate) width: usize,
    /// Whether rows of a list are cut at that width, as on a terminal.
    pub(crate) cut: bool,
    /// Whether to colour. A colour is never the only sign of anything.
    pub(crate) colored: bool,
}

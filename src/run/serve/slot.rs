//! A place in a table whose places are used again, and a name for it that is not.

/// Where a session is in the table, and which of those that have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Slot {
    pub(super) fn key(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_key(key: u64) -> Self {
        let low = key & u64::from(u32::MAX);
        Self {
            index: u32::try_from(low).unwrap_or_default(),
            generation: u32::try_from(key >> 32).unwrap_or_default(),
        }
    }
}

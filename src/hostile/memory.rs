//! The most memory that a piece of work takes at once: an allocator that counts for each thread.

#![expect(unsafe_code, reason = "an allocator is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static USED: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

impl Counting {
    fn count(by: isize) {
        // A thread that ends may free when its counters are gone already.
        let _ = USED.try_with(|used| {
            used.set(used.get() + by);
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(used.get())));
        });
    }
}

// SAFETY: everything is the system's allocator's; counting touches no memory but two constant-initialized cells.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Self::count(-layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Does `work`, and tells how many bytes more than before it had at its peak.
pub(super) fn peak(work: impl FnOnce()) -> usize {
    let before = USED.get();
    PEAK.set(before);
    work();
    (PEAK.get() - before).max(0).cast_unsigned()
}

#[test]
fn what_is_freed_still_counts() {
    let peak = peak(|| {
        drop(vec![1_u8; 10_000]);
        drop(vec![1_u8; 5_000]);
    });
    assert!((10_000..11_000).contains(&peak), "{peak}");
}

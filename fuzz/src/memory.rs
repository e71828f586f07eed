//! An allocator that knows how much is in use.
#![expect(
    unsafe_code,
    reason = "counting allocations needs an allocator; it only passes calls on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes in use at a time; an allocation past it fails, which ends the process before the
/// machine suffers.
const IN_USE_BYTES_MAX: usize = 2 << 30;

/// The system allocator with a count of the bytes in use, and of the most that were.
pub(crate) struct Counting {
    in_use: AtomicUsize,
    peak: AtomicUsize,
}

impl Counting {
    pub(crate) const fn new() -> Self {
        Self {
            in_use: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    /// Runs a function and says how many bytes it held at its peak, beyond those held before.
    pub(crate) fn peak_of(&self, run: impl FnOnce()) -> usize {
        let before = self.in_use.load(Ordering::Relaxed);
        self.peak.store(before, Ordering::Relaxed);
        run();
        self.peak.load(Ordering::Relaxed).saturating_sub(before)
    }

    fn add(&self, bytes: usize) -> bool {
        let in_use = self.in_use.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if in_use > IN_USE_BYTES_MAX {
            self.in_use.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.peak.fetch_max(in_use, Ordering::Relaxed);
        true
    }
}

// SAFETY: every call goes to the system allocator with the arguments as they came; null, which the
// trait allows, is returned where the limit forbids the call.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !self.add(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.in_use.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and the pointer came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

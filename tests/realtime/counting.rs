//! An allocator that counts: what the media threads and the test that has its turn allocate.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counting what this test and the media threads do. Others that wait for their turn, and what starts
/// them, allocate whenever the machine lets them.
pub(super) struct Counting;

pub(super) static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What a thread allocates is counted; `None`: it is not known yet.
    static COUNTED: Cell<Option<bool>> = const { Cell::new(None) };
}

/// This thread's allocations are counted from here on.
pub(super) fn count_mine() {
    COUNTED.set(Some(true));
}

/// Does something on this thread that may allocate.
pub(super) fn uncounted<T>(act: impl FnOnce() -> T) -> T {
    let counted = COUNTED.replace(Some(false));
    let done = act();
    COUNTED.set(counted);
    done
}

fn count() {
    let counted = COUNTED.get().unwrap_or_else(|| {
        // Asking for the name allocates.
        COUNTED.set(Some(false));
        let is_media = rustix::thread::name().is_ok_and(|name| name.to_bytes().starts_with(b"media-"));
        COUNTED.set(is_media.then_some(true));
        is_media
    });
    ALLOCATIONS.fetch_add(counted.into(), Ordering::Relaxed);
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

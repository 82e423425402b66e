//! What each holds and sends: bytes in memory for each entry, and encoded bytes beyond keys and values.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use millpond_rivals::{
    Automerge, CrdtsMap, CrdtsOrswot, Key, Loro, Millpond, Plain, Replica, Value, Yrs, filled,
};

/// Counts what is allocated.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it passes all on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let count = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(100_000);
    println!("{count} entries of {} bytes", size_of::<Key>() + size_of::<Value>());
    println!("{:24} {:>14} {:>20}", "", "memory/entry", "encoded overhead");
    of::<Plain>(count);
    of::<Millpond>(count);
    of::<Automerge>(count);
    of::<Loro>(count);
    of::<Yrs>(count);
    of::<CrdtsMap>(count);
    of::<CrdtsOrswot>(count);
}

fn of<R: Replica>(count: usize) {
    let before = ALLOCATED.load(Relaxed);
    let mut replica: R = filled(1, count);
    let held = (ALLOCATED.load(Relaxed) - before) as f64 / count as f64;
    let encoded: usize = replica.encode_since(&R::new(2).seen()).iter().map(Vec::len).sum();
    let overhead = encoded as f64 / count as f64 - (size_of::<Key>() + size_of::<Value>()) as f64;
    println!("{:24} {held:>12.1} B {overhead:>18.1} B", R::NAME);
}

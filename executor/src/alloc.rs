//! The memory account of a run: a global allocator that counts what a run's thread holds, and the run's pulse.
//!
//! The only file of ours with `unsafe`: forwarding to the system's allocator. It may not allocate, panic or wait
//! itself. Everything is per thread, so nothing is shared and nothing contended.
//!
//! The allocator cannot refuse (Rust aborts then), so it only counts. [`tick`], called at every Rhai operation,
//! notices; natives that could take much in one call ask before (`RunState::ensure_memory`).
#![expect(unsafe_code, reason = "a global allocator cannot be written without; each block says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The allocator that counts. A program that runs scripts declares it as its `#[global_allocator]`; in one that does
/// not, nothing is counted and `memory_bytes` holds only where natives ask.
pub struct RunAllocator;

// SAFETY: every call is passed on to `System` unchanged, whose contract is the same; what is done beside it touches
// only `Cell`s of this thread and neither allocates nor unwinds.
unsafe impl GlobalAlloc for RunAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_in(layout.size(), layout.align());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_in(layout.size(), layout.align());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count_out(layout.size());
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours do.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_out(layout.size());
        count_in(new_size, layout.align());
        // SAFETY: `pointer` came from `System` with this `layout`, as all of ours do.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// What is kept of the run on this thread.
struct Meter {
    /// Whether allocations are counted now.
    counting: Cell<bool>,
    /// Bytes held. Signed: a value that was made before the run may be dropped in it.
    used: Cell<i64>,
    /// The most `used` has been.
    peak: Cell<i64>,
    /// What `used` may be.
    budget: Cell<i64>,
    /// An allocation below this is of no interest.
    big_any: Cell<usize>,
    /// An allocation of alignment 1 or 2 (strings, blobs) above this is noted.
    big_bytes: Cell<usize>,
    /// An allocation of alignment 8 (arrays) above this is noted.
    big_items: Cell<usize>,
    /// The first that was noted.
    noted: Cell<Noted>,
    /// Rhai operations so far.
    operations: Cell<u64>,
    /// At this many operations [`tick`] asks for a full check.
    next_check: Cell<u64>,
    /// What one value may be.
    caps: Cell<Caps>,
}

/// The largest single values of the run on this thread; here so that natives reach them without the run's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caps {
    /// Bytes of a string.
    pub(crate) string_bytes: usize,
    /// Bytes of a blob.
    pub(crate) blob_bytes: usize,
    /// Items of an array.
    pub(crate) array_items: usize,
    /// Entries of an object map.
    pub(crate) map_entries: usize,
    /// Values within values, where they are walked.
    pub(crate) value_depth: usize,
}

impl Caps {
    const NONE: Self = Self {
        string_bytes: usize::MAX,
        blob_bytes: usize::MAX,
        array_items: usize::MAX,
        map_entries: usize::MAX,
        value_depth: usize::MAX,
    };

    /// Those of `limits`. A blob may be as long as a string or, where that is more, a request's body.
    pub(crate) fn of(limits: &picloud_model::limits::Limits) -> Self {
        let size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            string_bytes: size(limits.string_bytes),
            blob_bytes: size(limits.string_bytes.max(limits.request_body_bytes)),
            array_items: size(limits.array_items),
            map_entries: size(limits.map_entries),
            value_depth: size(limits.value_depth),
        }
    }
}

/// An allocation larger than any one value may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// None was seen.
    Nothing,
    /// A string or blob.
    Bytes,
    /// An array.
    Items,
}

thread_local! {
    // Const and without a destructor: reaching it neither allocates nor fails, also while a thread ends.
    static METER: Meter = const {
        Meter {
            counting: Cell::new(false),
            used: Cell::new(0),
            peak: Cell::new(0),
            budget: Cell::new(0),
            big_any: Cell::new(usize::MAX),
            big_bytes: Cell::new(usize::MAX),
            big_items: Cell::new(usize::MAX),
            noted: Cell::new(Noted::Nothing),
            operations: Cell::new(0),
            next_check: Cell::new(u64::MAX),
            caps: Cell::new(Caps::NONE),
        }
    };
}

#[inline]
fn count_in(bytes: usize, align: usize) {
    METER.with(|meter| {
        if meter.counting.get() {
            let used = meter.used.get().wrapping_add(bytes as i64);
            meter.used.set(used);
            if used > meter.peak.get() {
                meter.peak.set(used);
            }
            if bytes > meter.big_any.get() {
                note(meter, bytes, align);
            }
        }
    });
}

#[cold]
fn note(meter: &Meter, bytes: usize, align: usize) {
    if meter.noted.get() == Noted::Nothing {
        // Rhai's strings ask for alignment 2.
        if align <= 2 && bytes > meter.big_bytes.get() {
            meter.noted.set(Noted::Bytes);
        } else if align == 8 && bytes > meter.big_items.get() {
            meter.noted.set(Noted::Items);
        }
    }
}

#[inline]
fn count_out(bytes: usize) {
    METER.with(|meter| {
        if meter.counting.get() {
            meter.used.set(meter.used.get().wrapping_sub(bytes as i64));
        }
    });
}

/// What a run may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// All of it together.
    pub(crate) memory_bytes: u64,
    /// One value.
    pub(crate) caps: Caps,
}

/// Bytes of an item of an array.
pub(crate) const ITEM_BYTES: usize = size_of::<rhai::Dynamic>();

/// Counts on this thread from now on, from nothing, until the account is dropped; also when the run panics.
pub(crate) struct Account(());

impl Account {
    /// Opens the account of a run on this thread. There is one at a time: `scripts::call` counts on its caller's.
    pub(crate) fn open(budget: Budget) -> Self {
        METER.with(|meter| {
            debug_assert!(!meter.counting.get(), "a run within a run counts on the outer one's account");
            meter.used.set(0);
            meter.peak.set(0);
            meter.budget.set(i64::try_from(budget.memory_bytes).unwrap_or(i64::MAX));
            // Vectors and strings grow by doubling: what is asked for is more than twice the cap only where the
            // value itself is above it.
            let bytes = budget.caps.string_bytes.max(budget.caps.blob_bytes).saturating_mul(2);
            let items = budget.caps.array_items.saturating_mul(2 * ITEM_BYTES);
            meter.big_bytes.set(bytes);
            meter.big_items.set(items);
            meter.big_any.set(bytes.min(items));
            meter.caps.set(budget.caps);
            meter.noted.set(Noted::Nothing);
            meter.operations.set(0);
            meter.next_check.set(0);
            meter.counting.set(true);
        });
        Self(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        METER.with(|meter| {
            meter.counting.set(false);
            meter.next_check.set(u64::MAX);
            meter.caps.set(Caps::NONE);
        });
    }
}

/// While it lives, nothing is counted: for work that outlives the run (caches), done in its course.
pub(crate) struct Exempt {
    was_counting: bool,
}

impl Exempt {
    /// Stops counting on this thread.
    pub(crate) fn begin() -> Self {
        Self { was_counting: METER.with(|meter| meter.counting.replace(false)) }
    }
}

impl Drop for Exempt {
    fn drop(&mut self) {
        METER.with(|meter| meter.counting.set(self.was_counting));
    }
}

/// Counts one Rhai operation. Whether the run must be looked at: its memory, what was noted, or a check that is due.
#[inline]
pub(crate) fn tick() -> bool {
    METER.with(|meter| {
        let operations = meter.operations.get() + 1;
        meter.operations.set(operations);
        operations >= meter.next_check.get()
            || meter.used.get() > meter.budget.get()
            || meter.noted.get() != Noted::Nothing
    })
}

/// Asks for the next check at `operations`.
pub(crate) fn check_at(operations: u64) {
    METER.with(|meter| meter.next_check.set(operations));
}

/// Asks for a check at every operation from now on.
pub(crate) fn trip() {
    check_at(0);
}

/// Rhai operations of the run so far.
pub(crate) fn operations() -> u64 {
    METER.with(|meter| meter.operations.get())
}

/// The largest single values of the run.
#[inline]
pub(crate) fn caps() -> Caps {
    METER.with(|meter| meter.caps.get())
}

/// Whether the account has room for `bytes` more.
#[inline]
pub(crate) fn has_room(bytes: usize) -> bool {
    METER.with(|meter| !meter.counting.get() || meter.used.get().saturating_add(bytes as i64) <= meter.budget.get())
}

/// Bytes the run holds.
pub(crate) fn used() -> u64 {
    METER.with(|meter| u64::try_from(meter.used.get()).unwrap_or(0))
}

/// The most bytes the run has held.
pub(crate) fn peak() -> u64 {
    METER.with(|meter| u64::try_from(meter.peak.get()).unwrap_or(0))
}

/// Adds bytes that another thread allocated and the run now holds.
pub(crate) fn charge(bytes: u64) {
    count_in_charged(i64::try_from(bytes).unwrap_or(i64::MAX));
}

fn count_in_charged(bytes: i64) {
    METER.with(|meter| {
        let used = meter.used.get().saturating_add(bytes);
        meter.used.set(used);
        if used > meter.peak.get() {
            meter.peak.set(used);
        }
    });
}

/// Takes bytes off the account that the run built but does not hold.
pub(crate) fn release(bytes: u64) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    METER.with(|meter| meter.used.set(meter.used.get().saturating_sub(bytes)));
}

/// What was noted since the account was opened.
pub(crate) fn noted() -> Noted {
    METER.with(|meter| meter.noted.get())
}

/// Runs `native`, which checks its sizes itself, without its large allocations being noted.
pub(crate) fn unnoted<T>(native: impl FnOnce() -> T) -> T {
    let before = noted();
    let value = native();
    METER.with(|meter| meter.noted.set(before));
    value
}

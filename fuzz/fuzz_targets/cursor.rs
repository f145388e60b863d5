//! Any text as a cursor is refused or leads into its own list: what follows is the end of that list, and a cursor is
//! of no more than one list.
//!
//! The lists are those of a real store with a few of everything in it. An input is taken as it is, and as the bytes
//! within a cursor, which a change of its text would seldom leave whole.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use picloud_fuzz::shelves::Shelves;
use std::sync::LazyLock;

static SHELVES: LazyLock<Shelves> = LazyLock::new(Shelves::filled);

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        SHELVES.check(text);
    }
    SHELVES.check(&URL_SAFE_NO_PAD.encode(data));
});

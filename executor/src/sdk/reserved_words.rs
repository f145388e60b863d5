//! Words Rhai keeps for itself that are functions of ours: `scripts::call`, `log::debug`.
//!
//! Rhai refuses them after `::` although nothing else could be meant there.

use rhai::{Engine, Token};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Lets an engine that compiles one source after another take any word after `::` as a name.
#[expect(deprecated, reason = "Rhai marks the hook as one that may change, and we pin the version")]
pub(crate) fn allow_after_colons(engine: &mut Engine) {
    // An engine compiles on one thread; the callback only has to be `Sync` by its type.
    let after_colons = AtomicBool::new(false);
    engine.on_parse_token(move |token, _position, _state| {
        let was_after_colons = after_colons.swap(token == Token::DoubleColon, Relaxed);
        match token {
            Token::Reserved(word) if was_after_colons && is_ours(&word) => Token::Identifier(word),
            other => other,
        }
    });
}

/// Only these, so that an error about any other reserved word stays Rhai's.
fn is_ours(word: &str) -> bool {
    matches!(word, "call" | "debug")
}

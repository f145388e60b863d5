//! The clipboard of whoever looks, by OSC 52: through ssh, tmux and screen, or nowhere. Nobody tells whether it arrived.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The longest text: terminals that have a limit take 100 000 bytes, of which base64 and the frame take some.
const COPIED_BYTES_MAX: usize = 74_994;

/// The sequence that carries it; what to tell where it is too long.
pub(super) fn sequence(text: &str) -> Result<Vec<u8>, String> {
    if text.len() > COPIED_BYTES_MAX {
        return Err(format!(
            "not copied: {} bytes, and terminals take {COPIED_BYTES_MAX}; save it in a file, or select it with z",
            text.len()
        ));
    }
    Ok(format!("\x1b]52;c;{}\x07", STANDARD.encode(text)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_letters_is_carried_and_too_much_of_it_is_refused() {
        assert_eq!(sequence("Grüße\n").unwrap(), b"\x1b]52;c;R3LDvMOfZQo=\x07");
        assert!(sequence(&"x".repeat(COPIED_BYTES_MAX)).unwrap().len() < 100_100);
        assert!(sequence(&"x".repeat(COPIED_BYTES_MAX + 1)).unwrap_err().contains("74995 bytes"));
    }
}

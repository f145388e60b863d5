//! From bytes to keys. Ours rather than the library's: over a slow line an arrow may come in two pieces, and what that
//! one then reports is Escape, `[` and `D`, which here would ask to delete something.

use crate::app::{Key, Msg};
use std::time::Duration;

/// How long the rest of a sequence may take; then it was the Escape key.
const REST_MAX: Duration = Duration::from_millis(50);
/// How long a paste may stop; then its end was lost, and the keyboard is freed.
const PASTE_REST_MAX: Duration = Duration::from_secs(2);
/// The largest paste; the rest of it is dropped.
const PASTE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest sequence; what is longer is none.
const SEQUENCE_BYTES_MAX: usize = 64;
/// Terminals that do not mark pastes: so many letters at once were not typed.
const TYPED_AT_ONCE_MAX: usize = 24;

/// Lines that a step of the wheel moves.
const WHEEL_LINES: usize = 3;

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Makes keys and pastes of what the terminal sends.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// What is not understood yet.
    rest: Vec<u8>,
    /// What was pasted so far, between its marks.
    paste: Option<Vec<u8>>,
    /// Whether the terminal marks what is pasted.
    marks_pastes: bool,
}

/// What the beginning of the bytes is.
enum Found {
    /// So many bytes are these keys.
    Keys(usize, Vec<Key>),
    /// A paste begins after so many bytes.
    Paste(usize),
    /// So many bytes are a click on this column and line, from 0.
    Click(usize, (u16, u16)),
    /// It may become something.
    Unfinished,
}

impl Decoder {
    /// Of a terminal that marks pastes, or not.
    pub(super) fn new(marks_pastes: bool) -> Self {
        Self { marks_pastes, ..Self::default() }
    }

    /// Takes what came in one read: keys that follow each other are one message.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Msg> {
        self.rest.extend_from_slice(bytes);
        let mut messages = Vec::new();
        while !self.rest.is_empty() {
            if self.paste.is_some() {
                if !self.take_paste(&mut messages) {
                    break;
                }
                continue;
            }
            match find(&self.rest) {
                Found::Unfinished if self.rest.len() <= SEQUENCE_BYTES_MAX => break,
                Found::Unfinished => self.rest.clear(),
                Found::Paste(length) => {
                    self.rest.drain(..length);
                    self.paste = Some(Vec::new());
                }
                Found::Click(length, (column, line)) => {
                    self.rest.drain(..length);
                    messages.push(Msg::Click(column, line));
                }
                Found::Keys(length, keys) => {
                    self.rest.drain(..length);
                    push(&mut messages, keys);
                }
            }
        }
        if self.marks_pastes { messages } else { messages.into_iter().map(paste_of_many).collect() }
    }

    /// How long to wait for more before [`Self::give_up`].
    pub(super) fn waits(&self) -> Option<Duration> {
        match &self.paste {
            Some(_) => Some(PASTE_REST_MAX),
            None => (!self.rest.is_empty()).then_some(REST_MAX),
        }
    }

    /// No more came: what is there is all there is.
    pub(super) fn give_up(&mut self) -> Vec<Msg> {
        let rest = std::mem::take(&mut self.rest);
        if let Some(mut paste) = self.paste.take() {
            paste.extend(rest);
            return vec![Msg::Paste(text_of(&paste))];
        }
        let mut messages = Vec::new();
        if rest.first() == Some(&0x1b) {
            let letters =
                rest[1..].iter().copied().filter(u8::is_ascii_graphic).map(|byte| Key::Char(char::from(byte)));
            push(&mut messages, std::iter::once(Key::Esc).chain(letters).collect());
        }
        messages
    }

    /// Answers whether the paste has ended.
    fn take_paste(&mut self, messages: &mut Vec<Msg>) -> bool {
        let end = self.rest.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS);
        // The beginning of its end may have come already.
        let length = end.unwrap_or_else(|| self.rest.len().saturating_sub(PASTE_ENDS.len() - 1));
        let pasted: Vec<u8> = self.rest.drain(..length).collect();
        let mut paste = self.paste.take().unwrap_or_default();
        let room = PASTE_BYTES_MAX.saturating_sub(paste.len());
        paste.extend_from_slice(&pasted[..pasted.len().min(room)]);
        if end.is_none() {
            self.paste = Some(paste);
            return false;
        }
        self.rest.drain(..PASTE_ENDS.len());
        messages.push(Msg::Paste(text_of(&paste)));
        true
    }
}

fn push(messages: &mut Vec<Msg>, keys: Vec<Key>) {
    match messages.last_mut() {
        _ if keys.is_empty() => {}
        Some(Msg::Keys(before)) => before.extend(keys),
        _ => messages.push(Msg::Keys(keys)),
    }
}

/// Pasted lines end as the terminal's Enter does.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n")
}

/// Nobody types so many letters between two reads.
fn paste_of_many(msg: Msg) -> Msg {
    let Msg::Keys(keys) = &msg else { return msg };
    let letter = |key: &Key| match key {
        Key::Char(letter) => Some(*letter),
        Key::Enter => Some('\n'),
        Key::Tab => Some('\t'),
        _ => None,
    };
    if keys.len() <= TYPED_AT_ONCE_MAX {
        return msg;
    }
    // The same letter again and again is a key that is held down.
    let is_held = keys.iter().all(|key| *key == keys[0]);
    let text: Option<String> = keys.iter().map(letter).collect();
    text.filter(|_| !is_held).map_or(msg, Msg::Paste)
}

fn find(bytes: &[u8]) -> Found {
    match bytes[0] {
        0x1b => find_escaped(bytes),
        b'\r' | b'\n' => Found::Keys(1, vec![Key::Enter]),
        b'\t' => Found::Keys(1, vec![Key::Tab]),
        0x7f | 0x08 => Found::Keys(1, vec![Key::Backspace]),
        control @ 1..=26 => Found::Keys(1, vec![Key::Ctrl(char::from(control + b'a' - 1))]),
        0..=31 => Found::Keys(1, Vec::new()),
        _ => find_letter(bytes),
    }
}

fn find_letter(bytes: &[u8]) -> Found {
    let beginning = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).expect("it was found to be valid")
        }
        Err(error) => {
            // One half of a letter, or what is none.
            return error.error_len().map_or(Found::Unfinished, |length| Found::Keys(length, Vec::new()));
        }
    };
    let letter = valid.chars().next().expect("there is a byte, and it is valid");
    let keys = if letter.is_control() { Vec::new() } else { vec![Key::Char(letter)] };
    Found::Keys(letter.len_utf8(), keys)
}

fn find_escaped(bytes: &[u8]) -> Found {
    match bytes.get(1) {
        None => Found::Unfinished,
        Some(b'[') => find_csi(bytes),
        Some(b'O') => match bytes.get(2) {
            None => Found::Unfinished,
            Some(last) => Found::Keys(3, key_of_letter(*last).into_iter().collect()),
        },
        Some(0x1b) => Found::Keys(1, vec![Key::Esc]),
        // With Alt, or Escape and the key behind it in one packet: over a slow line nobody can tell.
        Some(_) => match find(&bytes[1..]) {
            Found::Keys(length, keys) => Found::Keys(length + 1, std::iter::once(Key::Esc).chain(keys).collect()),
            other => other,
        },
    }
}

fn find_csi(bytes: &[u8]) -> Found {
    if bytes.starts_with(PASTE_BEGINS) {
        return Found::Paste(PASTE_BEGINS.len());
    }
    // Function keys of the console of Linux.
    if bytes.get(2) == Some(&b'[') {
        return bytes.get(3).map_or(Found::Unfinished, |last| {
            Found::Keys(4, (*last == b'A').then_some(Key::F1).into_iter().collect())
        });
    }
    let Some(length) = bytes[2..].iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return Found::Unfinished;
    };
    let (numbers, last) = (&bytes[2..2 + length], bytes[2 + length]);
    if !(0x40..=0x7e).contains(&last) {
        // Something else begins in the middle of it.
        return Found::Keys(2 + length, Vec::new());
    }
    if let Some(mouse) = numbers.strip_prefix(b"<") {
        return find_mouse(3 + length, mouse, last);
    }
    let number = numbers.split(|byte| *byte == b';').next().unwrap_or_default();
    let is_plain = numbers.iter().all(|byte| byte.is_ascii_digit() || *byte == b';');
    let key = match (number, last) {
        _ if !is_plain => None,
        (b"1" | b"7", b'~') => Some(Key::Home),
        (b"4" | b"8", b'~') => Some(Key::End),
        (b"3", b'~') => Some(Key::Delete),
        (b"5", b'~') => Some(Key::PageUp),
        (b"6", b'~') => Some(Key::PageDown),
        (b"11", b'~') => Some(Key::F1),
        (_, b'Z') => Some(Key::BackTab),
        _ => key_of_letter(last),
    };
    Found::Keys(3 + length, key.into_iter().collect())
}

/// `ESC [ < button ; column ; line M`, and `m` where it is let go. The wheel is keys, as it is without the mouse.
fn find_mouse(length: usize, numbers: &[u8], last: u8) -> Found {
    let text = std::str::from_utf8(numbers).unwrap_or_default();
    let numbers: Vec<u16> = text.split(';').filter_map(|number| number.parse().ok()).collect();
    let &[button, column, line] = &numbers[..] else { return Found::Keys(length, Vec::new()) };
    // Shift, Alt and Ctrl beside it change nothing.
    match (button & !(4 | 8 | 16), last) {
        (0, b'M') => Found::Click(length, (column.saturating_sub(1), line.saturating_sub(1))),
        (64, b'M') => Found::Keys(length, vec![Key::Up; WHEEL_LINES]),
        (65, b'M') => Found::Keys(length, vec![Key::Down; WHEEL_LINES]),
        _ => Found::Keys(length, Vec::new()),
    }
}

fn key_of_letter(letter: u8) -> Option<Key> {
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'P' => Key::F1,
        b'M' => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys as words, pastes between marks.
    fn told(messages: &[Msg]) -> String {
        let tell = |msg: &Msg| match msg {
            Msg::Keys(keys) => keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Msg::Paste(text) => format!("<{text}>"),
            Msg::Click(column, line) => format!("click {column} {line}"),
            other => panic!("{other:?}"),
        };
        messages.iter().map(tell).collect::<Vec<_>>().join(" | ")
    }

    fn taken(bytes: &[u8]) -> String {
        let mut decoder = Decoder::new(true);
        let mut messages = decoder.take(bytes);
        messages.extend(decoder.give_up());
        told(&messages)
    }

    #[test]
    fn keys_are_known_as_all_terminals_send_them() {
        for (bytes, key) in [
            ("\x1b[A", "Up"),
            ("\x1bOA", "Up"),
            ("\x1b[1;5D", "Left"),
            ("\x1b[H", "Home"),
            ("\x1b[1~", "Home"),
            ("\x1b[7~", "Home"),
            ("\x1bOF", "End"),
            ("\x1b[3~", "Delete"),
            ("\x1b[5~", "PgUp"),
            ("\x1b[6~", "PgDn"),
            ("\x1b[Z", "Shift-Tab"),
            ("\x1bOP", "F1"),
            ("\x1b[[A", "F1"),
            ("\x1b[11~", "F1"),
            ("\r", "Enter"),
            ("\n", "Enter"),
            ("\t", "Tab"),
            ("\x7f", "Backspace"),
            ("\x08", "Backspace"),
            ("\x03", "Ctrl-C"),
            ("D", "D"),
            ("\x1b[<0;4;3M\x1b[<0;4;3m", "click 3 2"),
            ("\x1b[<4;200;3M", "click 199 2"),
            ("\x1b[<64;4;3M", "Up Up Up"),
            ("\x1b[<65;4;3M", "Down Down Down"),
            ("ü", "ü"),
            ("日", "日"),
            ("\x1b", "Esc"),
            ("\x1b\x1b", "Esc | Esc"),
            ("\x1b\x1b[B", "Esc Down"),
            ("\x1bq", "Esc q"),
            ("\x1b\r", "Esc Enter"),
            ("\x1bü", "Esc ü"),
        ] {
            assert_eq!(taken(bytes.as_bytes()), key, "{bytes:?}");
        }
    }

    #[test]
    fn a_key_in_pieces_is_one_key_unless_the_rest_does_not_come() {
        for key in ["\x1b[D", "\x1bOD", "\x1b[1;5D"] {
            for at in 1..key.len() {
                let mut decoder = Decoder::new(true);
                assert!(decoder.take(&key.as_bytes()[..at]).is_empty() && decoder.waits() == Some(REST_MAX));
                assert_eq!(told(&decoder.take(&key.as_bytes()[at..])), "Left", "{key:?} cut at {at}");
                assert_eq!(decoder.waits(), None);
            }
        }
        assert_eq!(taken(b"\x1b["), "Esc [");
        let mut decoder = Decoder::new(true);
        assert!(decoder.take("日".as_bytes()[..2].as_ref()).is_empty());
        assert_eq!(told(&decoder.take(&"日".as_bytes()[2..])), "日");
    }

    #[test]
    fn what_no_terminal_was_asked_for_is_no_key() {
        for bytes in [
            "\x1b[1;1R",
            "\x1b[?62;22c",
            "\x1b[0n",
            "\x1b[I",
            "\x1b[<2;3;4M",
            "\x1b[<0;3M",
            "\x1b[<35;3;4M",
            "\x1b[<0;3;99999M",
            "\x1b[24~",
            "\0",
            "\u{9b}",
        ] {
            assert_eq!(taken(bytes.as_bytes()), "", "{bytes:?}");
        }
        assert_eq!(taken(b"\xffa"), "a");
        let mut decoder = Decoder::new(true);
        assert!(decoder.take(&[b"\x1b[".as_slice(), &[b'1'; 100]].concat()).is_empty());
        assert_eq!(told(&decoder.take(b"q")), "q", "what never ends is no sequence");
    }

    #[test]
    fn a_paste_is_text_however_its_bytes_are_cut_and_whatever_is_in_it() {
        let bytes = b"a\x1b[200~D\ry\r\n\x1b[A\x1b[201~b";
        for at in 1..bytes.len() {
            let mut decoder = Decoder::new(true);
            let mut messages = decoder.take(&bytes[..at]);
            messages.extend(decoder.take(&bytes[at..]));
            assert_eq!(told(&messages), "a | <D\ny\n\x1b[A> | b", "cut at {at}");
        }
    }

    #[test]
    fn a_paste_without_end_frees_the_keyboard_and_a_huge_one_is_cut() {
        let mut decoder = Decoder::new(true);
        assert!(decoder.take(b"\x1b[200~abc").is_empty());
        assert_eq!(decoder.waits(), Some(PASTE_REST_MAX));
        assert_eq!(told(&decoder.give_up()), "<abc>");
        assert_eq!(told(&decoder.take(b"q")), "q");
        let huge = [PASTE_BEGINS, &vec![b'x'; PASTE_BYTES_MAX + 9], PASTE_ENDS].concat();
        let [Msg::Paste(text)] = &decoder.take(&huge)[..] else { panic!("one paste") };
        assert_eq!(text.len(), PASTE_BYTES_MAX);
    }

    #[test]
    fn where_pastes_are_not_marked_many_letters_at_once_are_one() {
        let mut decoder = Decoder::new(false);
        assert_eq!(told(&decoder.take(b"delete from kitchen\rDy\rDy\r")), "<delete from kitchen\nDy\nDy\n>");
        assert_eq!(told(&decoder.take(b"Dy")), "D y");
        assert_eq!(told(&decoder.take(&[b'j'; 40])), vec!["j"; 40].join(" "), "a key that is held down");
        assert!(told(&decoder.take("\x1b[B".repeat(40).as_bytes())).starts_with("Down Down"));
    }
}

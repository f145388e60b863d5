//! What is among the bytes that a program writes to a terminal.

/// One control sequence, without what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sequence {
    /// `ESC [`, its numbers as they stand, and its last letter.
    Csi(String, char),
    /// `ESC ]`, and what follows.
    Osc(String),
    /// `ESC` and a letter.
    Escape(char),
}

/// All control sequences in order.
pub(crate) fn of(bytes: &[u8]) -> Vec<Sequence> {
    let text = String::from_utf8_lossy(bytes);
    let mut letters = text.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = letters.next() {
        if letter != '\x1b' {
            continue;
        }
        match letters.next() {
            Some('[') => {
                let mut numbers = String::new();
                while let Some(letter) = letters.next_if(|letter| !('@'..='~').contains(letter)) {
                    numbers.push(letter);
                }
                found.extend(letters.next().map(|last| Sequence::Csi(numbers, last)));
            }
            Some(']') => {
                let mut said = String::new();
                while let Some(letter) = letters.next_if(|letter| !matches!(letter, '\x07' | '\x1b')) {
                    said.push(letter);
                }
                found.push(Sequence::Osc(said));
            }
            other => found.extend(other.map(Sequence::Escape)),
        }
    }
    found
}

/// Nothing may be asked of the terminal: over a slow line the answer looks like keys.
pub(crate) fn assert_no_question(bytes: &[u8]) {
    let is_question = |sequence: &Sequence| match sequence {
        Sequence::Csi(_, 'n' | 'c' | 'p') => true,
        Sequence::Csi(numbers, 'q') => numbers.starts_with('>'),
        Sequence::Osc(said) => said.ends_with('?'),
        _ => false,
    };
    let asked: Vec<Sequence> = of(bytes).into_iter().filter(is_question).collect();
    assert_eq!(asked, [], "the terminal was asked");
}

#[test]
fn questions_are_found_among_other_sequences() {
    let found = of(b"a\x1b[1;7mb\x1b[?25l\x1b]52;c;eA==\x07c\x1b7");
    let csi = |numbers: &str, last| Sequence::Csi(numbers.to_owned(), last);
    assert_eq!(found, [csi("1;7", 'm'), csi("?25", 'l'), Sequence::Osc("52;c;eA==".to_owned()), Sequence::Escape('7')]);
    assert_no_question(b"\x1b[6;1H\x1b[c".split_at(6).0);
    for question in ["\x1b[6n", "\x1b[c", "\x1b[>q", "\x1b]11;?\x07"] {
        assert!(std::panic::catch_unwind(|| assert_no_question(question.as_bytes())).is_err(), "{question:?}");
    }
}

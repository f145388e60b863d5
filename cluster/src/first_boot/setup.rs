//! What came of a first boot, in one line, for those who announce the machine on the network.

use super::STATE_FOLDER;
use super::disk::{Disk, PUBLIC};
use picloud_model::placement::LABEL_BYTES_MAX;
use std::path::Path;

/// The file with the line.
const FILE: &str = "setup";
/// What it says where all went well.
pub(super) const OK: &str = "ok";
/// Longest such line: an entry of a text record has 255 bytes, of which `setup=` takes six.
pub const SETUP_BYTES_MAX: usize = 240;

/// What is announced of the first boot of this machine; nothing where it never had one.
pub fn setup_said() -> Option<String> {
    said_below(Path::new("/"))
}

/// What is wrong with this machine's first boot, as a label's value; nothing where nothing is.
pub fn setup_trouble() -> Option<String> {
    trouble(&setup_said()?)
}

/// What is wrong, as a label's value may be.
pub(crate) fn trouble(said: &str) -> Option<String> {
    let fits = |c: char| match c {
        ',' => Some(';'),
        '=' => Some(' '),
        c if c.is_control() => None,
        c => Some(c),
    };
    let value: String = said.chars().filter_map(fits).collect();
    Some(cut(&value, LABEL_BYTES_MAX).trim().to_owned()).filter(|_value| said != OK)
}

fn said_below(root: &Path) -> Option<String> {
    let path = root.join(STATE_FOLDER.trim_start_matches('/')).join(FILE);
    let bytes = crate::private_file::read_first(&path, SETUP_BYTES_MAX as u64).ok().flatten()?;
    let line = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().trim().to_owned();
    Some(line).filter(|line| !line.is_empty())
}

/// Writes it down: what is wrong, or that nothing is.
pub(super) fn say(disk: &Disk, wrong: Option<&str>) -> std::io::Result<()> {
    let line = cut(wrong.unwrap_or(OK), SETUP_BYTES_MAX);
    disk.write(format!("{STATE_FOLDER}/{FILE}"), format!("{line}\n").as_bytes(), PUBLIC, None)
}

/// As much of a line as there is room for.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::first_boot::Machine;

    #[test]
    fn what_is_wrong_is_one_line_that_fits_into_a_text_record() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine { boot: dir.path().join("boot"), root: dir.path().to_owned(), now: 0 };
        assert_eq!(said_below(dir.path()), None);
        say(&Disk::new(&machine), None).unwrap();
        assert_eq!(said_below(dir.path()).as_deref(), Some("ok"));
        say(&Disk::new(&machine), Some(&"ü".repeat(200))).unwrap();
        assert_eq!(said_below(dir.path()).unwrap().len(), SETUP_BYTES_MAX);
    }
}

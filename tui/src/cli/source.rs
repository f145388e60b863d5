//! Where a source, body or value on the command line comes from: the argument, a file, or standard input.

use crate::failure::Failure;
use crate::folder::cannot;
use std::io::Read;
use std::path::Path;

/// Largest thing that is read; the appliance's own limits are lower.
const BYTES_MAX: u64 = 80 * 1024 * 1024;

/// The content of a file; `-` is standard input.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut content)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut content))
    };
    read.map_err(|error| cannot("read", path, &error))?;
    if content.len() as u64 > BYTES_MAX {
        return Err(Failure::other(format!("{} has more than {BYTES_MAX} bytes", path.display()), None));
    }
    Ok(content)
}

/// The text of a file; `-` is standard input.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|_no_text| {
        Failure::other(format!("{} is not UTF-8 text", path.display()), Some("save it in the encoding UTF-8"))
    })
}

/// A value of the command line: `@FILE` is the content of a file, `-` standard input, all else stands for itself.
pub(super) fn read_argument(text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path)),
        None if text == "-" => read_file(Path::new("-")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

//! What goes into the boot partition beside the image: `picloud.toml`, checked as the machine will, and app folders.

use crate::failure::Failure;
use crate::folder::{self, cannot};
use picloud_model::app_folder::files_from_bundle;
use picloud_model::boot_file::{APPS_FOLDER, BOOT_FILE, BOOT_FILE_BYTES_MAX, BootFile, read, text};
use picloud_model::clock::UnixMs;
use picloud_model::script::Diagnostic;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files by their path on the partition.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;
/// The folder of time zones of this computer.
const TIME_ZONES: &str = "/usr/share/zoneinfo";

/// The file that somebody gave, as it is and as it reads; an empty one where nobody did.
pub(crate) fn given(path: Option<&Path>, now: UnixMs) -> Result<(String, BootFile), Failure> {
    let Some(path) = path else { return Ok((String::new(), BootFile::default())) };
    let text = text_of(path, BOOT_FILE_BYTES_MAX)?;
    match read(&text, Some(now)) {
        Ok(file) => Ok((text, file)),
        Err(found) => Err(broken(found, &path.display().to_string())),
    }
}

/// A text file of at most so many bytes.
pub(crate) fn text_of(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    let mut text = String::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let opened = std::fs::File::open(path).map_err(|error| cannot("read", path, &error))?;
    opened.take(limit).read_to_string(&mut text).map_err(|error| cannot("read", path, &error))?;
    Ok(text)
}

/// The files of a card: `changed` says what of `file` came from flags, so that a text that nobody changed stays.
pub(crate) fn files(
    original: String,
    file: &BootFile,
    changed: bool,
    apps: &[PathBuf],
    now: UnixMs,
) -> Result<Files, Failure> {
    let content = if changed { text(file) } else { original };
    // What flags say is checked by the same rules; its lines are nobody's.
    let file = read(&content, Some(now)).map_err(|found| broken(found, "what the flags say"))?;
    check_zone(&file)?;
    let mut files = Files::new();
    if !content.is_empty() {
        files.insert(BOOT_FILE.to_owned(), content.into_bytes());
    }
    for app in apps {
        let bundle = folder::read(app)?;
        for (path, content) in files_from_bundle(&bundle) {
            let path = format!("{APPS_FOLDER}/{}/{path}", bundle.name);
            if files.insert(path, content).is_some() {
                return Err(Failure::usage(format!("the app `{}` is given twice", bundle.name), "give each app once"));
            }
        }
    }
    Ok(files)
}

/// This computer may know time zones, too.
fn check_zone(file: &BootFile) -> Result<(), Failure> {
    let zones = Path::new(TIME_ZONES);
    match &file.time_zone {
        Some(zone) if zones.is_dir() && !zones.join(zone).is_file() => {
            let fault = file.fault(
                "time_zone",
                format!("there is no time zone {zone:?}"),
                "timedatectl list-timezones shows them",
            );
            Err(broken(vec![fault], BOOT_FILE))
        }
        _other => Ok(()),
    }
}

fn broken(found: Vec<Diagnostic>, name: &str) -> Failure {
    let named = |fault: Diagnostic| Diagnostic { file: Some(name.to_owned()), ..fault };
    let message = format!("{name} is not what a machine would take; nothing was written");
    Failure::Broken { message, found: found.into_iter().map(named).collect() }
}

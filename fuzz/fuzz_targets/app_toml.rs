//! Any folder is refused with what is wrong with it or makes an app; an app that was made, exported and read again is
//! the same app.
//!
//! An input is an `app.toml`; after a line `--- PATH` another file begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use picloud_model::app_folder::{MANIFEST, app_name, bundle_from_files, files_from_bundle};
use std::collections::BTreeMap;

/// The scripts that are there in any case, so that routes can lead somewhere.
const SCRIPTS: &[(&str, &str)] = &[("scripts/hello.rhai", "\"hello\""), ("scripts/report.rhai", "1")];

fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> =
        SCRIPTS.iter().map(|(path, source)| ((*path).to_owned(), source.as_bytes().to_vec())).collect();
    let mut parts = text.split("\n--- ");
    files.insert(MANIFEST.to_owned(), parts.next().unwrap_or_default().as_bytes().to_vec());
    for part in parts {
        let (path, content) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(path.to_owned(), content.as_bytes().to_vec());
    }
    files
}

fuzz_target!(|text: &str| {
    let _name = app_name(text);
    match bundle_from_files(files(text)) {
        Err(found) => assert!(!found.is_empty(), "a refusal says why"),
        Ok(mut bundle) => {
            // A message is of one deploy, and is not exported.
            bundle.message = None;
            let exported = files_from_bundle(&bundle);
            let again = bundle_from_files(exported.clone()).unwrap_or_else(|found| panic!("{found:?}\n{exported:?}"));
            assert_eq!(again, bundle);
            assert_eq!(files_from_bundle(&again), exported);
        }
    }
});

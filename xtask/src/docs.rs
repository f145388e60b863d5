//! The pages of docs/ that are made from the code: `docs/sdk.md` and `docs/api-reference.md`.
//!
//! The crates know what is in them, and this one uses none of ours: tests of theirs compare the pages with the code, and
//! write what a page should be beside it where it is not.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What those tests are called.
const TEST: &str = "the_page_in_the_docs_is_what_the_code_says";
/// The pages.
const PAGES: [&str; 2] = ["docs/sdk.md", "docs/api-reference.md"];

/// Writes the pages.
pub(crate) fn run(root: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["test", "--quiet", "--locked", "--workspace", "--lib", "--no-fail-fast", "--", TEST])
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .context("start cargo")?;
    let mut written = 0;
    for page in PAGES {
        let (path, new) = (root.join(page), root.join(format!("{page}.new")));
        if new.exists() {
            fs::rename(&new, &path).with_context(|| format!("put `{page}` in its place"))?;
            println!("{page} is written");
            written += 1;
        }
    }
    ensure!(status.success() || written > 0, "the tests that compare the pages with the code did not run");
    Ok(())
}

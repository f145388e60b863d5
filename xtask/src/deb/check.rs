//! What must hold for finished packages: the same bytes each time, and Debian's rules.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Packages made twice must be the same, byte for byte.
pub(super) fn same(first: &[PathBuf], second: &[PathBuf]) -> Result<()> {
    for (one, other) in first.iter().zip(second) {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("read {}", path.display()));
        let (left, right) = (read(one)?, read(other)?);
        let differs = left.iter().zip(&right).position(|(left, right)| left != right);
        ensure!(
            left == right,
            "{} came out otherwise the second time, from byte {} on: compare both with diffoscope",
            one.display(),
            differs.unwrap_or(left.len().min(right.len()))
        );
    }
    println!("   packed twice: the same bytes");
    Ok(())
}

/// Asks lintian. What it may not say stands in `lintian-overrides` of the package, each with its reason.
pub(super) fn lint(files: &[PathBuf]) -> Result<()> {
    let said = Command::new("lintian")
        .args(["--allow-root", "--tag-display-limit", "0", "--info", "--fail-on", "error,warning"])
        .args(files)
        .stdin(Stdio::null())
        .output()
        .context("start lintian")?;
    let text = String::from_utf8_lossy(&said.stdout);
    ensure!(
        said.status.success(),
        "lintian has something to say: mend it, or explain it in images/deb/PACKAGE/lintian-overrides\n{text}{}",
        String::from_utf8_lossy(&said.stderr)
    );
    println!("   lintian has nothing to say");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::same;
    use std::path::PathBuf;

    #[test]
    fn a_difference_is_named_with_its_place() {
        let folder = std::env::temp_dir().join(format!("picloud-same-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files: Vec<PathBuf> = ["a", "b", "c"].iter().map(|name| folder.join(name)).collect();
        for (file, text) in files.iter().zip(["same", "same", "sane"]) {
            std::fs::write(file, text).unwrap();
        }
        assert!(same(&files[..1], &files[1..2]).is_ok());
        let error = same(&files[..1], &files[2..]).unwrap_err().to_string();
        assert!(error.contains("from byte 2 on"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

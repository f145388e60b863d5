//! The base of all images: Debian's packages as one tar archive, made once per recipe and kept.

use super::recipe::{FOLDER, Recipe};
use super::tools;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The base that belongs to the recipe: the one kept in `cache`, or a new one, which takes 10 to 60 minutes.
///
/// The recipe names packages and not their versions, so a kept base is as old as its day: `fresh` makes it anew.
pub(crate) fn make(root: &Path, recipe: &Recipe, cache: &Path, fresh: bool) -> Result<PathBuf> {
    let key = recipe.base_key(root)?;
    let base = cache.join(format!("base-{key}.tar"));
    if base.is_file() && !fresh {
        println!("   kept from before: {}", base.display());
        return Ok(base);
    }
    fs::create_dir_all(cache).with_context(|| format!("make `{}`", cache.display()))?;
    // The image has it under this name, in /etc/apt/sources.list.d.
    let asked = tempfile::Builder::new()
        // Read by another user, whom mmdebstrap takes root's place with.
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(cache)
        .context("make a folder for the sources")?;
    let sources = asked.path().join("debian.sources");
    fs::write(&sources, recipe.apt_sources()).with_context(|| format!("write `{}`", sources.display()))?;
    let unfinished = cache.join(format!("base-{key}.new.tar"));
    let made =
        tools::run(&mut command(root, recipe, &unfinished, &sources)?).context("make the base of Debian's packages");
    if let Err(error) = made {
        // What is there of it is of no use; where nothing is there, nothing is to be removed.
        drop(fs::remove_file(&unfinished));
        return Err(error);
    }
    fs::rename(&unfinished, &base).with_context(|| format!("name `{}`", base.display()))?;
    Ok(base)
}

fn command(root: &Path, recipe: &Recipe, out: &Path, sources: &Path) -> Result<Command> {
    let folder = root.join(FOLDER);
    let mut command = Command::new("mmdebstrap");
    command
        .env("SOURCE_DATE_EPOCH", recipe.epoch_s()?.to_string())
        // The kernel's hook would make an initrd, and every package that touches it another; the last step makes one.
        .env("INITRD", "No")
        .args(["--mode=unshare", "--variant=minbase"])
        .arg(format!("--architectures={}", recipe.architecture))
        .args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\""])
        // What the recipe lays down before a package brings its own file of that name is what holds.
        .args(["--dpkgopt=force-confold", "--dpkgopt=force-unsafe-io"])
        .args(recipe.files.excluded.iter().map(|pattern| format!("--dpkgopt=path-exclude={pattern}")))
        .args(recipe.files.included.iter().map(|pattern| format!("--dpkgopt=path-include={pattern}")))
        .arg(format!("--include={}", recipe.packages.keys().map(String::as_str).collect::<Vec<_>>().join(",")))
        .arg(hook("setup", &[&folder.join("steps/before.sh").to_string_lossy(), "\"$1\"", &folder.to_string_lossy()]))
        .arg(hook("customize", &[&folder.join("steps/after.sh").to_string_lossy(), "\"$1\""]))
        .arg(recipe.suite())
        .args([out, sources]);
    Ok(command)
}

/// A hook of mmdebstrap that runs a script of the recipe; a word with spaces is quoted, `"$1"` is the root.
pub(crate) fn hook(stage: &str, words: &[&str]) -> String {
    let quote = |word: &&str| match *word {
        "\"$1\"" => (*word).to_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    };
    format!("--{stage}-hook=sh {}", words.iter().map(quote).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_survives_folders_with_spaces_and_quotes() {
        assert_eq!(hook("setup", &["/a b/x.sh", "\"$1\"", "it's"]), r#"--setup-hook=sh '/a b/x.sh' "$1" 'it'\''s'"#);
    }
}

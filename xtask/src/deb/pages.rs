//! Manual pages and completions, printed by the programs themselves.

use super::PACKAGES;
use crate::cross::{done, output};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each shell, and where its completions belong, with `{}` for the name of the program.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/{}"),
    ("fish", "usr/share/fish/vendor_completions.d/{}.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_{}"),
];

/// The programs that go by a settings file.
const SETTLED: &[&str] = &["picloud-appliance", "picloud-node"];

/// A folder of them.
pub(super) struct Pages {
    folder: PathBuf,
}

impl Pages {
    /// Has the programs in `speaking` print them into `folder`.
    pub(super) fn print(speaking: &Path, folder: &Path) -> Result<Self> {
        let _nothing_left_over = fs::remove_dir_all(folder);
        for name in PACKAGES {
            let man = folder.join(name).join("man");
            fs::create_dir_all(&man).with_context(|| format!("make {}", man.display()))?;
            let program = speaking.join(name);
            done(quiet(&program).arg("man").arg(&man))?;
            if SETTLED.contains(name) {
                fs::write(folder.join(name).join("settings"), output(quiet(&program).arg("example-config"))?)?;
            }
            for (shell, _) in SHELLS {
                let script = output(quiet(&program).args(["completions", shell]))?;
                ensure!(!script.is_empty(), "`{name} completions {shell}` printed nothing");
                fs::write(folder.join(name).join(shell), script)?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The commented settings file of a program.
    pub(super) fn settings(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.folder.join(name).join("settings");
        fs::read(&file).with_context(|| format!("read {}", file.display()))
    }

    /// What of them belongs into the package of one program: each file and its place.
    pub(super) fn of(&self, name: &str) -> Result<Vec<(PathBuf, String)>> {
        let own = self.folder.join(name);
        let mut files: Vec<(PathBuf, String)> =
            SHELLS.iter().map(|(shell, place)| (own.join(shell), place.replace("{}", name))).collect();
        for entry in fs::read_dir(own.join("man")).with_context(|| format!("read the manual pages of {name}"))? {
            let path = entry?.path();
            let page = path.file_name().context("a page has a name")?.to_string_lossy().into_owned();
            files.push((path, format!("usr/share/man/man1/{page}")));
        }
        files.sort();
        Ok(files)
    }
}

/// The program without whatever this person has set.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", "/nonexistent").env("COLUMNS", "100");
    command
}

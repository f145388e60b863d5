//! The fuzz targets of `fuzz/`, each for a bounded number of inputs from the corpus that is kept there.
//!
//! A longer run by hand: `cargo fuzz run -s none --target-dir target/fuzz TARGET -- -max_total_time=3600`. What it
//! finds beside crashes are new inputs in the target's folder below `fuzz/corpus`; keep the corpus small: `cargo fuzz cmin`.

use crate::packages;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Pinned, so that what is built does not change under us.
const CARGO_FUZZ_VERSION: &str = "0.13.2";
/// Where it is built: with other flags than everything else, so not beside it.
const TARGET_DIR: &str = "target/fuzz";
/// A single input that takes longer is a finding.
const INPUT_SECONDS_MAX: u32 = 20;
/// Memory of the whole fuzzer, above which the input is a finding.
const FUZZER_MIB_MAX: u32 = 2_048;

/// One target.
struct Target {
    name: &'static str,
    runs: u32,
    /// Ends the run before its number is reached, on a slow machine.
    seconds_max: u32,
    bytes_max: u32,
    /// Words to make inputs of, from `fuzz/`.
    dictionary: Option<&'static str>,
}

const TARGETS: &[Target] = &[
    Target {
        name: "compile_and_run",
        runs: 8_000,
        seconds_max: 45,
        bytes_max: 1_024,
        dictionary: Some("fuzz/rhai.dict"),
    },
    Target { name: "path", runs: 200_000, seconds_max: 10, bytes_max: 512, dictionary: None },
    Target { name: "frames", runs: 100_000, seconds_max: 10, bytes_max: 4_096, dictionary: None },
    Target { name: "app_toml", runs: 50_000, seconds_max: 15, bytes_max: 4_096, dictionary: None },
    Target { name: "node_frames", runs: 100_000, seconds_max: 15, bytes_max: 4_096, dictionary: None },
];

/// Installs what is missing.
pub(crate) fn install() -> Result<()> {
    if packages::runs("cargo", &["fuzz", "--version"]) {
        println!("   cargo-fuzz is installed");
        return Ok(());
    }
    println!("   cargo-fuzz is missing: installing version {CARGO_FUZZ_VERSION}");
    let status = Command::new("cargo")
        .args(["install", "cargo-fuzz", "--version", CARGO_FUZZ_VERSION, "--locked", "--debug"])
        .stdin(Stdio::null())
        .status()
        .context("start cargo install")?;
    ensure!(status.success(), "`cargo install cargo-fuzz` failed: is the network there?");
    ensure!(
        packages::runs("cargo", &["fuzz", "--version"]),
        "cargo-fuzz was installed but cargo does not find it: put cargo's bin folder into PATH"
    );
    Ok(())
}

/// Builds the targets and runs each.
pub(crate) fn run(root: &Path) -> Result<()> {
    check_lock(root)?;
    // `-s none`: sanitizers need a nightly compiler; what is looked for here shows without them.
    let build = ["fuzz", "build", "-s", "none", "--target-dir", TARGET_DIR];
    let status = Command::new("cargo").args(build).current_dir(root).stdin(Stdio::null()).status();
    ensure!(status.context("start cargo fuzz")?.success(), "the fuzz targets do not build: mend fuzz/");
    for target in TARGETS {
        fuzz(root, target)?;
    }
    Ok(())
}

/// `cargo fuzz` cannot be told to leave the lock file as it is, so it is checked beforehand.
fn check_lock(root: &Path) -> Result<()> {
    let out = Command::new("cargo")
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("start cargo metadata")?;
    ensure!(
        out.status.success(),
        "fuzz/Cargo.lock does not fit the crates: `cp Cargo.lock fuzz/Cargo.lock`, then `cargo metadata \
         --manifest-path fuzz/Cargo.toml` brings in what only the targets need\n{}",
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(())
}

fn fuzz(root: &Path, target: &Target) -> Result<()> {
    let Target { name, runs, seconds_max, bytes_max, dictionary } = target;
    // What a bounded run finds is thrown away: the kept corpus changes by hand only.
    let found = root.join(TARGET_DIR).join("found").join(name);
    let temporary = root.join(TARGET_DIR).join("tmp");
    for folder in [&found, &temporary] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("empty `{}`", folder.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("make `{}`", folder.display()))?;
    }
    let kept = format!("fuzz/corpus/{name}");
    let mut command = Command::new("cargo");
    command
        .args(["fuzz", "run", "-s", "none", "--target-dir", TARGET_DIR, name])
        .arg(&found)
        .arg(&kept)
        .arg("--")
        .args(["-seed=1", "-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-runs={runs}"))
        .arg(format!("-max_total_time={seconds_max}"))
        .arg(format!("-max_len={bytes_max}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={FUZZER_MIB_MAX}"))
        .env("TMPDIR", &temporary)
        .current_dir(root)
        .stdin(Stdio::null());
    if let Some(words) = dictionary {
        command.arg(format!("-dict={words}"));
    }
    let out = command.output().context("start cargo fuzz")?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        println!("{said}");
        bail!(
            "target `{name}` found an input that breaks a promise; above stand what broke, the file with the input \
             (below fuzz/artifacts/{name}/) and the command that runs it again"
        );
    }
    let done = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("   {name:<16} {:>7} inputs", done.map_or("?", str::trim));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_in_the_manifest_and_the_other_way_round() {
        let root = crate::root().unwrap();
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
        let declared: Vec<&str> =
            manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        assert_eq!(declared, names);
        for name in names {
            assert!(root.join("fuzz/corpus").join(name).is_dir(), "{name} has a corpus");
        }
    }
}

//! `cargo xtask test`: everything that must hold before a change lands, in the order of what fails fastest.
//!
//! It needs no input and nothing but Rust on the machine; what else it needs, it installs. It stops at the first
//! step that fails and says what to do about it.

use crate::{api, fuzz, packages, tidy, units};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The test runner's version: pinned, so that the tests do not change under us.
const NEXTEST_VERSION: &str = "0.9.143";

/// One step that is a cargo command.
struct Step {
    title: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// What to do when it fails.
    remedy: &'static str,
}

const STEPS: &[Step] = &[
    Step { title: "format", args: &["fmt", "--all", "--", "--check"], env: &[], remedy: "run `cargo fmt --all`" },
    Step {
        title: "lints",
        args: &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        env: &[],
        remedy: "mend what clippy names above; its reasons for banned functions stand in clippy.toml",
    },
    Step {
        title: "documentation",
        args: &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"],
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        remedy: "mend the links and tags that rustdoc names above",
    },
    Step {
        title: "tests",
        args: &["nextest", "run", "--workspace", "--locked"],
        // A snapshot that differs fails; it is never rewritten here.
        env: &[("INSTA_UPDATE", "no")],
        remedy: "mend the code or the test; where a snapshot rightly changed, run that test with INSTA_UPDATE=always and read the difference",
    },
    Step {
        title: "examples in the documentation",
        args: &["test", "--workspace", "--doc", "--quiet", "--locked"],
        env: &[],
        remedy: "mend the example in the doc comment named above",
    },
];

/// Runs all of it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let start = Instant::now();
    timed("Debian packages", packages::install_missing)?;
    timed("tools", || install_tools(root))?;
    timed("tidy", || tidy::run(root))?;
    timed("units of systemd", || units::run(root))?;
    for step in STEPS {
        timed(&format!("{} (cargo {})", step.title, step.args.join(" ")), || cargo(root, step))?;
    }
    timed("fuzzing", || fuzz::run(root))?;
    timed("API fuzzing", || api::run(root))?;
    println!("\nall of it holds, in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn timed(title: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {title}");
    let start = Instant::now();
    step().with_context(|| format!("step `{title}` failed"))?;
    println!("   ok in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(root: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(step.args).envs(step.env.iter().copied()).stdin(Stdio::null());
    // The settings of whoever runs this must not reach the programs under test.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PICLOUD_")) {
            command.env_remove(name);
        }
    }
    let status = command.status().context("start cargo")?;
    ensure!(status.success(), "{}", step.remedy);
    Ok(())
}

/// The parts of the toolchain and the test runner, installed where they are missing.
fn install_tools(root: &Path) -> Result<()> {
    install_rust_tools()?;
    fuzz::install()?;
    api::install(root)
}

fn install_rust_tools() -> Result<()> {
    for (component, probe) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if packages::runs("cargo", &[probe, "--version"]) {
            println!("   {component} is installed");
        } else if !packages::runs("rustup", &["component", "add", component]) {
            bail!("{component} is missing and rustup could not add it: install it beside your Rust");
        } else {
            println!("   {component} was added");
        }
    }
    if packages::runs("cargo", &["nextest", "--version"]) {
        println!("   cargo-nextest is installed");
        return Ok(());
    }
    println!("   cargo-nextest is missing: installing version {NEXTEST_VERSION}, which takes minutes once");
    let status = Command::new("cargo")
        // A debug build runs the same tests and is there in half the time.
        .args([
            "install",
            "cargo-nextest",
            "--version",
            NEXTEST_VERSION,
            "--locked",
            "--debug",
            "--no-default-features",
            "--features",
            "default-no-update",
        ])
        .stdin(Stdio::null())
        .status()
        .context("start cargo install")?;
    ensure!(status.success(), "`cargo install cargo-nextest` failed: is the network there?");
    ensure!(
        packages::runs("cargo", &["nextest", "--version"]),
        "cargo-nextest was installed but cargo does not find it: put cargo's bin folder into PATH"
    );
    Ok(())
}

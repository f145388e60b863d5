//! Building for the processors of other machines: which there are, with which tools, and with which flags.
//!
//! To add one: a row in [`ARCHES`], and its linker in `.cargo/config.toml`.

mod standard;

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A processor that packages are made for.
#[derive(Debug)]
pub(crate) struct Arch {
    /// As Debian calls it.
    pub(crate) debian: &'static str,
    /// As Rust calls it.
    pub(crate) triple: &'static str,
    /// How the names of its tools begin: `aarch64-linux-gnu-` before `gcc`.
    pub(crate) tools: &'static str,
    /// Debian packages that bring these tools, each with the reason.
    pub(crate) packages: &'static [(&'static str, &'static str)],
}

/// All of them.
pub(crate) const ARCHES: &[Arch] = &[
    Arch {
        debian: "amd64",
        triple: "x86_64-unknown-linux-gnu",
        tools: "x86_64-linux-gnu-",
        packages: &[
            ("gcc", "compiles the bundled SQLite, and links"),
            ("libc6-dev", "the headers that SQLite includes"),
        ],
    },
    Arch {
        debian: "arm64",
        triple: "aarch64-unknown-linux-gnu",
        tools: "aarch64-linux-gnu-",
        packages: &[
            ("gcc-aarch64-linux-gnu", "compiles and links for the 64-bit Pi"),
            ("libc6-dev-arm64-cross", "the C library of the 64-bit Pi"),
        ],
    },
    Arch {
        debian: "armhf",
        triple: "armv7-unknown-linux-gnueabihf",
        tools: "arm-linux-gnueabihf-",
        packages: &[
            ("gcc-arm-linux-gnueabihf", "compiles and links for the 32-bit Pi"),
            ("libc6-dev-armhf-cross", "the C library of the 32-bit Pi"),
        ],
    },
];

impl Arch {
    /// The one that Debian calls so.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let known = || ARCHES.iter().map(|arch| arch.debian).collect::<Vec<_>>().join(", ");
        ARCHES
            .iter()
            .find(|arch| arch.debian == name)
            .with_context(|| format!("no packages are made for `{name}`: take one of {}", known()))
    }

    /// The one of this machine.
    pub(crate) fn of_this_machine() -> Result<&'static Self> {
        let triple = rustc()?.host;
        ARCHES
            .iter()
            .find(|arch| arch.triple == triple)
            .with_context(|| format!("no packages are made for `{triple}`, which this machine is"))
    }

    /// One of its tools: `aarch64-linux-gnu-strip`.
    pub(crate) fn tool(&self, name: &str) -> String {
        format!("{}{name}", self.tools)
    }
}

/// What matters of the compiler.
pub(crate) struct Rustc {
    /// `1.95.0`
    pub(crate) release: String,
    /// The commit that it was built from.
    pub(crate) commit: String,
    /// The triple of this machine.
    pub(crate) host: String,
}

/// Asks the compiler.
pub(crate) fn rustc() -> Result<Rustc> {
    let said = output(Command::new("rustc").arg("-vV"))?;
    let line = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(name));
        found.map(|value| value.trim().to_owned()).with_context(|| format!("`rustc -vV` says nothing of `{name}`"))
    };
    Ok(Rustc { release: line("release:")?, commit: line("commit-hash:")?, host: line("host:")? })
}

/// Where cargo builds.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Builds the programs of `packages` and answers the folder they are in.
///
/// With other profiles than `dev`, what comes out says nothing of this machine: the same commit and compiler give
/// the same bytes in every folder. `dev` takes what tests have built already.
pub(crate) fn build(root: &Path, arch: &Arch, profile: &str, packages: &[&str]) -> Result<PathBuf> {
    let target = target_dir(root);
    if profile == "dev" && arch.triple == rustc()?.host {
        return as_tests(root);
    }
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["build", "--locked", "--bins", "--profile", profile]).stdin(Stdio::null());
    for package in packages {
        command.args(["--package", package]);
    }
    let mut flags = same_everywhere(root, &target)?;
    let mut c_flags: Vec<String> = flags.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}")).collect();
    c_flags.sort();
    let sysroot = standard::sysroot(root, arch)?;
    let mut rust_flags: Vec<String> =
        flags.drain(..).map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    rust_flags.extend(sysroot.map(|path| format!("--sysroot={}", path.display())));
    // A megabyte less of the appliance; glibc reads these since 2.36, which is bookworm's.
    rust_flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
    let under = arch.triple.replace('-', "_");
    command
        .args(["--target", arch.triple])
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags.join("\x1f"))
        .env("CARGO_INCREMENTAL", "0")
        // Rhai's hasher draws keys while it is compiled. In what is published they are no secret, drawn or not.
        .env("CONST_RANDOM_SEED", "picloud")
        .env(format!("CFLAGS_{under}"), c_flags.join(" "))
        .env(format!("CC_{under}"), arch.tool("gcc"))
        .env(format!("AR_{under}"), arch.tool("ar"));
    ensure!(
        command.status().context("start cargo")?.success(),
        "the programs do not build for {}: mend what stands above",
        arch.debian
    );
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(arch.triple).join(folder))
}

/// Builds the programs as the tests do, which takes no time after them, and answers the folder they are in.
///
/// Asked for alone, they would be built with fewer features of the crates they share, and so would these crates.
pub(crate) fn as_tests(root: &Path) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["test", "--workspace", "--no-run", "--quiet", "--locked"]).stdin(Stdio::null());
    ensure!(command.status().context("start cargo")?.success(), "the programs do not build: mend what stands above");
    Ok(target_dir(root).join("debug"))
}

/// Folders whose names must not get into a program, and what stands there in their place. The last that fits wins.
fn same_everywhere(root: &Path, target: &Path) -> Result<Vec<(String, String)>> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let rust = rustc()?;
    let folders = [
        (root.to_owned(), "/picloud".to_owned()),
        (target.to_owned(), "/picloud/target".to_owned()),
        (crates()?, "/crates".to_owned()),
        (Path::new(sysroot.trim()).join("lib/rustlib/src/rust"), format!("/rustc/{}", rust.commit)),
    ];
    folders
        .into_iter()
        .map(|(from, to)| {
            let text = from.to_str().with_context(|| format!("{} is no UTF-8", from.display()))?;
            // Both lists are split at such characters.
            if text.contains([' ', '=', '\x1f']) {
                bail!("`{text}` has a blank or `=` in its name, which compilers cannot be told of: build in another folder");
            }
            Ok((text.to_owned(), to))
        })
        .collect()
}

/// Where cargo keeps the sources of crates.
fn crates() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    Ok(home.context("HOME is not set: cargo keeps its crates there")?.join("registry/src"))
}

/// What a command prints, where it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let said = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    ensure!(said.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&said.stderr).trim());
    String::from_utf8(said.stdout).with_context(|| format!("read what {command:?} prints"))
}

/// Runs a command that has to succeed; what it says stands on the terminal only where it fails.
pub(crate) fn done(command: &mut Command) -> Result<()> {
    let said = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    let text = [said.stdout, said.stderr].concat();
    ensure!(said.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&text).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_its_linker_in_the_configuration_of_cargo() {
        let config = std::fs::read_to_string(crate::root().unwrap().join(".cargo/config.toml")).unwrap();
        for arch in ARCHES.iter().filter(|arch| arch.debian != "amd64") {
            let wanted = format!("[target.{}]\nlinker = \"{}\"", arch.triple, arch.tool("gcc"));
            assert!(config.contains(&wanted), "{wanted}");
        }
    }

    #[test]
    fn an_unknown_processor_is_refused_with_the_known_ones() {
        assert_eq!(Arch::named("arm64").unwrap().triple, "aarch64-unknown-linux-gnu");
        let error = Arch::named("riscv64").unwrap_err().to_string();
        assert_eq!(error, "no packages are made for `riscv64`: take one of amd64, arm64, armhf");
    }
}

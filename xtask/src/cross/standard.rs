//! Rust's standard library for another processor: what rustup has, or built once from Debian's `rust-src`.
//!
//! Nothing is installed for that: apt works in a folder of its own below `target/cross`, and what is built is a second
//! sysroot there, which the compiler is pointed at.

use super::{Arch, Rustc, crates, done, output, rustc, target_dir};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian has sources of compilers newer than its own.
const SOURCES: &str = "\
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie-backports main
";

/// A crate that needs the standard library and nothing else.
const STUB: &str = "[package]\nname = \"stub\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";

/// The sysroot that has the standard library of `arch`; none where it is the compiler's own.
pub(super) fn sysroot(root: &Path, arch: &Arch) -> Result<Option<PathBuf>> {
    if is_there(&own_libraries(arch)?) {
        return Ok(None);
    }
    let rust = rustc()?;
    let cache = target_dir(root).join("cross");
    let made = cache.join(format!("{}-{}", rust.release, &rust.commit[..9]));
    let libraries = made.join("lib/rustlib").join(arch.triple).join("lib");
    if is_there(&libraries) {
        return Ok(Some(made));
    }
    println!("   {}: asking rustup for its standard library", arch.triple);
    let asked = Command::new("rustup").args(["target", "add", arch.triple]).stdin(Stdio::null()).output();
    if asked.is_ok_and(|asked| asked.status.success()) && is_there(&own_libraries(arch)?) {
        return Ok(None);
    }
    println!(
        "   {}: rustup has it not; building it from Debian's rust-src {}, which takes minutes once",
        arch.triple, rust.release
    );
    fs::create_dir_all(&cache).with_context(|| format!("make {}", cache.display()))?;
    let source = source(&cache, &rust)?;
    build(&cache, arch, &rust, &source, &libraries)?;
    Ok(Some(made))
}

/// Where the compiler has it, if it does.
fn own_libraries(arch: &Arch) -> Result<PathBuf> {
    let said = output(Command::new("rustc").args(["--print", "target-libdir", "--target", arch.triple]))?;
    Ok(PathBuf::from(said.trim()))
}

fn is_there(libraries: &Path) -> bool {
    let names = fs::read_dir(libraries).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libstd-"))
}

/// Brings the source of exactly this compiler's library; answers its folder.
fn source(cache: &Path, rust: &Rustc) -> Result<PathBuf> {
    let unpacked = cache.join(format!("rust-src-{}", rust.release));
    let library = unpacked.join(format!("usr/src/rustc-{}/library", rust.release));
    if library.is_dir() {
        return Ok(library);
    }
    let apt = cache.join("apt");
    for folder in ["etc/apt", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"] {
        fs::create_dir_all(apt.join(folder)).with_context(|| format!("make {}", apt.join(folder).display()))?;
    }
    fs::write(apt.join("etc/apt/sources.list"), SOURCES).context("write the sources of apt")?;
    let status = apt.join("var/lib/dpkg/status");
    fs::write(&status, "").context("write an empty list of packages")?;
    let apt_of = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(&apt).arg("-o").arg(format!("Dir={}", apt.display()));
        command
            .arg("-o")
            .arg(format!("Dir::State::status={}", status.display()))
            .args(["-o", "APT::Sandbox::User=root"]);
        command
    };
    done(apt_of("apt-get").args(["-q", "update"]))?;
    let listed = output(apt_of("apt-cache").args(["madison", "rust-src"]))?;
    let version = version_of(&listed, &rust.release).with_context(|| {
        format!(
            "Debian's trixie-backports has no rust-src {} any more: add the target with rustup where its server can be \
             reached, or move to a compiler that is listed there:\n{listed}",
            rust.release
        )
    })?;
    done(apt_of("apt-get").arg("download").arg(format!("rust-src={version}")))?;
    let file = fs::read_dir(&apt)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "deb"));
    let file = file.context("apt downloaded no package")?;
    done(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
    fs::remove_file(&file).with_context(|| format!("delete {}", file.display()))?;
    ensure!(library.is_dir(), "rust-src {version} has no {}", library.display());
    Ok(library)
}

/// The package version of `release` in what `apt-cache madison` lists.
fn version_of<'a>(listed: &'a str, release: &str) -> Option<&'a str> {
    let versions = listed.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions.into_iter().find(|version| version.split(['+', '-', '~']).next() == Some(release))
}

/// Builds it, and puts it where a compiler looks for it.
fn build(cache: &Path, arch: &Arch, rust: &Rustc, library: &Path, libraries: &Path) -> Result<()> {
    let work = cache.join(format!("work-{}", arch.triple));
    let _nothing_left_over = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("stub/src"))?;
    fs::write(work.join("stub/Cargo.toml"), STUB)?;
    fs::write(work.join("stub/src/lib.rs"), "#![no_std]\n")?;
    let flags = [
        format!("--remap-path-prefix={}=/crates", crates()?.display()),
        format!("--remap-path-prefix={}=/build", work.display()),
        format!("--remap-path-prefix={}=/rustc/{}/library", library.display(), rust.commit),
    ];
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let sysroot = Path::new(sysroot.trim());
    // Cargo builds the standard library only for a nightly compiler, or one that is told to be its own.
    done(
        Command::new(sysroot.join("bin/cargo"))
            .current_dir(work.join("stub"))
            .args(["build", "-q", "-Z", "build-std=std,panic_abort,test", "--release", "--target", arch.triple])
            .arg("--target-dir")
            .arg(work.join("target"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", sysroot.join("bin/rustc"))
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    // Complete under another name first: an interrupted copy is never taken for the library.
    let partial = libraries.with_extension("partial");
    let _nothing_left_over = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    let built = work.join("target").join(arch.triple).join("release/deps");
    for entry in fs::read_dir(&built).with_context(|| format!("read {}", built.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libstub-") {
            fs::copy(entry.path(), partial.join(&name)).with_context(|| format!("copy {name}"))?;
        }
    }
    ensure!(is_there(&partial), "cargo built no standard library for {}", arch.triple);
    fs::rename(&partial, libraries).with_context(|| format!("make {}", libraries.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("delete {}", work.display()))
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn only_the_source_of_exactly_this_compiler_is_taken() {
        let listed = "\
  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.85.1+dfsg1-1+deb13u1 | http://deb.debian.org/debian trixie/main amd64 Packages
";
        for (release, version) in [
            ("1.95.0", Some("1.95.0+dfsg1-2~bpo13+1")),
            ("1.85.1", Some("1.85.1+dfsg1-1+deb13u1")),
            ("1.95", None),
            ("1.97.0", None),
        ] {
            assert_eq!(version_of(listed, release), version, "{release}");
        }
    }
}

//! The programs that an image is made and tried with, and how they are run.

use anyhow::{Context, Result, bail, ensure};
use std::process::{Command, Stdio};

/// Program, Debian package that has it, and the reason.
pub(crate) const TOOLS: &[(&str, &str, &str)] = &[
    ("arch-test", "arch-test", "tells mmdebstrap that arm64 programs run here"),
    ("debugfs", "e2fsprogs", "makes the root partition, and reads files out of it"),
    ("genimage", "genimage", "puts the partitions into one image"),
    ("mcopy", "mtools", "fills the boot partition, and reads it"),
    ("mkfs.fat", "dosfstools", "makes the boot partition"),
    ("mmdebstrap", "mmdebstrap", "makes a root file system of Debian's packages"),
    ("qemu-aarch64-static", "qemu-user-static", "runs what the packages run while they are installed"),
    ("xz", "xz-utils", "compresses the image"),
    ("zstd", "zstd", "unpacks the initrd, to see what it holds"),
];

/// Refuses, naming all that is missing and the one command that installs it.
pub(crate) fn check(tools: &[(&str, &str, &str)]) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|(program, ..)| !is_there(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reasons: Vec<String> =
        missing.iter().map(|(program, _, reason)| format!("   {program:<20} {reason}")).collect();
    let packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    bail!(
        "these programs are missing:\n{}\n\nhint: apt-get install --no-install-recommends {}",
        reasons.join("\n"),
        packages.join(" ")
    );
}

/// Whether the kernel runs programs for `architecture` through qemu; the image's own run while it is made.
pub(crate) fn check_emulation() -> Result<()> {
    if cfg!(target_arch = "aarch64") {
        return Ok(());
    }
    let entry = "/proc/sys/fs/binfmt_misc/qemu-aarch64";
    let registered = std::fs::read_to_string(entry).unwrap_or_default();
    ensure!(
        registered.starts_with("enabled")
            && registered.lines().any(|line| line.starts_with("flags:") && line.contains('F')),
        "the kernel is not told to run arm64 programs through qemu (`{entry}` is missing or lacks the flag F)\n\n\
         hint: as root: mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; /usr/lib/systemd/systemd-binfmt"
    );
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

/// Runs a command to its end; what it says goes to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("start `{program}`"))?;
    ensure!(status.success(), "`{program}` failed ({status}): see what it said above");
    Ok(())
}

/// Runs a command to its end and gives what it wrote.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("start `{program}`"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "`{program}` failed ({}): {}", out.status, said.trim());
    Ok(out.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package_and_its_reason() {
        let refusal =
            check(&[("sh", "dash", "is there"), ("no-such-program", "its-package", "tests this")]).unwrap_err();
        insta::assert_snapshot!(refusal, @r"
        these programs are missing:
           no-such-program      tests this

        hint: apt-get install --no-install-recommends its-package
        ");
    }
}

//! The packages that are to be installed: what each says of itself, and whether its version goes with the appliance's.

use crate::failure::Failure;
use crate::folder::cannot;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package with the agent.
pub(super) const AGENT: &str = "picloud-node";
/// The largest package that is read.
const PACKAGE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Debian's names of what a node calls its architecture.
const ARCHITECTURES: [(&str, &str); 4] =
    [("aarch64", "arm64"), ("x86_64", "amd64"), ("arm", "armhf"), ("riscv64", "riscv64")];

/// A package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Package {
    /// The file.
    pub(super) path: PathBuf,
    /// `picloud-node`.
    pub(super) name: String,
    /// Debian's version: `0.2.0-1`.
    pub(super) version: String,
    /// Debian's architecture, or `all`.
    pub(super) arch: String,
    /// Its bytes.
    pub(super) size_bytes: u64,
    /// Over its bytes.
    pub(super) sha256: String,
}

impl Package {
    /// Reads what the file says of itself; refuses what is no package.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let found = std::fs::metadata(path).map_err(|error| cannot("read", path, &error))?;
        if found.len() > PACKAGE_BYTES_MAX {
            let message = format!("{} has {} bytes: no package of PiCloud's is so large", path.display(), found.len());
            return Err(Failure::other(message, None));
        }
        let bytes = std::fs::read(path).map_err(|error| cannot("read", path, &error))?;
        let asked = Command::new("dpkg-deb").arg("-f").arg(path).args(["Package", "Version", "Architecture"]).output();
        let asked = asked.map_err(|error| {
            let hint = "packages are looked into with dpkg-deb: run this on a Debian machine, such as the appliance";
            Failure::other(format!("dpkg-deb cannot be run: {error}"), Some(hint))
        })?;
        if !asked.status.success() {
            let said = String::from_utf8_lossy(&asked.stderr);
            let message = format!("{} is no Debian package: {}", path.display(), said.trim());
            return Err(Failure::other(message, Some("name a file such as picloud-node_0.2.0_arm64.deb")));
        }
        let fields = String::from_utf8_lossy(&asked.stdout);
        let field = |name: &str| {
            let line = fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").expect("a text takes all that is written into it");
            digits
        });
        Ok(Self {
            path: path.to_owned(),
            name: field("Package"),
            version: field("Version"),
            arch: field("Architecture"),
            size_bytes: bytes.len() as u64,
            sha256,
        })
    }

    /// The version that the program in it tells of itself.
    pub(super) fn program_version(&self) -> &str {
        upstream(&self.version)
    }

    /// Whether a machine that calls its architecture so can run it.
    pub(super) fn runs_on(&self, arch: &str) -> bool {
        self.arch == "all" || debian_arch(arch) == self.arch
    }
}

/// Debian's name of what a node calls its architecture.
pub(super) fn debian_arch(arch: &str) -> &str {
    ARCHITECTURES.iter().find(|(ours, _debians)| *ours == arch).map_or(arch, |(_ours, debians)| debians)
}

/// `1:0.2.0~rc1+deb12-3` → `0.2.0`: without Debian's own parts, and without what comes before or after a release.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(rest, _revision)| rest);
    version.split(['~', '+']).next().unwrap_or(version)
}

/// Refuses an agent that does not speak with this appliance: one release apart is understood by both, more is not.
pub(super) fn check_distance(agent: &str, appliance: &str) -> Result<(), Failure> {
    let Some(((agent_major, agent_minor), (major, minor))) = release(agent).zip(release(appliance)) else {
        let message = format!("it cannot be told whether version {agent} goes with the appliance's {appliance}");
        return Err(Failure::other(message, Some("a version has three numbers, such as 0.2.0")));
    };
    if agent_major == major && agent_minor.abs_diff(minor) <= 1 {
        return Ok(());
    }
    let hint = "appliance and nodes may be one release apart: upgrade the appliance first, and one release at a time";
    Err(Failure::other(format!("version {agent} does not go with the appliance's {appliance}"), Some(hint)))
}

fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = upstream(version).split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_version_is_that_of_its_package_without_debians_parts() {
        for version in ["0.2.0", "0.2.0-1", "1:0.2.0-1~bpo13+1", "0.2.0~git20261122-1", "0.2.0+b1"] {
            assert_eq!(upstream(version), "0.2.0", "{version}");
        }
    }

    #[test]
    fn one_release_apart_is_taken_and_more_is_refused() {
        for (agent, appliance, goes) in [
            ("0.2.0", "0.2.7", true),
            ("0.3.0", "0.2.7", true),
            ("0.1.9", "0.2.0", true),
            ("0.4.0", "0.2.0", false),
            ("0.1.0", "0.3.0", false),
            ("1.2.0", "0.2.0", false),
            ("two", "0.2.0", false),
        ] {
            assert_eq!(check_distance(agent, appliance).is_ok(), goes, "{agent} with {appliance}");
        }
    }
}

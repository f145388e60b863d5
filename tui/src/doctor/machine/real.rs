//! The machine this runs on; or, for tests, one whose files lie below a folder.

use super::{CardSpeed, Lan, Machine, NotRun, Person, Space, card, lan, tool};
use std::fs;
use std::io::Read;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most that is read of a file of the kernel or of a configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Most names of a folder.
const NAMES_MAX: usize = 10_000;

/// A machine whose root is here.
#[derive(Debug)]
pub(crate) struct Real {
    root: PathBuf,
}

impl Real {
    /// The machine whose files are below `root`; this one for `/`.
    pub(crate) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Machine for Real {
    fn read(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        fs::File::open(self.at(path)).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.at(path)) else { return Vec::new() };
        let names = entries.flatten().take(NAMES_MAX).map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn link(&self, path: &str) -> Option<String> {
        Some(fs::read_link(self.at(path)).ok()?.to_string_lossy().into_owned())
    }

    fn has(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, NotRun> {
        // The programs of this machine say nothing of another's files.
        if self.root == Path::new("/") { tool::run(program, arguments) } else { Err(NotRun::Missing) }
    }

    fn space(&self, path: &str) -> Option<Space> {
        let said = rustix::fs::statvfs(self.at(path)).ok()?;
        Some(Space {
            bytes: said.f_blocks * said.f_frsize,
            free_bytes: said.f_bavail * said.f_frsize,
            files: said.f_files,
            free_files: said.f_favail,
        })
    }

    fn person(&self) -> Person {
        let user = nix::unistd::geteuid();
        let name = nix::unistd::User::from_uid(user).ok().flatten().map(|user| user.name);
        let groups = nix::unistd::getgroups().unwrap_or_default();
        let group_name = |gid| nix::unistd::Group::from_gid(gid).ok().flatten().map(|group| group.name);
        Person {
            name: name.unwrap_or_else(|| user.to_string()),
            is_root: user.is_root(),
            groups: groups.into_iter().chain([nix::unistd::getegid()]).filter_map(group_name).collect(),
        }
    }

    fn card_speed(&self, folder: &str) -> Result<CardSpeed, String> {
        card::measure(&self.at(folder))
    }

    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let found = (name, 0).to_socket_addrs().map_err(|error| error.to_string())?;
        Ok(found.map(|address| address.ip()).collect())
    }

    fn listen(&self, host: &str, patience: Duration) -> Result<Lan, String> {
        lan::listen(host, patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_below_the_root_and_what_is_not_there_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/uptime"), "1.0 2.0\n").unwrap();
        std::os::unix::fs::symlink("/usr/share/zoneinfo/UTC", root.path().join("localtime")).unwrap();
        let machine = Real::below(root.path());
        assert_eq!(machine.read("/proc/uptime").as_deref(), Some("1.0 2.0\n"));
        assert_eq!((machine.read("/proc/gone"), machine.names("/gone")), (None, Vec::new()));
        assert_eq!(machine.names("/"), ["localtime", "proc"]);
        assert_eq!(machine.link("/localtime").as_deref(), Some("/usr/share/zoneinfo/UTC"));
        assert_eq!(machine.run("true", &[]), Err(NotRun::Missing), "not the tools of another machine");
        assert!(machine.space("/").is_some_and(|space| space.bytes >= space.free_bytes));
    }
}

//! What is remembered between commands: the appliance one is logged in to, and the CAs that were met.
//!
//! All of it is below one folder, in files that nobody else may read, each replaced whole or not at all.

use crate::failure::Failure;
use crate::folder::cannot;
use crate::place::Url;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The folder, which need not be there yet.
#[derive(Clone, Debug)]
pub(crate) struct ConfigDir(Option<PathBuf>);

/// `config.toml`: the appliance that is asked where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Its URL.
    pub(crate) url: String,
    /// The key to show there, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

impl ConfigDir {
    /// `$XDG_CONFIG_HOME/picloud`, or `$HOME/.config/picloud`; nothing is remembered where neither is set.
    pub(crate) fn of(xdg_config_home: Option<PathBuf>, home: Option<PathBuf>) -> Self {
        // The specification says that a relative path is to be ignored.
        let absolute = |path: &PathBuf| path.is_absolute();
        let base = xdg_config_home.filter(absolute).or_else(|| home.filter(absolute).map(|home| home.join(".config")));
        Self(base.map(|base| base.join("picloud")))
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        self.0.as_ref().map(|folder| folder.join(name))
    }

    /// The login, if there is one.
    pub(crate) fn login(&self) -> Result<Option<Login>, Failure> {
        let Some(path) = self.file(LOGIN) else { return Ok(None) };
        let Some(login) = read_toml::<Login>(&path, "picloud logout")? else { return Ok(None) };
        Url::parse(&login.url)
            .map_err(|_bad_url| broken(&path, &format!("`{}` is no URL", login.url), "picloud logout"))?;
        Ok(Some(login))
    }

    /// Remembers a login; answers where.
    pub(crate) fn log_in(&self, login: &Login) -> Result<PathBuf, Failure> {
        let path = self.file(LOGIN).ok_or_else(nowhere)?;
        write_toml(
            &path,
            "# Written by `picloud login`; `picloud logout` removes it. It holds a key: keep it to yourself.",
            login,
        )?;
        Ok(path)
    }

    /// Forgets the login; answers whether there was one.
    pub(crate) fn log_out(&self) -> Result<bool, Failure> {
        let Some(path) = self.file(LOGIN) else { return Ok(false) };
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(cannot("remove", &path, &error)),
        }
    }
}

const LOGIN: &str = "config.toml";

/// Nothing can be remembered here.
pub(crate) fn nowhere() -> Failure {
    Failure::other(
        "there is no folder to remember it in: neither HOME nor XDG_CONFIG_HOME is set",
        Some("set HOME; programs give --url, PICLOUD_KEY and PICLOUD_FINGERPRINT instead"),
    )
}

/// A file as a value; `None` where there is no such file. `mend` is what to do about one that cannot be read.
pub(crate) fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path, mend: &str) -> Result<Option<T>, Failure> {
    let text = match fs::metadata(path).map(|file| file.len()) {
        Ok(size) if size > FILE_BYTES_MAX => return Err(broken(path, "it is too large", mend)),
        Ok(_) => fs::read_to_string(path).map_err(|error| cannot("read", path, &error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("read", path, &error)),
    };
    toml::from_str(&text).map(Some).map_err(|error| broken(path, error.message(), mend))
}

fn broken(path: &Path, why: &str, mend: &str) -> Failure {
    Failure::other(format!("{} cannot be understood: {why}", path.display()), Some(&format!("mend it, or: {mend}")))
}

/// Writes a value below a comment, for its owner only, all of it or nothing.
pub(crate) fn write_toml(path: &Path, comment: &str, value: &impl Serialize) -> Result<(), Failure> {
    let text = toml::to_string(value).expect("what is remembered has names as keys");
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| cannot("make the folder", folder, &error))?;
    write_private(path, |file| file.write_all(format!("{comment}\n{text}").as_bytes()))
        .map_err(|error| cannot("write", path, &error))
}

/// Makes or replaces a file that only its owner may read: it comes in whole and on the disk, or not at all.
pub(crate) fn write_private(path: &Path, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let (temporary, mut file) = private_file(path)?;
    let filled = fill(&mut file).and_then(|()| finish_private(path, &temporary, &file));
    if filled.is_err() {
        // What failed says why; a leftover only takes room.
        let _gone = fs::remove_file(&temporary);
    }
    filled
}

/// A new empty file beside `path`, for [`finish_private`] to put in its place.
pub(crate) fn private_file(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // Never through what lies there: in a folder that others may write to, that could be a link of theirs.
    let new = || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let file = match new() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            new()?
        }
        made => made?,
    };
    Ok((temporary, file))
}

/// Puts a filled file in its place.
pub(crate) fn finish_private(path: &Path, temporary: &Path, file: &fs::File) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_login_is_kept_for_its_owner_only_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let dir = ConfigDir::of(None, Some(home.path().to_owned()));
        assert_eq!(dir.login().unwrap(), None);
        let login = Login { url: "https://pi:8443".to_owned(), key: Some("picloud_x".to_owned()) };
        let path = dir.log_in(&login).unwrap();
        assert_eq!(path, home.path().join(".config/picloud/config.toml"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left there");
        assert_eq!(dir.login().unwrap(), Some(login));
        fs::write(&path, "url = 1\n").unwrap();
        assert!(dir.login().unwrap_err().problem().detail.contains("config.toml"));
        assert!(dir.log_out().unwrap());
        assert!(!dir.log_out().unwrap());
    }

    #[test]
    fn what_lies_in_the_way_of_a_private_file_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, theirs) = (folder.path().join("b.tar"), folder.path().join("theirs"));
        fs::write(&theirs, "theirs").unwrap();
        let in_the_way = folder.path().join(format!("b.tar.{}.tmp", std::process::id()));
        std::os::unix::fs::symlink(&theirs, &in_the_way).unwrap();
        write_private(&path, |file| file.write_all(b"mine")).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&theirs).unwrap()), (b"mine".to_vec(), b"theirs".to_vec()));
        let failed = write_private(&path, |_file| Err(io::Error::other("no")));
        assert!(failed.is_err() && fs::read(&path).unwrap() == b"mine" && !in_the_way.exists());
    }

    #[test]
    fn the_folder_is_the_one_of_the_specification() {
        let of = |xdg: &str, home: &str| {
            let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
            ConfigDir::of(path(xdg), path(home)).file("x")
        };
        assert_eq!(of("/c", "/h"), Some("/c/picloud/x".into()));
        assert_eq!(of("relative", "/h"), Some("/h/.config/picloud/x".into()));
        assert_eq!(of("", ""), None);
    }
}

//! Where a repository is: a folder, a machine that is reached over SSH, or a bucket.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place for backups, as restic names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A folder of this machine: another disk, a mounted share.
    Folder(PathBuf),
    /// `sftp:USER@HOST:/FOLDER`
    Sftp(String),
    /// `s3:https://HOST/BUCKET`
    S3(String),
}

impl Target {
    /// What a person wrote; `None` where it is none of the three, or holds credentials.
    pub fn parse(text: &str) -> Option<Self> {
        if text.chars().any(char::is_control) {
            return None;
        }
        if let Some(place) = text.strip_prefix("sftp:") {
            let named = match place.strip_prefix("//") {
                Some(url) => url.split_once('/').is_some_and(|(host, folder)| !host.is_empty() && !folder.is_empty()),
                None => place.split_once(':').is_some_and(|(host, folder)| !host.is_empty() && !folder.is_empty()),
            };
            // What begins with a dash would be an option of ssh.
            return (named && !place.trim_start_matches('/').starts_with('-')).then(|| Self::Sftp(text.to_owned()));
        }
        if let Some(place) = text.strip_prefix("s3:") {
            let url = place.strip_prefix("https://").or_else(|| place.strip_prefix("http://")).unwrap_or(place);
            let (host, bucket) = url.split_once('/')?;
            let named = !host.is_empty() && !host.contains('@') && !bucket.trim_matches('/').is_empty();
            return named.then(|| Self::S3(text.to_owned()));
        }
        // A relative one would be another folder for the timer than for a person.
        Path::new(text).is_absolute().then(|| Self::Folder(PathBuf::from(text)))
    }

    /// Whom SSH is asked for, where it is reached so and its name is one word of a command.
    pub fn ssh_destination(&self) -> Option<SshDestination<'_>> {
        let Self::Sftp(text) = self else { return None };
        let place = text.strip_prefix("sftp:")?;
        let found = match place.strip_prefix("//") {
            None => SshDestination { host: place.split_once(':')?.0, port: None },
            Some(url) => {
                let (host, _folder) = url.split_once('/')?;
                match host.rsplit_once(':') {
                    Some((host, port)) => SshDestination { host, port: Some(port.parse().ok()?) },
                    None => SshDestination { host, port: None },
                }
            }
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
        found.host.chars().all(fits).then_some(found)
    }

    /// Whether it is reached over a network: what restic reads again and again is kept here then.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::Folder(_))
    }
}

/// Whom SSH is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshDestination<'t> {
    /// `HOST` or `USER@HOST`.
    pub host: &'t str,
    /// The port; SSH's own where absent.
    pub port: Option<u16>,
}

impl SshDestination<'_> {
    /// The command that speaks SFTP with it.
    pub fn command(&self, options: &str) -> String {
        let port = self.port.map(|port| format!("-p {port} ")).unwrap_or_default();
        format!("ssh {options} {port}{} -s sftp", self.host)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Sftp(text) | Self::S3(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_absolute_folder_sftp_or_s3_and_holds_no_credentials() {
        let good = [
            "/mnt/usb/picloud",
            "sftp:pi@vault:/srv/picloud",
            "sftp:vault:backups",
            "sftp://pi@vault:2222//srv/picloud",
            "s3:https://s3.example.org/bucket",
            "s3:http://127.0.0.1:9000/bucket/pi",
            "s3:s3.amazonaws.com/bucket",
        ];
        for text in good {
            assert_eq!(Target::parse(text).map(|target| target.to_string()).as_deref(), Some(text));
        }
        let bad = [
            "",
            "backups",
            "./backups",
            "sftp:",
            "sftp:vault",
            "sftp:-oProxyCommand=x:/srv",
            "sftp://-oProxyCommand=x/srv",
            "s3:",
            "s3:https://host",
            "s3:https://host/",
            "s3:https://key:secret@host/bucket",
            "rest:http://host/",
            "/mnt/usb\n",
        ];
        for text in bad {
            assert_eq!(Target::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn ssh_is_asked_for_the_host_and_port_of_the_address() {
        let asked = |text: &str| {
            let target = Target::parse(text).unwrap();
            target.ssh_destination().map(|found| (found.host.to_owned(), found.port))
        };
        assert_eq!(asked("sftp:pi@vault:/srv/picloud"), Some(("pi@vault".to_owned(), None)));
        assert_eq!(asked("sftp://pi@vault:2222//srv/picloud"), Some(("pi@vault".to_owned(), Some(2222))));
        assert_eq!(asked("sftp://vault/backups"), Some(("vault".to_owned(), None)));
        for text in ["sftp://vault:x/backups", "sftp:vault -o ProxyCommand=x:/srv", "/mnt/usb", "s3:https://h/b"] {
            assert_eq!(asked(text), None, "{text}");
        }
    }
}

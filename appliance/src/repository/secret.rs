//! The secrets of a repository: its password, and what a bucket asks for. Each is a file that only its owner may read;
//! neither is ever on a command line.

use super::RepositoryError;
use picloud_cluster::private_file;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// The letters of a password: none that looks like another on paper.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of one group.
const GROUP_LETTERS: usize = 5;
/// Groups of a password: 5 bits a letter, 200 together.
const GROUPS: usize = 8;
/// Most bytes of such a file.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// What others than the owner may do, in a mode.
const OTHERS: u32 = 0o077;
/// Variables that an environment file may set: what S3 asks for, whom to trust, and nothing that would turn restic to
/// something else.
const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_PROFILE",
    "SSL_CERT_FILE",
];

/// A new password: `h7kqp-…`.
pub(super) fn new_password() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; GROUPS * GROUP_LETTERS]);
    getrandom::fill(bytes.as_mut())?;
    let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP_LETTERS + 1)));
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % GROUP_LETTERS == 0 {
            text.push('-');
        }
        // 32 letters divide 256: each is as likely as the others.
        text.push(char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    }
    Ok(text)
}

/// Makes the file of a password; it is whole or not there.
pub(super) fn write_password(file: &Path, password: &str, owner: Option<(u32, u32)>) -> Result<(), RepositoryError> {
    private_file::write(file, format!("{password}\n").as_bytes()).map_err(RepositoryError::io("write", file))?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::chown(file, Some(uid), Some(gid)).map_err(RepositoryError::io("give away", file))?;
    }
    Ok(())
}

/// Refuses a password file that is missing, empty, or open to others.
pub(super) fn check_password(file: &Path) -> Result<(), RepositoryError> {
    let text = read(
        file,
        "the password of the repository",
        "write the password from the recovery sheet into it, with mode 0600; for a new repository: picloud-appliance repository init",
    )?;
    if text.trim().is_empty() {
        let hint = "write the password from the recovery sheet into it".to_owned();
        return Err(bad(file, "is empty".to_owned(), hint));
    }
    Ok(())
}

/// The variables of an environment file: lines of `NAME=value`, and `#` for remarks.
pub(super) fn variables(file: &Path) -> Result<Vec<(String, String)>, RepositoryError> {
    let text = read(
        file,
        "the setting `backup_env_file` names it",
        "write AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=… into it, with mode 0600",
    )?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if !VARIABLES.contains(&name.trim()) {
            // The value is not told: it may be what is secret.
            let what = format!("line {}: `{}` is no variable that is passed on", at + 1, name.trim().escape_debug());
            return Err(bad(file, what, format!("write lines NAME=value with one of {}", VARIABLES.join(", "))));
        }
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        found.push((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()));
    }
    Ok(found)
}

fn read(file: &Path, what: &'static str, hint: &'static str) -> Result<Zeroizing<String>, RepositoryError> {
    let known = match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(RepositoryError::NoSecret { file: file.to_owned(), what, hint });
        }
        known => known.map_err(RepositoryError::io("look at", file))?,
    };
    let (mode, owner, me) = (known.mode() & 0o777, known.uid(), nix::unistd::geteuid());
    if mode & OTHERS != 0 {
        let what = format!("may be read by others: its mode is {mode:o}");
        return Err(bad(file, what, format!("chmod 600 {}", file.display())));
    }
    if owner != me.as_raw() && !me.is_root() {
        return Err(bad(file, "belongs to somebody else".to_owned(), format!("chown {me} {}", file.display())));
    }
    let bytes = private_file::read(file, FILE_BYTES_MAX).map_err(RepositoryError::io("read", file))?;
    let text = String::from_utf8(bytes.unwrap_or_default());
    text.map(Zeroizing::new).map_err(|_other| bad(file, "is no text".to_owned(), "write it anew, in UTF-8".to_owned()))
}

fn bad(file: &Path, what: String, hint: String) -> RepositoryError {
    RepositoryError::BadSecret { file: file.to_owned(), what, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_password_is_long_readable_and_never_the_same() {
        let (one, other) = (new_password().unwrap(), new_password().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), GROUPS * (GROUP_LETTERS + 1) - 1);
        assert!(one.bytes().all(|letter| letter == b'-' || LETTERS.contains(&letter)), "{}", *one);
    }

    #[test]
    fn a_secret_that_others_may_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let refused = || check_password(&file).unwrap_err().to_string();
        assert!(refused().contains("does not exist"), "{}", refused());
        write_password(&file, "x", None).unwrap();
        check_password(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused().contains("mode is 640") && refused().contains("chmod 600"), "{}", refused());
        write_password(&file, "", None).unwrap();
        assert!(refused().contains("is empty"), "{}", refused());
    }

    #[test]
    fn an_environment_file_passes_on_what_s3_asks_for_and_refuses_the_rest_without_telling_values() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        private_file::write(&file, b"# key\nAWS_ACCESS_KEY_ID=a\n\nAWS_SECRET_ACCESS_KEY = \"b=c\"\n").unwrap();
        let found = variables(&file).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b=c")]);
        private_file::write(&file, b"AWS_ACCESS_KEY_ID=a\nRESTIC_PASSWORD_COMMAND=hunter2\n").unwrap();
        let refused = variables(&file).unwrap_err().to_string();
        assert!(refused.contains("line 2") && refused.contains("RESTIC_PASSWORD_COMMAND"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

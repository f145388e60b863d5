//! What to do about what restic says, from words of it that are known.

/// What is done to restore: the disk that runs full then is another one.
pub(super) const FETCH: &str = "fetch the backup";

/// Words of restic for a full disk: whose it is depends on what was done.
const FULL: &[&str] = &["no space left", "quota"];
/// Its other words, and what to do about them; the first that fits counts.
const HINTS: &[(&[&str], &str)] = &[
    (
        &["permission denied", "Permission denied", "Access Denied"],
        "let the user that PiCloud runs as in: for a folder chown, for SSH its key, for S3 `backup_env_file`",
    ),
    (
        &["signature", "Access Key Id", "access key"],
        "the bucket's keys are wrong: write them again into the file that `backup_env_file` names",
    ),
    (
        &["x509", "certificate"],
        "its certificate is not trusted: if it is your own, add SSL_CERT_FILE=/path/of/its.pem to the file that \
         `backup_env_file` names",
    ),
    (
        &[
            "onnection refused",
            "no such host",
            "Could not resolve",
            "o route to host",
            "etwork is unreachable",
            "i/o timeout",
            "onnection timed out",
        ],
        "it cannot be reached: is that machine on, and its name and port right?",
    ),
    (
        &["Host key verification failed"],
        "connect once by hand as the user that PiCloud runs as, and compare the key: sudo -u picloud ssh HOST",
    ),
    (
        &["repository is already locked", "unable to create lock"],
        "somebody else is at it; wait for their end, or where that one was killed: restic unlock",
    ),
    (
        &["ciphertext verification failed", "does not match", "hash mismatch", "invalid data"],
        "bytes of the repository have changed: see which: picloud-appliance repository check --all",
    ),
];

/// The hint for what it said while it did this; none where nothing is known of its words.
pub(super) fn hint_of(doing: &str, said: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    match (has(FULL), doing) {
        (true, FETCH) => Some(
            "the disk that is restored to is full: make room there (df -h, df -i), and give the same command again",
        ),
        (true, _) => Some(
            "the disk of the repository is full: make room there, or keep fewer (picloud-appliance repository prune)",
        ),
        (false, _) => HINTS.iter().find(|(words, _hint)| has(words)).map(|(_words, hint)| *hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_that_of_the_repository_or_the_one_that_is_restored_to() {
        let said = "write /x: no space left on device";
        assert!(hint_of("take the backup", said).unwrap().starts_with("the disk of the repository"));
        assert!(hint_of(FETCH, said).unwrap().starts_with("the disk that is restored to"));
        assert_eq!(hint_of(FETCH, "the sea is rough"), None);
    }
}

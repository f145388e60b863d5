//! The recovery sheet: what a person needs on paper when the machine is gone.

use super::Repository;
use picloud_cluster::identity::{ca_of_pem, whole_fingerprint_groups};
use picloud_model::hash::ContentHash;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Where the password lies while data is restored: the data folder must be empty then.
const RESTORE_FILE: &str = "/root/picloud-backup.password";

/// The sheet; the password stands on it where it is given.
pub(super) fn text(repository: &Repository, node: &str, password: Option<&str>) -> Zeroizing<String> {
    let ca = std::fs::read_to_string(repository.data_dir.join("keys/ca.crt")).ok();
    let ca = ca.and_then(|pem| ca_of_pem(&pem).ok()).map(|ca| whole_fingerprint_groups(&ContentHash::of(&ca)));
    let (place, file) = (repository.target(), repository.settings.password_file.display());
    let mut text = Zeroizing::new(String::new());
    let _never =
        writeln!(text, "RECOVERY SHEET of the PiCloud appliance `{node}`: keep it on paper, away from the machine\n");
    let _never = writeln!(text, "  repository  {place}");
    let _never = match password {
        Some(password) => {
            writeln!(text, "  password    {password}   (shown only this once; without it the backups are lost)")
        }
        None => writeln!(text, "  password    is in {file}"),
    };
    let _never = match ca {
        Some(ca) => writeln!(text, "  its CA      SHA256 {ca}"),
        None => writeln!(text, "  its CA      is made at the first start"),
    };
    let _never = write!(
        text,
        "\nOn a new machine, with picloud-appliance and restic installed and the appliance stopped:\n\
         \x20 1. write the password into a file that only you may read: install -m 600 /dev/stdin {RESTORE_FILE}\n\
         \x20 2. picloud-appliance repository restore --backup-repository '{place}' \\\n\
         \x20      --backup-password-file {RESTORE_FILE} --data-dir {}\n\
         \x20 3. systemctl start picloud-appliance\n\
         It is the same appliance then: nodes and clients that trust its CA come back by themselves.\n\
         Without PiCloud: restic -r '{place}' snapshots",
        repository.data_dir.display()
    );
    text
}

#[cfg(test)]
mod tests {
    use crate::config::{Mode, Settings};
    use crate::repository::{Repository, Target};

    #[test]
    fn the_sheet_says_what_is_needed_and_what_to_do() {
        let mut settings = Settings::defaults(&Mode::Service);
        settings.data_dir = "/nonexistent/picloud".into();
        settings.backup_repository = Target::parse("sftp:pi@vault:/srv/picloud");
        let repository = Repository::of(&settings).unwrap();
        let (first, later) =
            (super::text(&repository, "pi", Some("abcde-fghij")), super::text(&repository, "pi", None));
        insta::assert_snapshot!(format!("{}\n-----\n{}", *first, *later));
    }
}

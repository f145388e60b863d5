//! `first-boot`: does what `picloud.toml` on the boot partition says, once, before the agent starts.

use super::{Stopped, terminal};
use crate::config::{self, CONFIG_FILE};
use crate::identity::{Belonging, IdentityFiles, Told};
use picloud_cluster::first_boot::{Ended, Joining, Machine, Program, run as boot};
use picloud_cluster::settings::{ConfigError, Layers};
use picloud_model::clock::{Clock, SystemClock};
use std::path::{Path, PathBuf};

const PROGRAM: Program =
    Program { name: "picloud-node", section: "node", config_file: CONFIG_FILE, data_dir, join_file, check_app: None };

/// Does it.
pub(super) fn run(boot_folder: &Path, root: &Path) -> Result<(), Stopped> {
    terminal::start_log("info", None);
    let machine = Machine { boot: boot_folder.to_owned(), root: root.to_owned(), now: SystemClock.now_ms() };
    match boot(&PROGRAM, &machine)? {
        Ended::NothingNew => terminal::say("there is nothing on the boot partition that was not applied before"),
        Ended::Applied => terminal::say("what the boot partition says was applied; see picloud-report.txt there"),
    }
    Ok(())
}

fn data_dir(file: &Path, text: &str) -> Result<PathBuf, ConfigError> {
    let layers = Layers { file: Some((file.to_owned(), text.to_owned())), ..Layers::default() };
    Ok(config::load(&layers)?.data_dir)
}

/// What `picloud-node join` would write down; nothing where the node is a member already.
fn join_file(data_dir: &Path, joining: &Joining) -> Option<(PathBuf, Vec<u8>)> {
    let files = IdentityFiles::of(data_dir);
    if !matches!(files.belonging(), Ok(Belonging::Nobody)) {
        return None;
    }
    let appliance = joining.appliance.as_deref().and_then(config::typed_address);
    Some(files.told_file(&Told { appliance: appliance.into_iter().collect(), token: joining.token.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "PC1.0123456789abcdef0123456789abcdef.7.fedcba9876543210fedcba9876543210";

    #[test]
    fn a_card_with_a_token_and_labels_makes_a_node_that_asks_to_be_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let (card, root) = (dir.path().join("boot"), dir.path().join("root"));
        std::fs::create_dir_all(&card).unwrap();
        std::fs::create_dir_all(&root).unwrap();
        let text = format!(
            "[node]\nappliance = \"pi.local\"\njoin_token = \"{TOKEN}\"\nlabels = {{ room = \"garage\", relay = \"\" }}\n\
             [node.settings]\nconcurrency = 3\n"
        );
        std::fs::write(card.join("picloud.toml"), &text).unwrap();
        let machine = Machine { boot: card.clone(), root: root.clone(), now: 0 };
        boot(&PROGRAM, &machine).unwrap();
        let told = IdentityFiles::of(&root.join("var/lib/picloud-node")).told().unwrap().unwrap();
        assert_eq!(told, Told { appliance: vec!["pi.local:8443".to_owned()], token: Some(TOKEN.to_owned()) });
        let settings = std::fs::read_to_string(root.join("etc/picloud/node.toml")).unwrap();
        let layers = Layers { file: Some(("node.toml".into(), settings)), ..Layers::default() };
        let settings = config::load(&layers).unwrap();
        assert_eq!((settings.concurrency, settings.labels["room"].as_str()), (3, "garage"));
        let left = std::fs::read_to_string(card.join("picloud.toml")).unwrap();
        assert!(!left.contains("PC1.") && left.len() == text.len());
        assert_eq!(boot(&PROGRAM, &machine).unwrap(), Ended::NothingNew);
    }

    #[test]
    fn a_setting_with_a_typo_is_refused_at_its_line_of_the_card() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("picloud.toml"), "# mine\n[node.settings]\nconcurency = 3\n").unwrap();
        let machine = Machine { boot: dir.path().to_owned(), root: dir.path().join("root"), now: 0 };
        let refused = boot(&PROGRAM, &machine).unwrap_err().to_string();
        insta::assert_snapshot!(refused);
        assert!(!dir.path().join("root/etc/picloud").exists());
    }
}

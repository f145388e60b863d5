//! A card that `picloud flash --join` writes at a real appliance, read by a real agent, which is let in with it.

use crate::program::PATIENCE;
use crate::world::World;
use fatfs::{FileSystem, FsOptions};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the boot partition of the image begins, and how many sectors it has.
const SECTORS: (usize, usize) = (2048, 16_384);
const SECTOR_BYTES: usize = 512;

/// An image with nothing in it but an empty boot partition.
fn image(at: &Path) {
    let boot = at.with_extension("fat");
    File::create(&boot).unwrap().set_len((SECTORS.1 * SECTOR_BYTES) as u64).unwrap();
    let made = Command::new("mkfs.fat").args(["-F", "16", "-s", "1"]).arg(&boot).output();
    assert!(made.expect("mkfs.fat of the package dosfstools is there").status.success());
    let mut image = vec![0; SECTORS.0 * SECTOR_BYTES];
    image.extend(fs::read(&boot).unwrap());
    image[450] = 0x0c;
    image[454..458].copy_from_slice(&(SECTORS.0 as u32).to_le_bytes());
    image[458..462].copy_from_slice(&(SECTORS.1 as u32).to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(at, image).unwrap();
}

/// `picloud.toml` of a card.
fn boot_file(card: &Path) -> String {
    let boot = fs::read(card).unwrap()[SECTORS.0 * SECTOR_BYTES..].to_vec();
    let fat = FileSystem::new(Cursor::new(boot), FsOptions::new()).unwrap();
    let mut text = String::new();
    fat.root_dir().open_file("picloud.toml").unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The agent's program, which is built beside `picloud`.
fn agent() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_picloud")).with_file_name("picloud-node");
    assert!(program.exists(), "{} does not exist: test the whole workspace", program.display());
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    command
}

/// A node that runs until it is dropped.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn paths(world: &World) -> (PathBuf, PathBuf) {
    (world.folder().join("node.img"), world.folder().join("card.img"))
}

#[test]
fn a_card_with_a_token_becomes_a_node_that_nobody_had_to_approve() {
    let world = World::with_https();
    let (image_file, card) = paths(&world);
    image(&image_file);
    let address = world.https().0.trim_start_matches("https://").to_owned();
    let (from, to) = (image_file.display().to_string(), card.display().to_string());
    let flash = ["flash", &from, &to, "--join", "--appliance", &address, "--label", "room=garage"];
    let made = world.json(&flash);
    assert_eq!(made["verified"], json!(true), "{made}");
    let text = boot_file(&card);
    let ca = world.https().1;
    assert!(text.contains(&format!("join_token = \"PC1.{}.1.", &ca[..32])), "the token names the CA: {text}");
    assert!(text.contains(&format!("appliance = \"{address}\"")) && text.contains("join_token_expires"), "{text}");

    let (boot, root) = (world.folder().join("boot"), world.folder().join("root"));
    fs::create_dir_all(&boot).unwrap();
    fs::create_dir_all(&root).unwrap();
    fs::write(boot.join("picloud.toml"), &text).unwrap();
    let folders = ["--boot".to_owned(), boot.display().to_string(), "--root".to_owned(), root.display().to_string()];
    let first = agent().arg("first-boot").args(folders).output().unwrap();
    assert!(first.status.success(), "{first:?}");
    let left = fs::read_to_string(boot.join("picloud.toml")).unwrap();
    assert!(!left.contains("PC1.") && left.len() == text.len(), "{left}");

    let mut run = agent();
    run.arg("run").arg("--data-dir").arg(root.join("var/lib/picloud-node"));
    run.args(["--ingress-addr", "127.0.0.1:0", "--mdns", "false", "--name", "garage"]);
    let log = File::create(world.folder().join("node.log")).unwrap();
    let _node = Node(run.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let node = world.until(&["nodes", "get", "garage"], |node: &Value| node["state"] == "up");
    assert_eq!(node["labels"], json!({ "room": "garage" }), "within {PATIENCE:?}");
    let tokens = world.json(&["join-tokens", "list"]);
    let left = tokens["items"].as_array().unwrap().iter().filter(|token| token["uses_left"] != 0).count();
    assert_eq!(left, 0, "the token was for one node: {tokens}");
}

#[test]
fn a_flash_that_fails_leaves_no_token_behind() {
    let world = World::with_https();
    let (image_file, card) = paths(&world);
    fs::write(&image_file, "no image").unwrap();
    let (from, to) = (image_file.display().to_string(), card.display().to_string());
    let said = world.fails(1, &["flash", &from, &to, "--join"]);
    assert!(said.contains("the appliance's address is not put in"), "{said}");
    assert_eq!(world.ok(&["join-tokens", "list"]), "");
    assert!(!card.exists());
    let without = World::quickstart();
    let said = without.fails(1, &["flash", &from, &to, "--join"]);
    assert!(said.contains("has no HTTPS") && said.contains("admin_addr"), "{said}");
}

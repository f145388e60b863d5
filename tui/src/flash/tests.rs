//! Images onto files and loop devices, and every refusal, on trees that look like machines.

use super::card::Card;
use super::contents::Files;
use super::device::Disks;
use super::image::Image;
use super::{SECTOR_BYTES, fat};
use crate::failure::Failure;
use crate::output::Output;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image of 12 MiB: a partition table, a boot partition of 8 MiB at the first MiB, something behind it.
fn image_bytes() -> Vec<u8> {
    const MIB: usize = 1024 * 1024;
    let mut image = vec![0_u8; 12 * MIB];
    let mut boot = std::io::Cursor::new(vec![0_u8; 8 * MIB]);
    fatfs::format_volume(&mut boot, fatfs::FormatVolumeOptions::new().volume_label(*b"BOOT       ")).unwrap();
    {
        let fat = fatfs::FileSystem::new(&mut boot, fatfs::FsOptions::new()).unwrap();
        fat.root_dir().create_file("picloud.toml").unwrap().write_all(&[b'#'; 5_000]).unwrap();
        fat.root_dir().create_file("cmdline.txt").unwrap().write_all(b"console=tty0\n").unwrap();
    }
    image[MIB..9 * MIB].copy_from_slice(boot.get_ref());
    let entry = &mut image[446..462];
    entry[4] = 0x0c;
    entry[8..12].copy_from_slice(&2048_u32.to_le_bytes());
    entry[12..16].copy_from_slice(&16_384_u32.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    for (index, byte) in image[9 * MIB..].iter_mut().enumerate() {
        *byte = (index % 251) as u8;
    }
    image
}

fn files() -> Files {
    let toml = b"host_name = \"garage\"\n".to_vec();
    let script = vec![b'1'; 70_000];
    [
        ("picloud.toml".to_owned(), toml),
        ("picloud-apps/kitchen/scripts/a_long_name_of_a_script.rhai".to_owned(), script),
    ]
    .into()
}

fn read(path: &Path) -> Result<Image, Failure> {
    Image::read(path, &mut |_read| {})
}

fn told(failure: Failure) -> String {
    let problem = failure.problem();
    format!("{}\n  hint: {}", problem.detail, problem.hint.unwrap_or_default())
}

fn check_card(path: &Path, image: &[u8]) {
    let card = File::open(path).unwrap();
    for (name, content) in files() {
        assert_eq!(fat::content(&card, image, &name).unwrap(), content, "{name}");
    }
    assert_eq!(fat::content(&card, image, "cmdline.txt").unwrap(), b"console=tty0\n");
    let mut behind = vec![0; image.len() - 9 * 1024 * 1024];
    card.read_exact_at(&mut behind, 9 * 1024 * 1024).unwrap();
    assert!(behind == image[9 * 1024 * 1024..], "what lies behind the boot partition is the image's");
}

#[test]
fn an_image_plain_or_packed_becomes_a_card_with_files_inside_that_was_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = image_bytes();
    let plain = dir.path().join("card.img");
    fs::write(&plain, &bytes).unwrap();
    let mut images = vec![plain.clone()];
    for (program, end) in [("xz", "xz"), ("zstd", "zst")] {
        if Command::new(program).args(["-q", "-k"]).arg(&plain).status().is_ok_and(|status| status.success()) {
            images.push(dir.path().join(format!("card.img.{end}")));
        }
    }
    let output = Output::keeping();
    for path in images {
        let image = read(&path).unwrap();
        assert_eq!(image.bytes, bytes.len() as u64);
        let target = dir.path().join("target.img");
        Card::open(&target, false, &output).unwrap().write(&image, &files()).unwrap();
        check_card(&target, &bytes);
        Card::open(&target, false, &output).unwrap().write(&image, &Files::new()).unwrap();
        assert!(fs::read(&target).unwrap() == bytes, "without files it is the image, byte for byte");
    }
}

#[test]
fn an_image_that_is_broken_or_not_what_its_checksum_says_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("card.img");
    let mut refusals = Vec::new();
    let mut refuse = |what: &str, content: &[u8]| {
        fs::write(&path, content).unwrap();
        refusals.push(format!("{what}: {}", told(read(&path).unwrap_err())));
    };
    refuse("text", &[b'x'; 1024]);
    refuse("cut", &image_bytes()[..1_000_100]);
    refuse("gzip", b"\x1f\x8b\x08\x00rest");
    refuse("zip", b"PK\x03\x04rest");
    refuse("half an xz", b"\xfd7zXZ\x00\x00\x04");
    fs::write(dir.path().join("card.img.sha256"), format!("{}  card.img\n", "0".repeat(64))).unwrap();
    let bytes = image_bytes();
    refuse("another", &bytes);
    let refusals = refusals.join("\n").replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(refusals);
    use sha2::{Digest, Sha256};
    let digits: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(dir.path().join("card.img.sha256"), format!("{digits}\n")).unwrap();
    assert!(read(&path).unwrap().checked_against.is_some());
}

#[test]
fn files_that_do_not_fit_or_have_no_partition_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, target) = (dir.path().join("card.img"), dir.path().join("target.img"));
    let output = Output::keeping();
    fs::write(&path, image_bytes()).unwrap();
    let large: Files = [("picloud-apps/a/static/x".to_owned(), vec![0; 9 * 1024 * 1024])].into();
    let large = Card::open(&target, false, &output).unwrap().write(&read(&path).unwrap(), &large).unwrap_err();
    let mut bytes = image_bytes();
    bytes[450] = 0x83;
    fs::write(&path, bytes).unwrap();
    let none = Card::open(&target, false, &output).unwrap().write(&read(&path).unwrap(), &files()).unwrap_err();
    insta::assert_snapshot!(format!("{}\n{}", told(large), told(none)));
}

/// A card with one partition as `mkfs.fat` of Debian makes it with these arguments.
fn card_of(dir: &Path, name: &str, sectors: u32, kind: &str) -> PathBuf {
    const BEFORE: u32 = 2048;
    let (boot, card) = (dir.join("boot.fat"), dir.join(name));
    let _none = fs::remove_file(&boot);
    File::create(&boot).unwrap().set_len(u64::from(sectors) * SECTOR_BYTES as u64).unwrap();
    let made = Command::new("mkfs.fat").args(["-F", kind, "-s", "1"]).arg(&boot).output();
    let made = made.expect("mkfs.fat of the package dosfstools is there");
    assert!(made.status.success(), "{made:?}");
    let mut image = vec![0; BEFORE as usize * SECTOR_BYTES];
    image.extend(fs::read(&boot).unwrap());
    image[450] = 0x0c;
    image[454..458].copy_from_slice(&BEFORE.to_le_bytes());
    image[458..462].copy_from_slice(&sectors.to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&card, image).unwrap();
    card
}

/// What the file system's own checker says of the boot partition.
fn check_fat(card: &Path) {
    let boot = card.with_extension("fat");
    fs::write(&boot, &fs::read(card).unwrap()[2048 * SECTOR_BYTES..]).unwrap();
    let said = Command::new("fsck.fat").args(["-n", "-v"]).arg(&boot).output().unwrap();
    assert!(said.status.success(), "{}: {}", card.display(), String::from_utf8_lossy(&said.stdout));
}

#[test]
fn the_checker_of_file_systems_finds_nothing_to_repair_in_fat_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let output = Output::keeping();
    for (kind, sectors) in [("12", 4_000), ("16", 32_000), ("32", 70_000)] {
        // What other tools and an earlier flash left stays.
        let mut inside: Files = [("user-data", "#cloud-config\n"), ("overlays/deep/er/x.dtbo", "a"), ("meta-data", "")]
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into();
        let first = dir.path().join(format!("first-{kind}.img"));
        let empty = read(&card_of(dir.path(), "empty.img", sectors, kind)).unwrap();
        Card::open(&first, false, &output).unwrap().write(&empty, &inside).unwrap();
        check_fat(&first);
        // Folders in folders, more files than one cluster of a folder has room for, into a folder that is there.
        let mut files = files();
        for number in 0..40 {
            files.insert(format!("picloud-apps/kitchen/static/a/b/picture number {number}.svg"), vec![b'x'; number]);
        }
        files.insert("overlays/deep/y.dtbo".to_owned(), b"b".to_vec());
        let second = dir.path().join(format!("second-{kind}.img"));
        Card::open(&second, false, &output).unwrap().write(&read(&first).unwrap(), &files).unwrap();
        check_fat(&second);
        inside.append(&mut files);
        let (card, sector) = (File::open(&second).unwrap(), read(&second).unwrap().first_sector);
        for (name, content) in &inside {
            assert_eq!(fat::content(&card, &sector, name).as_ref(), Some(content), "FAT{kind}: {name}");
        }
    }
}

/// A folder that looks like a machine: its own disk `sda`, a card `sdb`, and what else there may be.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.disk("sda", 0, 60_000_000, &[("sda1", 1, 59_000_000)]);
        tree.disk("sdb", 16, 60_000_000, &[("sdb1", 17, 524_288), ("sdb2", 18, 3_000_000)]);
        tree.put("sys/devices/x/block/sdb/device/model", "Ultra USB\n");
        tree.put("sys/devices/x/block/sdb/device/vendor", "SanDisk \n");
        tree.put("sys/devices/x/block/sdb/removable", "1\n");
        tree.put("proc/swaps", "Filename Type Size\n");
        tree.mounts("");
        fs::create_dir_all(tree.at("dev/disk/by-label")).unwrap();
        symlink("../../sdb1", tree.at("dev/disk/by-label/bootfs")).unwrap();
        tree
    }

    fn at(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn put(&self, file: &str, text: &str) {
        fs::create_dir_all(self.at(file).parent().unwrap()).unwrap();
        fs::write(self.at(file), text).unwrap();
    }

    fn mounts(&self, more: &str) {
        self.put(
            "proc/self/mountinfo",
            &format!("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 0:5 / /proc rw - proc proc rw\n{more}"),
        );
    }

    fn disk(&self, name: &str, minor: u32, sectors: u64, parts: &[(&str, u32, u64)]) {
        let folder = format!("sys/devices/x/block/{name}");
        let link = |folder: &str, minor: u32, sectors: u64| {
            self.put(&format!("{folder}/size"), &format!("{sectors}\n"));
            self.put(&format!("{folder}/dev"), &format!("8:{minor}\n"));
            fs::create_dir_all(self.at(&format!("{folder}/holders"))).unwrap();
            fs::create_dir_all(self.at("sys/dev/block")).unwrap();
            symlink(self.at(folder), self.at(&format!("sys/dev/block/8:{minor}"))).unwrap();
        };
        link(&folder, minor, sectors);
        self.put(&format!("{folder}/ro"), "0\n");
        for (part, minor, sectors) in parts {
            let folder = format!("{folder}/{part}");
            self.put(&format!("{folder}/partition"), "1\n");
            link(&folder, *minor, *sectors);
        }
    }

    fn check(&self, minor: u64) -> Result<String, String> {
        let gib = 1024 * 1024 * 1024;
        Disks::below(self.0.path()).check(8, minor, gib).map(|disk| disk.shown()).map_err(told)
    }
}

#[test]
fn a_disk_that_nobody_uses_is_shown_with_what_is_on_it() {
    let shown = Tree::new().check(16).unwrap();
    assert_eq!(
        shown,
        "/dev/sdb: SanDisk Ultra USB, 28.6 GiB, removable; on it: sdb1 (256.0 MiB, bootfs), sdb2 (1.4 GiB)"
    );
}

#[test]
fn every_disk_that_something_uses_is_refused_with_what_to_do() {
    type Change = fn(&Tree);
    let cases: &[(&str, u64, Change)] = &[
        ("unknown", 99, |_tree| {}),
        ("a partition", 17, |_tree| {}),
        ("the system's", 0, |_tree| {}),
        ("mounted", 16, |tree| tree.mounts("40 22 8:18 / /media/my\\040card rw - ext4 /dev/sdb2 rw\n")),
        ("mounted by name", 16, |tree| tree.mounts("40 22 0:44 / /mnt rw - btrfs /dev/sdb2 rw\n")),
        ("mounted whole", 16, |tree| tree.mounts("40 22 8:16 / /mnt rw - vfat /dev/sdb rw\n")),
        ("boots this machine", 16, |tree| tree.mounts("40 22 8:17 / /boot/firmware rw - vfat /dev/sdb1 rw\n")),
        ("swap", 16, |tree| tree.put("proc/swaps", "Filename Type\n/dev/sdb2 partition 1 0 -2\n")),
        ("a volume", 16, |tree| tree.put("sys/devices/x/block/sdb/sdb2/holders/dm-0", "")),
        ("a RAID of whole disks", 16, |tree| tree.put("sys/devices/x/block/sdb/holders/md0", "")),
        ("read-only", 16, |tree| tree.put("sys/devices/x/block/sdb/ro", "1\n")),
        ("too small", 16, |tree| tree.put("sys/devices/x/block/sdb/size", "1000000\n")),
        ("empty", 16, |tree| tree.put("sys/devices/x/block/sdb/size", "0\n")),
        ("logical volume", 32, |tree| tree.disk("dm-1", 32, 60_000_000, &[])),
        ("RAID", 32, |tree| tree.disk("md127", 32, 60_000_000, &[])),
        ("memory", 32, |tree| tree.disk("zram0", 32, 60_000_000, &[])),
        ("controller", 32, |tree| tree.disk("mmcblk0boot0", 32, 60_000_000, &[])),
    ];
    let mut refusals = Vec::new();
    for (what, minor, change) in cases {
        let tree = Tree::new();
        change(&tree);
        refusals.push(format!("{what}: {}", tree.check(*minor).unwrap_err()));
    }
    insta::assert_snapshot!(refusals.join("\n"));
    let tree = Tree::new();
    fs::remove_file(tree.at("proc/self/mountinfo")).unwrap();
    assert!(tree.check(16).is_err(), "who cannot see what is mounted writes nothing");
}

/// A loop device that goes when this does.
struct Loop(PathBuf);

impl Loop {
    fn over(file: &Path) -> Self {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(file).output().unwrap();
        assert!(made.status.success(), "losetup (of `mount`) needs root and loop devices: {made:?}");
        Self(PathBuf::from(String::from_utf8(made.stdout).unwrap().trim()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _gone = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

#[test]
fn a_block_device_is_written_and_read_back_and_one_that_is_held_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (path, medium) = (dir.path().join("card.img"), dir.path().join("medium"));
    fs::write(&path, image_bytes()).unwrap();
    File::create(&medium).unwrap().set_len(16 * 1024 * 1024).unwrap();
    let device = Loop::over(&medium);
    let found = fs::metadata(&device.0).unwrap();
    assert!(found.file_type().is_block_device());
    let (major, minor) = (nix::sys::stat::major(found.rdev()), nix::sys::stat::minor(found.rdev()));
    let disks = Disks::below(Path::new("/"));
    let shown = disks.check(major, minor, 12 * 1024 * 1024).unwrap().shown();
    assert!(shown.contains("16.0 MiB"), "{shown}");
    let too_small = told(disks.check(major, minor, 17 * 1024 * 1024).unwrap_err());
    assert!(too_small.contains("take a larger card"), "{too_small}");
    let (output, image) = (Output::keeping(), read(&path).unwrap());
    let card = Card::open(&device.0, true, &output).unwrap();
    let busy = Card::open(&device.0, true, &output).err().map(told).unwrap();
    assert!(busy.contains("in use"), "{busy}");
    card.write(&image, &files()).unwrap();
    drop(card);
    check_card(&medium, &image_bytes());
    assert_eq!(fs::metadata(&medium).unwrap().len() % SECTOR_BYTES as u64, 0);
}

#[test]
fn the_documentation_has_a_row_for_every_key() {
    let docs = include_str!("../../../docs/flash.md");
    for key in picloud_model::boot_file::KEYS {
        let secret = if key.secret { "; secret" } else { "" };
        let row = format!("| `{}` | {}{secret} | {} |", key.path(), key.doc, key.expected);
        assert!(docs.contains(&row), "docs/flash.md needs the row\n{row}");
    }
}

//! What must be true of a finished image, looked up in the image itself: each board finds what its firmware loads,
//! the root is the one that is started, and nothing of one machine or one build is inside.

use super::recipe::Recipe;
use super::tools;
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

const SECTOR_BYTES: u64 = 512;
/// Before a name in an archive of the kind `newc`.
const CPIO_HEAD_BYTES: usize = 110;
/// Host adapters of SD cards: without these in the initrd a board does not find its root.
const CARD_MODULES: &[&str] = &["sdhci-iproc", "bcm2835", "sdhci-brcmstb", "mmc_block"];

/// A finished image, and where its partitions begin.
pub(crate) struct Image<'a> {
    path: &'a Path,
    boot_offset_bytes: u64,
    root_offset_bytes: u64,
}

impl<'a> Image<'a> {
    /// Reads the partition table.
    pub(crate) fn open(path: &'a Path, recipe: &Recipe) -> Result<Image<'a>> {
        let mut sector = [0; 512];
        let mut file = File::open(path).with_context(|| format!("open `{}`", path.display()))?;
        file.read_exact(&mut sector).with_context(|| format!("read the first sector of `{}`", path.display()))?;
        let [boot, root] = partitions(&sector, &recipe.fixed.disk_signature)
            .with_context(|| format!("`{}` is no image of this recipe", path.display()))?;
        Ok(Image { path, boot_offset_bytes: boot * SECTOR_BYTES, root_offset_bytes: root * SECTOR_BYTES })
    }

    /// How mtools names the boot partition.
    pub(crate) fn boot(&self) -> String {
        format!("{}@@{}", self.path.display(), self.boot_offset_bytes)
    }

    /// A file of the boot partition.
    pub(crate) fn boot_file(&self, name: &str) -> Result<Vec<u8>> {
        tools::output(
            Command::new("mcopy")
                .env("MTOOLS_SKIP_CHECK", "1")
                .arg("-n")
                .arg("-i")
                .arg(self.boot())
                .args([&format!("::{name}"), "-"]),
        )
        .with_context(|| format!("read `{name}` of the boot partition"))
    }

    /// The names of all files of the boot partition's own folder.
    fn boot_names(&self) -> Result<Vec<String>> {
        let listed =
            tools::output(Command::new("mdir").env("MTOOLS_SKIP_CHECK", "1").args(["-b", "-i", &self.boot(), "::"]))
                .context("list the boot partition")?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        Ok(listed.lines().map(|line| line.trim_start_matches("::/").to_owned()).collect())
    }

    /// What debugfs answers about the root partition.
    fn root(&self, request: &str) -> Result<String> {
        let out = tools::output(Command::new("/sbin/debugfs").args(["-R", request]).arg(format!(
            "{}?offset={}",
            self.path.display(),
            self.root_offset_bytes
        )))
        .context("look into the root partition")?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

/// First sectors of boot and root, after the disk is known to be the recipe's.
fn partitions(sector: &[u8; 512], signature: &str) -> Result<[u64; 2]> {
    ensure!(sector[510..] == [0x55, 0xaa], "its first sector is no partition table");
    let number = |at: usize| u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]]);
    let found = format!("{:08x}", number(440));
    ensure!(found == signature, "its disk signature is {found}, not {signature}");
    let entry = |index: usize, kind: u8| {
        let at = 446 + index * 16;
        ensure!(sector[at + 4] == kind, "partition {} has type {:#x}, not {kind:#x}", index + 1, sector[at + 4]);
        Ok(u64::from(number(at + 8)))
    };
    Ok([entry(0, 0xc)?, entry(1, 0x83)?])
}

/// Checks all of it; says what was found, or everything that is wrong.
pub(crate) fn check(image: &Path, recipe: &Recipe) -> Result<String> {
    let image = Image::open(image, recipe)?;
    let names = image.boot_names()?;
    let has = |name: &str| names.iter().any(|found| found.eq_ignore_ascii_case(name));
    let (mut wrong, mut said) = (Vec::new(), String::new());

    let config = String::from_utf8_lossy(&image.boot_file("config.txt")?).into_owned();
    let kernel = value(&config, "kernel=").context("config.txt names no kernel")?;
    let initrd = value(&config, "initramfs ").context("config.txt names no initramfs")?;
    for name in [&kernel, &initrd].into_iter().filter(|name| !has(name)) {
        wrong.push(format!("config.txt names `{name}`, which is not on the boot partition"));
    }
    let release = kernel.trim_start_matches("vmlinuz-").to_owned();
    wrong.extend(wrong_cmdline(&String::from_utf8_lossy(&image.boot_file("cmdline.txt")?), recipe));

    let modules = image.root(&format!("cat /usr/lib/modules/{release}/modules.dep"))?;
    let builtin = image.root(&format!("cat /usr/lib/modules/{release}/modules.builtin"))?;
    for board in &recipe.boards {
        let files = board.files.iter().filter(|name| !has(name)).map(|name| format!("`{name}` on the boot partition"));
        let drivers =
            board.modules.iter().filter(|name| !lists_module(&modules, name) && !lists_module(&builtin, name));
        let missing: Vec<String> = files.chain(drivers.map(|name| format!("kernel module `{name}`"))).collect();
        if missing.is_empty() {
            writeln!(said, "   {:<22} {} boot files, {} drivers", board.name, board.files.len(), board.modules.len())?;
        } else {
            wrong.push(format!("{} lacks {}", board.name, missing.join(", ")));
        }
    }
    if has(&initrd) {
        let list = initrd_list(&image.boot_file(&initrd)?)?;
        wrong.extend(
            CARD_MODULES
                .iter()
                .filter(|name| !lists_module(&list, name) && !lists_module(&builtin, name))
                .map(|name| format!("the initrd lacks `{name}`, without which a board does not find its card")),
        );
    }
    wrong.extend(wrong_root(&image)?);
    if !wrong.is_empty() {
        bail!("the image is not right:\n   {}", wrong.join("\n   "));
    }
    writeln!(said, "   kernel {release}; the root is the partition that is started; no keys, no machine id")?;
    Ok(said)
}

fn value(config: &str, key: &str) -> Option<String> {
    config.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}

/// Whether a list of paths, one a line and perhaps more on it, has the module by its file's name.
fn lists_module(list: &str, name: &str) -> bool {
    let plain = |text: &str| text.replace('_', "-");
    let wanted = plain(name);
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split_once(".ko").is_some_and(|(stem, _)| plain(stem) == wanted)
    })
}

fn wrong_cmdline(cmdline: &str, recipe: &Recipe) -> Vec<String> {
    let mut wrong = Vec::new();
    let root = format!("root=PARTUUID={}-02", recipe.fixed.disk_signature);
    let words: Vec<&str> = cmdline.split_whitespace().collect();
    if !words.contains(&root.as_str()) {
        wrong.push(format!("cmdline.txt does not say `{root}`"));
    }
    if !words.contains(&"net.ifnames=0") {
        wrong.push(
            "cmdline.txt does not say `net.ifnames=0`: the cable is not called eth0, as Imager writes it".to_owned(),
        );
    }
    if words.iter().any(|word| word.starts_with("cma=")) {
        wrong.push("cmdline.txt sets `cma=`, which can keep a Pi 4 from booting".to_owned());
    }
    wrong
}

/// The modules that an initrd holds, one a line. initramfs-tools puts them, compressed each for itself, into a plain
/// archive before the compressed one; without them all of it is one compressed archive.
fn initrd_list(initrd: &[u8]) -> Result<String> {
    if initrd.starts_with(b"0707") {
        return Ok(archive_list(initrd));
    }
    let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
    std::fs::write(file.path(), initrd).context("write the initrd down")?;
    let archive =
        tools::output(Command::new("zstd").args(["-dc", "--quiet"]).arg(file.path())).context("unpack the initrd")?;
    Ok(archive_list(&archive))
}

/// The names of an archive of the kind `newc`: heads of digits, each with the lengths of the name and the data behind it.
fn archive_list(archive: &[u8]) -> String {
    let number = |at: usize| {
        let digits = archive.get(at..at + 8)?;
        usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (mut list, mut at) = (String::new(), 0_usize);
    while archive.get(at..).is_some_and(|rest| rest.starts_with(b"07070")) {
        let (Some(data_bytes), Some(name_bytes)) = (number(at + 54), number(at + 94)) else { break };
        let name_at = at + CPIO_HEAD_BYTES;
        let Some(name) = archive.get(name_at..name_at + name_bytes.saturating_sub(1)) else { break };
        list.push_str(&String::from_utf8_lossy(name));
        list.push('\n');
        // Head and name together, and the data, are each filled up to four bytes.
        at = (name_at + name_bytes).next_multiple_of(4) + data_bytes.next_multiple_of(4);
    }
    list
}

fn wrong_root(image: &Image<'_>) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    if !image.root("cat /etc/machine-id")?.is_empty() {
        wrong.push("/etc/machine-id is not empty: all machines would be one".to_owned());
    }
    if image.root("ls -p /etc/ssh")?.contains("/ssh_host_") {
        wrong.push("/etc/ssh holds host keys: all machines would have the same".to_owned());
    }
    if !image.root("cat /etc/systemd/journald.conf.d/picloud.conf")?.contains("Storage=volatile") {
        wrong.push("the journal is not kept in memory".to_owned());
    }
    if image.root("ls -p /etc/systemd/system/timers.target.wants")?.contains("/apt-daily.timer/") {
        wrong.push("apt-daily.timer is enabled: it writes every day without having been asked for".to_owned());
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector() -> [u8; 512] {
        let mut sector = [0; 512];
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector[440..444].copy_from_slice(&0x50c1_0d01_u32.to_le_bytes());
        for (index, kind, start) in [(0, 0xc, 16_384_u32), (1, 0x83, 1_064_960)] {
            sector[446 + index * 16 + 4] = kind;
            sector[446 + index * 16 + 8..446 + index * 16 + 12].copy_from_slice(&start.to_le_bytes());
        }
        sector
    }

    #[test]
    fn a_partition_table_is_the_recipes_or_refused_with_what_is_wrong() {
        assert_eq!(partitions(&sector(), "50c10d01").unwrap(), [16_384, 1_064_960]);
        let refusal = partitions(&sector(), "00000001").unwrap_err().to_string();
        assert_eq!(refusal, "its disk signature is 50c10d01, not 00000001");
        let mut other = sector();
        other[450] = 0xee;
        assert_eq!(partitions(&other, "50c10d01").unwrap_err().to_string(), "partition 1 has type 0xee, not 0xc");
        assert!(partitions(&[0; 512], "50c10d01").is_err());
    }

    #[test]
    fn a_module_is_found_by_its_whole_name_however_it_is_spelt() {
        let list =
            "kernel/drivers/mmc/host/sdhci-iproc.ko.xz: kernel/x/sdhci.ko.xz\nkernel/drivers/misc/rp1/rp1_pci.ko";
        for (name, there) in [("sdhci-iproc", true), ("rp1-pci", true), ("iproc", false), ("sdhci", false)] {
            assert_eq!(lists_module(list, name), there, "{name}");
        }
    }

    #[test]
    fn the_modules_of_an_initrd_are_read_from_the_names_of_its_archive() {
        let mut archive = Vec::new();
        for name in ["bin/sh", "usr/lib/modules/7/mmc/sdhci-iproc.ko.xz", "usr/lib/modules/7/bcm2835.ko.xz"] {
            // Magic, six fields, the data's length, four fields, the name's length, one field: eight digits each.
            let name_bytes = name.len() + 1;
            let head = format!("070701{:048}{:08x}{:032}{name_bytes:08x}{:08}{name}\0", 0, 4, 0, 0);
            archive.extend(head.bytes());
            archive.resize(archive.len().next_multiple_of(4), 0);
            archive.extend(b"data");
        }
        let list = initrd_list(&archive).unwrap();
        assert_eq!(list.lines().count(), 3, "{list}");
        assert!(lists_module(&list, "sdhci-iproc") && lists_module(&list, "bcm2835") && !lists_module(&list, "sh"));
    }

    #[test]
    fn a_command_line_that_starts_another_root_is_named() {
        let recipe = Recipe::read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        assert!(wrong_cmdline("console=tty0 root=PARTUUID=50c10d01-02 rw net.ifnames=0 rootwait", &recipe).is_empty());
        assert_eq!(wrong_cmdline("root=/dev/mmcblk0p2 cma=64M", &recipe).len(), 3);
    }
}

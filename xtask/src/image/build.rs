//! From the base to the files that people download: PiCloud's packages go in, the disk is made, and compressed.

use super::base::hook;
use super::recipe::{FOLDER, Recipe, Variant};
use super::tools;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

/// So that the same image gives the same `.xz`, on a machine of any number of cores.
const XZ: &[&str] = &["--format=xz", "-6", "--threads=2", "--block-size=32MiB", "--keep", "--force"];

/// The Debian packages of `variant` in `folder`, one of each name for the recipe's architecture.
pub(crate) fn packages(recipe: &Recipe, variant: &Variant, folder: &Path) -> Result<Vec<PathBuf>> {
    let ending = format!("_{}.deb", recipe.architecture);
    let listed: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error).with_context(|| format!("list `{}`", folder.display())),
    };
    let mut found = Vec::new();
    for name in &variant.packages {
        let begin = format!("{name}_");
        let matching: Vec<&PathBuf> = listed
            .iter()
            .filter(|path| {
                path.file_name()
                    .and_then(|file| file.to_str())
                    .is_some_and(|file| file.starts_with(&begin) && file.ends_with(&ending))
            })
            .collect();
        match matching[..] {
            [one] => found.push(one.clone()),
            [] => bail!(
                "no package `{name}` for {0} is in `{1}`\n\nhint: make it with `cargo xtask deb {0}`, or name a folder with --packages",
                recipe.architecture,
                folder.display()
            ),
            _ => {
                bail!("several packages `{name}` for {} are in `{}`: leave one", recipe.architecture, folder.display())
            }
        }
    }
    Ok(found)
}

/// Installs the packages into the base and lays the settings over it; gives the finished root as a tar archive.
pub(crate) fn finish(
    root: &Path,
    recipe: &Recipe,
    variant: &Variant,
    base: &Path,
    debs: &[PathBuf],
    out: &Path,
) -> Result<()> {
    let folder = root.join(FOLDER);
    let absolute = |path: &Path| fs::canonicalize(path).with_context(|| format!("find `{}`", path.display()));
    let script = folder.join("steps/finish.sh");
    let mut words = vec![script.to_string_lossy().into_owned(), "\"$1\"".to_owned()];
    words.extend([folder.to_string_lossy().into_owned(), variant.name.clone()]);
    for deb in debs {
        words.push(absolute(deb)?.to_string_lossy().into_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    tools::run(
        Command::new("mmdebstrap")
            .env("SOURCE_DATE_EPOCH", recipe.epoch_s()?.to_string())
            .args(["--mode=unshare", "--variant=custom", "--skip=update,setup,cleanup/apt,cleanup/mmdebstrap"])
            .arg(format!("--architectures={}", recipe.architecture))
            .arg(hook(
                "setup",
                &[&folder.join("steps/unpack.sh").to_string_lossy(), &absolute(base)?.to_string_lossy(), "\"$1\""],
            ))
            .arg(hook("customize", &words))
            .arg("")
            .arg(out),
    )
    .context("put PiCloud's packages into the base")
}

/// Makes the disk of a finished root; `folder` is where it works and leaves `disk.img`.
pub(crate) fn disk(root: &Path, recipe: &Recipe, tar: &Path, folder: &Path) -> Result<PathBuf> {
    let (fixed, disk) = (&recipe.fixed, &recipe.disk);
    tools::run(
        Command::new("mmdebstrap")
            .arg("--unshare-helper")
            .arg(root.join(FOLDER).join("steps/disk.sh"))
            .args([tar, folder])
            .env("SOURCE_DATE_EPOCH", recipe.epoch_s()?.to_string())
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var_os("PATH").unwrap_or_default().to_string_lossy()))
            .env("ALIGN_MIB", disk.align_mib.to_string())
            .env("BOOT_MIB", disk.boot_mib.to_string())
            .env("BOOT_LABEL", &disk.boot_label)
            .env("BOOT_VOLUME_ID", &fixed.boot_volume_id)
            .env("ROOT_SPARE_MIB", disk.root_spare_mib.to_string())
            .env("ROOT_LABEL", &disk.root_label)
            .env("ROOT_UUID", &fixed.root_uuid)
            .env("ROOT_HASH_SEED", &fixed.root_hash_seed)
            .env("DISK_SIGNATURE", &fixed.disk_signature),
    )
    .context("make the disk")?;
    let image = folder.join("disk.img");
    let mib = fs::metadata(&image).with_context(|| format!("look at `{}`", image.display()))?.len().div_ceil(1 << 20);
    ensure!(
        mib <= disk.size_mib_max,
        "the image has {mib} MiB, more than `disk.size_mib_max` = {}: a small card would not hold it",
        disk.size_mib_max
    );
    Ok(image)
}

/// Compresses the image beside itself, as `.xz`.
pub(crate) fn compress(recipe: &Recipe, image: &Path) -> Result<PathBuf> {
    tools::run(Command::new("xz").args(XZ).arg(image)).context("compress the image")?;
    let mut compressed = image.as_os_str().to_owned();
    compressed.push(".xz");
    let compressed = PathBuf::from(compressed);
    let mib = fs::metadata(&compressed)?.len().div_ceil(1 << 20);
    ensure!(
        mib <= recipe.disk.compressed_mib_max,
        "the compressed image has {mib} MiB, more than `disk.compressed_mib_max` = {}: see what has grown in the SBOM",
        recipe.disk.compressed_mib_max
    );
    Ok(compressed)
}

/// Length and SHA-256 of a file.
pub(crate) fn measure(path: &Path) -> Result<(u64, String)> {
    let mut file = fs::File::open(path).with_context(|| format!("open `{}`", path.display()))?;
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("read `{}`", path.display()))?;
        if read == 0 {
            return Ok((length, super::recipe::hex(&hash.finalize())));
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe::read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap()
    }

    #[test]
    fn the_packages_of_an_image_are_found_by_name_and_architecture() {
        let (recipe, folder) = (recipe(), tempfile::tempdir().unwrap());
        let node = recipe.variant("node").unwrap();
        let refusal = packages(&recipe, node, &folder.path().join("none")).unwrap_err().to_string();
        assert!(refusal.starts_with("no package `picloud` for arm64 is in"), "{refusal}");
        for file in
            ["picloud_1_arm64.deb", "picloud_1_amd64.deb", "picloud-node_1_arm64.deb", "picloud-node_1_arm64.deb.old"]
        {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let found = packages(&recipe, node, folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["picloud_1_arm64.deb", "picloud-node_1_arm64.deb"]);
        fs::write(folder.path().join("picloud_2_arm64.deb"), "").unwrap();
        let refusal = packages(&recipe, node, folder.path()).unwrap_err().to_string();
        assert!(refusal.starts_with("several packages `picloud` for arm64 are in"), "{refusal}");
    }

    #[test]
    fn a_file_is_measured_over_its_whole_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![b'a'; (1 << 20) + 1]).unwrap();
        let (length, hash) = measure(file.path()).unwrap();
        assert_eq!((length, hash.len()), ((1 << 20) + 1, 64));
        fs::write(file.path(), "abc").unwrap();
        assert!(measure(file.path()).unwrap().1.starts_with("ba7816bf8f01cfea"));
    }
}

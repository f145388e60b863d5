//! The recipe of the images, `images/recipe/recipe.toml`: read, checked, and turned into what apt and dpkg want.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the recipe and its folders are, from the root of the repository.
pub(crate) const FOLDER: &str = "images/recipe";
/// What the base is made of: a change of any of these makes another base.
const BASE_PARTS: &[&str] = &["base", "steps/before.sh", "steps/after.sh", "steps/lay.sh"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// All of `recipe.toml`; what each key means stands there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) architecture: String,
    pub(crate) fixed: Fixed,
    pub(crate) sources: Vec<Source>,
    /// Name and reason.
    pub(crate) packages: BTreeMap<String, String>,
    pub(crate) files: Files,
    pub(crate) disk: Disk,
    pub(crate) boards: Vec<Board>,
    pub(crate) variants: Vec<Variant>,
}

/// What would differ from build to build.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixed {
    pub(crate) date: String,
    pub(crate) disk_signature: String,
    pub(crate) boot_volume_id: String,
    pub(crate) root_uuid: String,
    pub(crate) root_hash_seed: String,
}

/// One archive.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) uri: String,
    pub(crate) suites: Vec<String>,
    pub(crate) components: Vec<String>,
}

/// Patterns of dpkg.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    pub(crate) excluded: Vec<String>,
    pub(crate) included: Vec<String>,
}

/// Partitions and bounds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    pub(crate) align_mib: u64,
    pub(crate) size_mib_max: u64,
    pub(crate) boot_mib: u64,
    pub(crate) boot_label: String,
    pub(crate) root_spare_mib: u64,
    pub(crate) root_label: String,
    pub(crate) compressed_mib_max: u64,
}

/// One kind of Raspberry Pi, and what it must find.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Board {
    pub(crate) name: String,
    /// What Raspberry Pi Imager calls it.
    pub(crate) imager: String,
    pub(crate) files: Vec<String>,
    /// Of the kernel.
    pub(crate) modules: Vec<String>,
}

/// One image.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    /// Of PiCloud.
    pub(crate) packages: Vec<String>,
}

impl Recipe {
    /// Reads the recipe of the repository at `root`.
    pub(crate) fn read(root: &Path) -> Result<Recipe> {
        let path = root.join(FOLDER).join("recipe.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
        let recipe = Recipe::parse(&text).with_context(|| format!("`{}` is no recipe", path.display()))?;
        for (file, wanted) in [("base/etc/fstab", "-02"), ("base/etc/default/raspi-firmware", "-02")] {
            let named = format!("PARTUUID={}{wanted}", recipe.fixed.disk_signature);
            let text = fs::read_to_string(root.join(FOLDER).join(file)).with_context(|| format!("read `{file}`"))?;
            ensure!(text.contains(&named), "`{FOLDER}/{file}` does not name `{named}`, which is the recipe's root");
        }
        Ok(recipe)
    }

    fn parse(text: &str) -> Result<Recipe> {
        let recipe: Recipe = toml::from_str(text)?;
        let hexadecimal = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(hexadecimal(&recipe.fixed.disk_signature), "`fixed.disk_signature` is not 8 hexadecimal digits");
        ensure!(hexadecimal(&recipe.fixed.boot_volume_id), "`fixed.boot_volume_id` is not 8 hexadecimal digits");
        recipe.epoch_s()?;
        ensure!(!recipe.sources.is_empty(), "`sources` is empty: name at least one archive");
        ensure!(recipe.disk.boot_label.len() <= 11, "`disk.boot_label` has more than 11 characters, which FAT ends at");
        for (name, reason) in &recipe.packages {
            ensure!(!reason.is_empty(), "package `{name}` has no reason: say what it is there for");
        }
        Ok(recipe)
    }

    /// The variant `name`.
    pub(crate) fn variant(&self, name: &str) -> Result<&Variant> {
        let names: Vec<&str> = self.variants.iter().map(|variant| variant.name.as_str()).collect();
        match self.variants.iter().find(|variant| variant.name == name) {
            Some(variant) => Ok(variant),
            None => bail!("there is no image `{name}`; there are: {}", names.join(", ")),
        }
    }

    /// `fixed.date` in seconds since 1970.
    pub(crate) fn epoch_s(&self) -> Result<i64> {
        let date: jiff::Timestamp = self.fixed.date.parse().with_context(|| {
            format!("`fixed.date` is `{}`, not a moment like 2026-11-21T00:00:00Z", self.fixed.date)
        })?;
        Ok(date.as_second())
    }

    /// The suite that everything without a pin comes from.
    pub(crate) fn suite(&self) -> &str {
        self.sources[0].suites.first().map_or("stable", String::as_str)
    }

    /// What becomes `/etc/apt/sources.list.d` of the image.
    pub(crate) fn apt_sources(&self) -> String {
        let mut text = String::new();
        for source in &self.sources {
            let (suites, components) = (source.suites.join(" "), source.components.join(" "));
            write!(
                text,
                "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: {components}\nSigned-By: {KEYRING}\n\n",
                source.uri
            )
            .expect("a string takes all");
        }
        text
    }

    /// A name for the base that this recipe makes: the hash of all that goes into it.
    pub(crate) fn base_key(&self, root: &Path) -> Result<String> {
        let mut hash = Sha256::new();
        let mut part = |name: &str, bytes: &[u8]| {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part("architecture", self.architecture.as_bytes());
        part("date", self.fixed.date.as_bytes());
        part("sources", self.apt_sources().as_bytes());
        part("packages", self.packages.keys().map(String::as_str).collect::<Vec<_>>().join(",").as_bytes());
        part("excluded", self.files.excluded.join("\n").as_bytes());
        part("included", self.files.included.join("\n").as_bytes());
        let folder = root.join(FOLDER);
        for path in BASE_PARTS {
            for file in files_below(&folder.join(path))? {
                let name = file.strip_prefix(&folder).expect("it was found below").to_string_lossy().into_owned();
                part(&name, &fs::read(&file).with_context(|| format!("read `{}`", file.display()))?);
            }
        }
        Ok(hex(&hash.finalize())[..16].to_owned())
    }
}

/// All files at or below `path`, in the order of their names.
fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    let entries = fs::read_dir(path).with_context(|| format!("list `{}`", path.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        files.extend(files_below(&path)?);
    }
    Ok(files)
}

/// Bytes as people compare them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
    }

    fn text() -> String {
        fs::read_to_string(root().join(FOLDER).join("recipe.toml")).unwrap()
    }

    #[test]
    fn the_recipe_of_the_repository_is_one() {
        let recipe = Recipe::read(&root()).unwrap();
        assert_eq!(recipe.suite(), "trixie");
        assert_eq!(recipe.variant("node").unwrap().packages, ["picloud", "picloud-node"]);
        let refusal = recipe.variant("desktop").unwrap_err().to_string();
        assert_eq!(refusal, "there is no image `desktop`; there are: appliance, node, plain");
        for variant in &recipe.variants {
            assert!(root().join(FOLDER).join("variants").join(&variant.name).is_dir(), "{}", variant.name);
        }
    }

    #[test]
    fn a_recipe_with_a_mistake_is_refused_by_the_name_of_the_key() {
        for (from, to, named) in [
            ("architecture =", "architektur =", "architektur"),
            ("\"50c10d01\"", "\"50c10d0\"", "fixed.disk_signature"),
            ("2026-11-21T00:00:00Z", "last week", "fixed.date"),
            ("\"PICLOUD\"", "\"PICLOUD-BOOT\"", "disk.boot_label"),
            ("\"ping, for the same people\"", "\"\"", "iputils-ping"),
        ] {
            let wrong = text().replacen(from, to, 1);
            assert_ne!(wrong, text(), "{from}");
            let refusal = format!("{:#}", Recipe::parse(&wrong).unwrap_err());
            assert!(refusal.contains(named), "{named}: {refusal}");
        }
    }

    #[test]
    fn the_base_is_another_when_what_goes_into_it_is() {
        let mut recipe = Recipe::read(&root()).unwrap();
        let key = recipe.base_key(&root()).unwrap();
        assert_eq!(recipe.base_key(&root()).unwrap(), key);
        recipe.disk.boot_mib += 1;
        assert_eq!(recipe.base_key(&root()).unwrap(), key, "the disk is made after the base");
        recipe.packages.insert("hello".to_owned(), "a greeting".to_owned());
        assert_ne!(recipe.base_key(&root()).unwrap(), key);
    }
}

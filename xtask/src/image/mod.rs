//! `cargo xtask image NAME`: a flashable image for the Raspberry Pi, out of Debian's packages and ours.
//!
//! What it consists of is data, in `images/recipe`; this is the order in which it is put together. Nothing is
//! mounted and no loop device is used. A new kind of image is a `[[variants]]` of the recipe and its folder.

mod appliance;
mod base;
mod board;
mod boot;
mod build;
mod check;
mod join;
mod machine;
mod manifest;
mod recipe;
mod restore;
mod sbom;
mod settings;
mod sshd;
mod tools;

pub(crate) use boot::STORIES;

use anyhow::{Context, Result, bail};
use recipe::{Recipe, Variant};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const USAGE: &str = "\
usage: cargo xtask image NAME [OPTION]…           NAME: appliance, node, or plain (Debian alone, to compare with)
       cargo xtask image boot STORY [--image FILE]     starts an image in a virtual machine

  --packages DIR   where the .deb files of PiCloud are     [target/deb]
  --out DIR        where the image goes                    [target/image]
  --url BASE       where it will be downloaded from, for Raspberry Pi Imager's manifest   [the files in DIR]
  --raw            no compressed image, no checksum, no manifest: for a test
  --fresh          makes the base of Debian's packages anew, with today's versions

example: cargo xtask deb arm64 && cargo xtask image appliance";

/// What was asked for.
struct Options {
    variant: String,
    packages: PathBuf,
    out: PathBuf,
    url: Option<String>,
    raw: bool,
    fresh: bool,
}

impl Options {
    fn parse(root: &Path, args: &[String]) -> Result<Options> {
        let mut options = Options {
            variant: String::new(),
            packages: target_dir(root).join("deb"),
            out: target_dir(root).join("image"),
            url: None,
            raw: false,
            fresh: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("`{arg}` needs a value\n\n{USAGE}"));
            match arg.as_str() {
                "--packages" => options.packages = value()?.into(),
                "--out" => options.out = value()?.into(),
                "--url" => options.url = Some(value()?.clone()),
                "--raw" => options.raw = true,
                "--fresh" => options.fresh = true,
                other if other.starts_with('-') || !options.variant.is_empty() => {
                    bail!("`{other}` is not known here\n\n{USAGE}")
                }
                name => name.clone_into(&mut options.variant),
            }
        }
        if options.variant.is_empty() {
            bail!("which image?\n\n{USAGE}");
        }
        Ok(options)
    }
}

/// The Debian packages that making an image and starting it needs, each with the reason.
pub(crate) fn needed() -> Vec<(&'static str, &'static str)> {
    tools::TOOLS.iter().chain(machine::TOOLS).map(|(_, package, reason)| (*package, *reason)).collect()
}

/// Makes the image that `args` ask for.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    if matches!(args, [help] if help == "--help" || help == "-h") {
        println!("{USAGE}");
        return Ok(());
    }
    if let [first, story @ ..] = args
        && first == "boot"
    {
        return boot::run(root, story);
    }
    let options = Options::parse(root, args)?;
    let recipe = Recipe::read(root)?;
    let variant = recipe.variant(&options.variant)?;
    tools::check(tools::TOOLS)?;
    tools::check_emulation()?;
    let debs = build::packages(&recipe, variant, &options.packages)?;
    fs::create_dir_all(&options.out).with_context(|| format!("make `{}`", options.out.display()))?;
    let out = fs::canonicalize(&options.out)?;

    let base = timed("base of Debian's packages", || base::make(root, &recipe, &out.join("cache"), options.fresh))?;
    let work = tempfile::Builder::new().prefix(".work-").tempdir_in(&out).context("make a folder to work in")?;
    let tar = work.path().join("root.tar");
    timed("PiCloud's packages and settings", || build::finish(root, &recipe, variant, &base, &debs, &tar))?;
    let disk = timed("disk", || build::disk(root, &recipe, &tar, work.path()))?;
    print!("{}", timed("check", || check::check(&disk, &recipe))?);
    let sbom = timed("SBOM", || sbom::write(root, &recipe, variant, &tar))?;

    let image = out.join(format!("picloud-{}.img", variant.name));
    fs::rename(&disk, &image).with_context(|| format!("name `{}`", image.display()))?;
    let sbom_path = out.join(format!("picloud-{}.cdx.json", variant.name));
    fs::write(&sbom_path, serde_json::to_string_pretty(&sbom)? + "\n").context("write the SBOM")?;
    println!("   {}\n   {}", image.display(), sbom_path.display());
    if options.raw {
        return Ok(());
    }
    timed("release files", || release(root, &recipe, variant, &image, options.url.as_deref()))
}

/// Compressed image, checksum and manifest, beside the image.
fn release(root: &Path, recipe: &Recipe, variant: &Variant, image: &Path, url: Option<&str>) -> Result<()> {
    let (size_bytes, sha256) = build::measure(image)?;
    let compressed = build::compress(recipe, image)?;
    let (compressed_size_bytes, compressed_sha256) = build::measure(&compressed)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = image.parent().context("an image is in a folder")?;
    let file = name(&compressed);
    let sums = format!("{compressed_sha256}  {file}\n");
    fs::write(folder.join(format!("{file}.sha256")), sums).context("write the checksum")?;
    fs::copy(root.join(recipe::FOLDER).join("picloud.svg"), folder.join("picloud.svg")).context("copy the picture")?;
    let measured = manifest::Measured {
        url_base: url.map_or_else(|| format!("file://{}", folder.display()), str::to_owned),
        file,
        size_bytes,
        sha256,
        compressed_size_bytes,
        compressed_sha256,
    };
    let manifest = manifest::manifest(recipe, variant, &measured)?;
    let path = folder.join(format!("picloud-{}.rpi-imager-manifest", variant.name));
    fs::write(&path, serde_json::to_string_pretty(&manifest)? + "\n").context("write the manifest")?;
    println!(
        "   {} ({} MiB, sha256 {})\n   {}",
        compressed.display(),
        compressed_size_bytes >> 20,
        measured.compressed_sha256,
        path.display()
    );
    Ok(())
}

/// Where cargo puts what it makes, and we beside it.
fn target_dir(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// Says what is done and how long it took.
fn timed<T>(title: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {title}");
    let start = Instant::now();
    let done = step().with_context(|| format!("step `{title}` failed"))?;
    println!("   ok in {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(Path::new("/repo"), &args)
    }

    #[test]
    fn what_is_asked_for_may_stand_in_any_order() {
        let options = parse(&["--raw", "node", "--packages", "debs"]).unwrap();
        assert_eq!((options.variant.as_str(), options.raw, options.fresh), ("node", true, false));
        assert_eq!((options.packages, options.out), ("debs".into(), target_dir(Path::new("/repo")).join("image")));
    }

    #[test]
    fn a_wrong_word_is_named_with_the_usage() {
        for (args, named) in [
            (&["node", "appliance"][..], "`appliance`"),
            (&["--fast"], "`--fast`"),
            (&["node", "--out"], "`--out` needs"),
            (&[], "which image"),
        ] {
            let refusal = parse(args).err().unwrap().to_string();
            assert!(refusal.contains(named) && refusal.contains("usage: "), "{refusal}");
        }
    }
}

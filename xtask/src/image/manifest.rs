//! The file that tells Raspberry Pi Imager about an image: opened with Imager 2, it offers the image with its page
//! of settings, which a bare image file does not get.

use super::recipe::{Recipe, Variant};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// The image as people download it.
pub(crate) struct Measured {
    /// Where Imager fetches the compressed image and the picture from: a URL that a file name can follow.
    pub(crate) url_base: String,
    pub(crate) file: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
    pub(crate) compressed_size_bytes: u64,
    pub(crate) compressed_sha256: String,
}

/// The manifest of one image.
pub(crate) fn manifest(recipe: &Recipe, variant: &Variant, image: &Measured) -> Result<Value> {
    ensure!(
        ["http://", "https://", "file:///"].iter().any(|begin| image.url_base.starts_with(begin)),
        "`{}` is no URL to fetch from: it begins with http://, https:// or file:///",
        image.url_base
    );
    let mut devices: Vec<&str> = recipe.boards.iter().map(|board| board.imager.as_str()).collect();
    devices.sort_unstable();
    devices.dedup();
    let base = image.url_base.trim_end_matches('/');
    Ok(json!({
        "os_list": [{
            "name": variant.title,
            "description": variant.description,
            "icon": format!("{base}/picloud.svg"),
            "url": format!("{base}/{}", image.file),
            "extract_size": image.size_bytes,
            "extract_sha256": image.sha256,
            "image_download_size": image.compressed_size_bytes,
            "image_download_sha256": image.compressed_sha256,
            "release_date": recipe.fixed.date.split('T').next().unwrap_or_default(),
            // Debian's cloud-init, which lacks the module that Raspberry Pi's own brings.
            "init_format": "cloudinit",
            "devices": devices,
        }]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn imager_learns_where_the_image_is_what_it_must_hash_to_and_how_it_is_set_up() {
        let recipe = Recipe::read(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()).unwrap();
        let mut image = Measured {
            url_base: "https://example.org/picloud/".to_owned(),
            file: "picloud-node.img.xz".to_owned(),
            size_bytes: 1 << 30,
            sha256: "aa".repeat(32),
            compressed_size_bytes: 1 << 28,
            compressed_sha256: "bb".repeat(32),
        };
        let variant = recipe.variant("node").unwrap();
        let manifest = manifest(&recipe, variant, &image).unwrap();
        let entry = &manifest["os_list"][0];
        assert_eq!(entry["url"], "https://example.org/picloud/picloud-node.img.xz");
        assert_eq!(entry["init_format"], "cloudinit");
        assert_eq!(entry["devices"], json!(["pi3-64bit", "pi4-64bit", "pi5-64bit"]));
        assert_eq!(entry["extract_size"], 1_u64 << 30);
        image.url_base = "example.org".to_owned();
        assert!(super::manifest(&recipe, variant, &image).is_err());
    }
}

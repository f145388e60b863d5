//! Cards: the images of this commit, made of its packages, and started in virtual machines.

use super::Place;
use crate::{deb, image, packages};
use anyhow::Result;

/// The packages of the image are made first, and the image; once for all stories of a run.
pub(super) fn boot(place: &Place<'_>, story: &str, variant: &'static str) -> Result<()> {
    packages::install(&image::needed())?;
    let mut made = place.cards.borrow_mut();
    if made.is_empty() {
        let wanted = ["arm64", "--profile", &place.profile].map(str::to_owned);
        place.step("make the packages of the Pi", || deb::run(place.root, &wanted))?;
    }
    if !made.contains(&variant) {
        let wanted = [variant, "--raw"].map(str::to_owned);
        place.step("make the image", || image::run(place.root, &wanted))?;
        made.push(variant);
    }
    image::run(place.root, &["boot", story].map(str::to_owned))
}

//! The CA of several appliances on one database: made by the first, kept there sealed, and the same for all.

use crate::admin::make_authority;
use crate::appliance::StartError;
use crate::host::StoreHost;
use picloud_cluster::private_file;
use std::path::Path;
use zeroize::Zeroizing;

/// Under which name it is kept.
const KEPT: &str = "authority";

/// Makes the files in `keys` what all appliances on the database have.
pub(crate) async fn share(host: &StoreHost, keys: &Path) -> Result<(), StartError> {
    let kept = host.vault.kept(KEPT).await.map_err(StartError::Shared)?;
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let made = make_authority(keys, &host.node, host.clock.now_ms())?;
            host.vault.keep(KEPT, &made).await.map_err(StartError::Shared)?
        }
    };
    let Some((cert, key)) = parts(&kept) else {
        return Err(StartError::Shared(crate::secrets::VaultError::Kept(KEPT.to_owned())));
    };
    // The key first: a certificate without its key is what a start refuses.
    for (name, text) in [("ca.key", key), ("ca.crt", cert)] {
        let path = keys.join(name);
        let failed = |source| StartError::SharedFile { path: path.clone(), source };
        if private_file::read_secret(&path).map_err(failed)?.as_deref() != Some(text) {
            private_file::prepare(&path, text).and_then(|()| private_file::put_in_place(&path)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Both files as one: the length of the certificate's, both texts.
pub(crate) fn joined(cert: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(cert.len()).expect("a certificate is small").to_le_bytes();
    Zeroizing::new([&length[..], cert, key].concat())
}

fn parts(kept: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = kept.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_come_out_as_they_went_in_and_what_is_cut_off_does_not() {
        let kept = joined(b"cert", b"key");
        assert_eq!(parts(&kept), Some((&b"cert"[..], &b"key"[..])));
        assert_eq!((parts(&kept[..3]), parts(&kept[..6])), (None, None));
    }
}

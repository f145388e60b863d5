//! Sealing: XChaCha20-Poly1305 with a random nonce, bound to the place where the sealed bytes belong.
//!
//! A sealed box is one byte of form, the nonce, and the ciphertext with its tag. What it is bound to is not stored: a
//! box that is moved to another app or another name does not open there.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use picloud_model::ids::AppId;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a nonce: long enough that random ones never meet.
const NONCE_BYTES: usize = 24;
/// The form of sealed boxes; changes when the algorithm does.
const FORM: u8 = 1;

/// A key, gone from memory when it is dropped.
#[derive(Clone)]
pub(super) struct SealKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a box does not open: it was changed, belongs elsewhere, or was sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DoesNotOpen;

/// What sealed bytes belong to.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// The key of an app.
    AppKey(AppId),
    /// A secret of an app.
    Value(AppId, &'a str),
    /// What all appliances on a database keep under this name.
    Kept(&'a str),
}

impl Place<'_> {
    /// No two places have the same bytes: the kind, then a number of fixed length, then the rest.
    fn bytes(self) -> Vec<u8> {
        let (kind, app, name) = match self {
            Self::AppKey(app) => (&b"picloud app key\0"[..], app, ""),
            Self::Value(app, name) => (&b"picloud secret\0"[..], app, name),
            Self::Kept(name) => (&b"picloud kept\0"[..], AppId(0), name),
        };
        [kind, &app.0.to_be_bytes(), name.as_bytes()].concat()
    }
}

impl SealKey {
    /// A new one, from the system's random bytes.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The key with these bytes; `None` where they are too few or too many.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Seals `plain` for `place`.
    pub(super) fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: plain, aad: &place.bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("only a text of more than 256 GiB cannot be sealed");
        Ok([&[FORM][..], &nonce, &sealed].concat())
    }

    /// Opens what was sealed for `place`.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (&[FORM], rest) = sealed.split_first_chunk().ok_or(DoesNotOpen)? else { return Err(DoesNotOpen) };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
        let payload = Payload { msg: ciphertext, aad: &place.bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.map(Zeroizing::new).map_err(|_which_is_not_told| DoesNotOpen)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new_from_slice(self.bytes()).expect("the key has the cipher's length")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_opens_with_its_key_in_its_place_and_unchanged_only() {
        let key = SealKey::random().unwrap();
        let place = Place::Value(AppId(7), "token");
        let sealed = key.seal(place, b"hunter2").unwrap();
        assert_eq!(key.open(place, &sealed).unwrap().as_slice(), b"hunter2");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"hunter2"));
        assert_ne!(key.seal(place, b"hunter2").unwrap(), sealed, "each has a nonce of its own");
        for other in [Place::Value(AppId(8), "token"), Place::Value(AppId(7), "tokem"), Place::AppKey(AppId(7))] {
            assert!(key.open(other, &sealed).is_err());
        }
        assert!(SealKey::random().unwrap().open(place, &sealed).is_err());
        for changed in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[changed] ^= 1;
            assert!(key.open(place, &tampered).is_err(), "byte {changed}");
            assert!(key.open(place, &sealed[..changed]).is_err(), "cut at {changed}");
        }
    }
}

//! What both backends make of a secret that is set or granted.

use crate::StoreError;
use crate::refusals::{conflict, expect_version};
use picloud_model::clock::UnixMs;
use picloud_model::secret::{EVERY_SCRIPT, Secret};

/// What somebody wants of a secret; what is `None` stays as it is.
pub(crate) struct SecretWrite<'a> {
    pub(crate) name: &'a str,
    pub(crate) sealed: Option<&'a [u8]>,
    pub(crate) scripts: Option<&'a [String]>,
    /// The version that it must have, 0 where it must not be there; any where it is `None`.
    pub(crate) expected: Option<i64>,
}

/// What becomes of the secret.
pub(crate) enum SecretPut {
    /// It is so already.
    Same(Secret),
    /// It is other than before, or new.
    Changed { before: Option<Secret>, after: Secret, sealed: Vec<u8> },
}

impl SecretWrite<'_> {
    /// How the audit log calls it.
    pub(crate) fn action(&self) -> &'static str {
        if self.sealed.is_some() { "secret.set" } else { "secret.grant" }
    }

    /// What becomes of it, where `kept` is the secret and its sealed value as they are.
    pub(crate) fn over(&self, kept: Option<(Secret, Vec<u8>)>, at: UnixMs) -> Result<SecretPut, StoreError> {
        expect_version(self.expected, kept.as_ref().map_or(0, |(secret, _sealed)| secret.version))?;
        let name = self.name;
        let Some((before, kept)) = kept else {
            let Some(sealed) = self.sealed else {
                let message = format!("secret `{name}` has no value yet, so it cannot be granted");
                return Err(conflict(message, vec![format!("secret `{name}`")]));
            };
            let scripts = self.scripts.map_or_else(|| vec![EVERY_SCRIPT.to_owned()], <[String]>::to_vec);
            let after = Secret { name: name.to_owned(), scripts, version: 1, created_at: at, updated_at: at };
            return Ok(SecretPut::Changed { before: None, after, sealed: sealed.to_vec() });
        };
        let scripts = self.scripts.unwrap_or(&before.scripts);
        let sealed = self.sealed.unwrap_or(&kept);
        if sealed == kept && scripts == before.scripts {
            return Ok(SecretPut::Same(before));
        }
        let (scripts, sealed) = (scripts.to_vec(), sealed.to_vec());
        let after = Secret { scripts, version: before.version + 1, updated_at: at, ..before.clone() };
        Ok(SecretPut::Changed { before: Some(before), after, sealed })
    }
}

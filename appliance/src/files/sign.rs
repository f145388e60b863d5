//! Signed URLs of files: what each allows stands in the URL itself, and only this appliance can have written it.

use super::key::{Key, KeyFile};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use picloud_model::clock::UnixMs;
use picloud_model::file::SignedGrant;
use picloud_model::hash::ContentHash;
use picloud_model::ids::{AppId, FileId};
use picloud_model::problem::{Code, Problem};
use sha2::Sha256;
use std::path::Path;

/// Where signed URLs are on the ingress; the token follows.
pub const PREFIX: &str = "/.picloud/files/";
/// Longest that a URL may hold, in milliseconds: a week.
pub const TTL_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;
/// The form of tokens.
const FORM: u8 = 1;
/// The signature's size.
const MAC_BYTES: usize = 32;
/// Makes every URL that holds once another.
const NONCE_BYTES: usize = 8;
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 2_048;

/// Signs and checks.
pub struct Signer(KeyFile);

/// What a URL allows, and to whom it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose file.
    pub app: AppId,
    /// In which collection.
    pub collection: String,
    /// Which file.
    pub id: FileId,
    /// What may be done.
    pub verb: Verb,
    /// Until when.
    pub expires_at: UnixMs,
    /// Of a PUT: most bytes.
    pub bytes_max: Option<u64>,
    /// Of a PUT: the media type it must have.
    pub content_type: Option<String>,
    /// Whether it can be used once only.
    pub once: bool,
}

/// What may be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read it; HEAD too.
    Get,
    /// Give it bytes.
    Put,
    /// Remove it.
    Delete,
}

impl Verb {
    /// As a request has it.
    pub fn of(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// As a request has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Get, Self::Put, Self::Delete].into_iter().find(|verb| *verb as u8 == byte)
    }
}

impl Signer {
    /// The one of this data folder.
    pub fn of(data_dir: &Path) -> Self {
        Self(KeyFile::of(data_dir))
    }

    /// The path on the ingress that allows what `grant` says, from `now` on.
    pub fn sign(
        &self,
        app: AppId,
        collection: &str,
        id: FileId,
        grant: &SignedGrant,
        now: UnixMs,
    ) -> Result<String, Problem> {
        let malformed = |detail: String, hint: &str| Problem::new(Code::Malformed, detail).hint(hint);
        // HEAD is no method of its own here: whoever may read may also look.
        let verb = Verb::of(&grant.method).filter(|verb| verb.as_str() == grant.method).ok_or_else(|| {
            malformed(format!("`{}` is no method of a signed URL", grant.method), "give GET, PUT or DELETE")
        })?;
        if !(1..=TTL_MS_MAX).contains(&grant.ttl_ms) {
            let detail = format!("a signed URL cannot hold for {} ms", grant.ttl_ms);
            return Err(malformed(detail, &format!("give between 1 and {TTL_MS_MAX}, which is a week")));
        }
        if verb != Verb::Put && (grant.bytes_max.is_some() || grant.content_type.is_some()) {
            let detail = format!("a signed URL for {} takes no bytes", verb.as_str());
            return Err(malformed(detail, "a largest size and a content type are for PUT"));
        }
        let claims = Claims {
            app,
            collection: collection.to_owned(),
            id,
            verb,
            expires_at: now.saturating_add_unsigned(grant.ttl_ms),
            bytes_max: grant.bytes_max,
            content_type: grant.content_type.clone(),
            once: grant.once,
        };
        let key = self.0.get_or_make().map_err(|error| no_key(&error))?;
        let mut bytes = claims.to_bytes()?;
        let mac = mac_of(&key, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What `token` allows, whether or not its time is over. [`Code::Forbidden`] where nobody here signed it.
    pub fn read(&self, token: &str) -> Result<Claims, Problem> {
        let forged = || {
            Problem::new(Code::Forbidden, "the signature of this URL does not hold")
                .hint("use the URL exactly as it was given, or have a new one made")
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(forged());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_no_base64| forged())?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or_else(forged)?;
        let key = self.0.get().map_err(|error| no_key(&error))?.ok_or_else(forged)?;
        // Takes the same time wherever they differ.
        mac_of(&key, signed).verify_slice(mac).map_err(|_differs| forged())?;
        Claims::from_bytes(signed).ok_or_else(forged)
    }
}

impl Claims {
    /// Refuses a use that they do not allow.
    pub fn check(&self, method: &str, now: UnixMs) -> Result<(), Problem> {
        if Verb::of(method) != Some(self.verb) {
            let only = self.verb.as_str();
            return Err(Problem::new(Code::Forbidden, format!("this URL is signed for {only}, not for {method}"))
                .hint(format!("send {only}, or have a URL made for {method}")));
        }
        if now >= self.expires_at {
            return Err(Problem::new(Code::Gone, "this URL has expired").hint("have a new one made"));
        }
        Ok(())
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        let flags =
            u8::from(self.once) | u8::from(self.bytes_max.is_some()) << 1 | u8::from(self.content_type.is_some()) << 2;
        let mut bytes = vec![FORM, self.verb as u8, flags];
        bytes.extend_from_slice(&self.app.0.to_be_bytes());
        bytes.extend_from_slice(self.id.0.as_bytes());
        bytes.extend_from_slice(&self.expires_at.to_be_bytes());
        if self.once {
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(|error| no_key(&std::io::Error::other(error)))?;
            bytes.extend_from_slice(&nonce);
        }
        if let Some(max) = self.bytes_max {
            bytes.extend_from_slice(&max.to_be_bytes());
        }
        if let Some(content_type) = &self.content_type {
            let length = u8::try_from(content_type.len()).map_err(|_too_long| {
                Problem::new(Code::Malformed, "the content type of a signed URL has more than 255 bytes")
            })?;
            bytes.push(length);
            bytes.extend_from_slice(content_type.as_bytes());
        }
        bytes.extend_from_slice(self.collection.as_bytes());
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut left = bytes;
        let [form, verb, flags] = take(&mut left)?;
        if form != FORM {
            return None;
        }
        let app = AppId(i64::from_be_bytes(take(&mut left)?));
        let id = FileId(uuid::Uuid::from_bytes(take(&mut left)?));
        let expires_at = UnixMs::from_be_bytes(take(&mut left)?);
        let once = flags & 1 != 0;
        if once {
            let _nonce: [u8; NONCE_BYTES] = take(&mut left)?;
        }
        let bytes_max = if flags & 2 != 0 { Some(u64::from_be_bytes(take(&mut left)?)) } else { None };
        let content_type = if flags & 4 != 0 {
            let [length] = take(&mut left)?;
            let (text, rest) = left.split_at_checked(usize::from(length))?;
            left = rest;
            Some(String::from_utf8(text.to_vec()).ok()?)
        } else {
            None
        };
        let collection = String::from_utf8(left.to_vec()).ok()?;
        Some(Self { app, collection, id, verb: Verb::from_byte(verb)?, expires_at, bytes_max, content_type, once })
    }
}

/// What is written down of a token that was used once.
pub fn fingerprint(token: &str) -> ContentHash {
    ContentHash::of(token.as_bytes())
}

fn take<const N: usize>(left: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = left.split_first_chunk::<N>()?;
    *left = rest;
    Some(*head)
}

fn mac_of(key: &Key, bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&**key).expect("HMAC takes keys of any size");
    mac.update(bytes);
    mac
}

fn no_key(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "the key that URLs of files are signed with cannot be used");
    Problem::internal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grant(method: &str) -> SignedGrant {
        SignedGrant { method: method.to_owned(), ttl_ms: 1_000, bytes_max: None, content_type: None, once: false }
    }

    fn token_of(url: &str) -> &str {
        url.strip_prefix(PREFIX).unwrap()
    }

    #[test]
    fn what_was_signed_reads_back_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::of(folder.path());
        let id = FileId::new();
        assert!(signer.read("AAAA").is_err(), "nothing was ever signed");
        assert!(!folder.path().join("keys/files.key").exists(), "and no key made for looking");
        let put =
            SignedGrant { bytes_max: Some(5), content_type: Some("image/png".to_owned()), once: true, ..grant("PUT") };
        let url = signer.sign(AppId(7), "photos", id, &put, 1_000).unwrap();
        let claims = signer.read(token_of(&url)).unwrap();
        let expected = Claims {
            app: AppId(7),
            collection: "photos".to_owned(),
            id,
            verb: Verb::Put,
            expires_at: 2_000,
            bytes_max: Some(5),
            content_type: Some("image/png".to_owned()),
            once: true,
        };
        assert_eq!(claims, expected);
        // The same key after a restart, another one in another data folder.
        assert_eq!(Signer::of(folder.path()).read(token_of(&url)).unwrap(), expected);
        let elsewhere = tempfile::tempdir().unwrap();
        let other = Signer::of(elsewhere.path());
        other.sign(AppId(7), "photos", id, &put, 1_000).unwrap();
        assert_eq!(other.read(token_of(&url)).unwrap_err().code, Code::Forbidden);
        let again = signer.sign(AppId(7), "photos", id, &put, 1_000).unwrap();
        assert_ne!(url, again, "what holds once is another each time");
    }

    #[test]
    fn every_changed_byte_breaks_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::of(folder.path());
        let url = signer.sign(AppId(1), "c", FileId::new(), &grant("GET"), 0).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(token_of(&url)).unwrap();
        for index in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[index] ^= 1;
            let refused = signer.read(&URL_SAFE_NO_PAD.encode(forged)).unwrap_err();
            assert_eq!(refused.code, Code::Forbidden, "byte {index}");
        }
    }

    #[test]
    fn a_url_is_good_for_its_method_until_its_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::of(folder.path());
        let url = signer.sign(AppId(1), "c", FileId::new(), &grant("GET"), 0).unwrap();
        let claims = signer.read(token_of(&url)).unwrap();
        for (method, now, refused) in [
            ("GET", 0, None),
            ("HEAD", 999, None),
            ("GET", 1_000, Some(Code::Gone)),
            ("PUT", 0, Some(Code::Forbidden)),
            ("DELETE", 0, Some(Code::Forbidden)),
            ("POST", 0, Some(Code::Forbidden)),
        ] {
            assert_eq!(claims.check(method, now).err().map(|problem| problem.code), refused, "{method} at {now}");
        }
    }

    #[test]
    fn a_grant_that_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::of(folder.path());
        for bad in [
            grant("POST"),
            grant("HEAD"),
            grant("get"),
            SignedGrant { ttl_ms: 0, ..grant("GET") },
            SignedGrant { ttl_ms: TTL_MS_MAX + 1, ..grant("GET") },
            SignedGrant { bytes_max: Some(1), ..grant("GET") },
            SignedGrant { content_type: Some("x".repeat(256)), ..grant("PUT") },
        ] {
            let refused = signer.sign(AppId(1), "c", FileId::new(), &bad, 0).unwrap_err();
            assert_eq!(refused.code, Code::Malformed, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_claims_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(claims) = Claims::from_bytes(&bytes) {
                prop_assert_eq!(bytes[0], FORM);
                prop_assert!(claims.collection.len() <= bytes.len());
            }
        }
    }
}

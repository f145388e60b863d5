//! Why secrets cannot be opened or sealed, and what to do about it.

use picloud_model::problem::{Code, Problem};
use picloud_model::secret::SECRETS_MAX;
use picloud_store::StoreError;
use std::path::PathBuf;

/// Why the vault cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something was sealed, and the key to it is not there any more.
    #[error("the key file `{}`, with which secrets were sealed, is missing", file.display())]
    MasterMissing {
        /// Where it should be.
        file: PathBuf,
    },
    /// The key file is no key file.
    #[error("the key file `{}` has {bytes_found} bytes instead of 32", file.display())]
    MasterSize {
        /// The file.
        file: PathBuf,
        /// What it has.
        bytes_found: usize,
    },
    /// The key file cannot be used.
    #[error("the key file `{}` cannot be {what}: {source}", file.display())]
    MasterFile {
        /// The file.
        file: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The app's own key does not open with the master key.
    #[error("the secrets of this app were sealed with another key than the one in the key file, or were changed")]
    AppKey,
    /// What appliances share does not open.
    #[error(
        "what all appliances on this database share (`{0}`) was sealed with another key than the one in this one's key file, or was changed"
    )]
    Kept(String),
    /// A value does not open.
    #[error("the sealed value of secret `{0}` was changed, or is another secret's")]
    Value(String),
    /// The system has no random bytes.
    #[error("the system gave no random bytes: {0}")]
    NoRandomness(getrandom::Error),
    /// A new secret without a value.
    #[error("secret `{0}` is new and needs a value")]
    NoValue(String),
    /// One more than an app may have.
    #[error("the app has {SECRETS_MAX} secrets already, which is the most it may have")]
    TooMany,
}

impl VaultError {
    /// What it is to whoever asked over the admin API.
    pub fn problem(self) -> Problem {
        let text = self.to_string();
        match self {
            Self::Store(error) => crate::admin::from_store(error),
            Self::NoValue(_) => Problem::new(Code::Invalid, text).hint("send `value`"),
            Self::TooMany => Problem::new(Code::Conflict, text).hint("remove one that no script reads any more"),
            Self::NoRandomness(_) => {
                tracing::error!("{text}");
                Problem::internal()
            }
            Self::MasterMissing { .. } | Self::MasterSize { .. } | Self::MasterFile { .. } | Self::AppKey => {
                Problem::new(Code::Corrupted, text)
                    .hint("put the key file back, from a backup of this appliance; without one, delete the app's secrets and set them again")
            }
            Self::Kept(_) => Problem::new(Code::Corrupted, text)
                .hint("copy keys/secrets.key from the data folder of an appliance that was there before"),
            Self::Value(_) => Problem::new(Code::Corrupted, text).hint("set it again, or restore a backup"),
        }
    }
}

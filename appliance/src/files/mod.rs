//! Files at the appliance's edges: what may be said of them, URLs that are signed, and bytes that come or go over
//! several calls.

pub mod digest;
mod key;
pub mod reading;
pub mod rules;
pub mod sign;
pub mod uploads;

/// What signed URLs need.
pub struct Signed {
    /// Signs and checks.
    pub signer: sign::Signer,
    /// Files that are being brought.
    pub uploads: uploads::Uploads,
    /// Files that are being read.
    pub reading: reading::Reading,
}

impl Signed {
    /// With the key of this data folder.
    pub fn of(data_dir: &std::path::Path) -> Self {
        let signer = sign::Signer::of(data_dir);
        Self { signer, uploads: uploads::Uploads::default(), reading: reading::Reading::default() }
    }
}

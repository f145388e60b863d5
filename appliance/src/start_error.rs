//! Why the appliance does not start, each with what to do about it.

use crate::admin;
use crate::secrets::VaultError;
use picloud_model::problem::with_sources;
use picloud_orchestrator::supervisor::SupervisorError;
use picloud_store::blobs::{BlobError, OwnerError};
use picloud_store::{OpenError, StoreError};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the appliance does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or the database.
    #[error("{}\nhint: {}", with_sources(.0), .0.hint())]
    Open(#[from] OpenError),
    /// The folder of files.
    #[error("{}\nhint: give the folder to this appliance alone and to its user, or set another one: files_root", with_sources(.0))]
    Files(#[from] BlobError),
    /// The folder of files is another database's, or it is not known whose it is.
    #[error("{}\nhint: {}", with_sources(.0), .0.hint())]
    FilesOwner(#[from] OwnerError),
    /// The store opened, but does not answer.
    #[error("read all apps from the database: {}", with_sources(.0))]
    Store(StoreError),
    /// The ingress address is taken or not ours.
    #[error("listen for requests on {addr}: {source}\nhint: {hint}")]
    Ingress {
        /// What was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
        /// What to do about it.
        hint: String,
    },
    /// A socket that systemd handed down does not say where it is.
    #[error("take the sockets that systemd hands down: {source}\nhint: systemctl cat picloud-appliance.socket")]
    HandedDown {
        /// What the system said.
        source: std::io::Error,
    },
    /// The admin socket is taken or cannot be made.
    #[error(transparent)]
    Admin(#[from] admin::ListenError),
    /// The admin address is taken or not ours, or there is no certificate.
    #[error(transparent)]
    Https(#[from] admin::HttpsError),
    /// What all appliances on the database share cannot be had.
    #[error(
        "open the CA that all appliances on this database share: {0}\nhint: copy keys/secrets.key from the data folder of an appliance that was there before"
    )]
    Shared(VaultError),
    /// What they share cannot be kept here.
    #[error("write `{}`: {source}\nhint: the data folder must be writable and have room", path.display())]
    SharedFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Workers cannot run as that user.
    #[error("worker_user `{0}` is no user of this machine\nhint: create it, or leave the setting out")]
    NoSuchUser(String),
    /// The first worker did not come up.
    #[error("start the worker: {}", with_sources(.0))]
    Worker(SupervisorError),
}

//! One app out of a snapshot, into the appliance that runs: its scripts, routes, triggers, variables, stored values,
//! files and secrets. All of it, or nothing: where something goes wrong the app is removed again.
//!
//! Files keep their ids, for values may name them. The app gets its routes and triggers last, so that what comes back
//! sets nothing off. Not in it: what waited to be delivered, timers, dead letters and history.

use super::inventory::{CONFIG, Inventory};
use super::restic::Restic;
use super::verify::{compare, files_in, manifest};
use super::{Repository, RepositoryError, snapshots};
use crate::backup::FOLDERS;
use crate::backup::local::{Local, accepted, request, words};
use crate::backup::restore::Unfinished;
use crate::config::Settings;
use crate::deploy::export_of;
use crate::nodes::hub::Hub;
use crate::secrets::Vault;
use bytes::Bytes;
use http::HeaderValue;
use picloud_model::clock::{Clock, UnixMs};
use picloud_model::file::FileQuery;
use picloud_model::ids::AppId;
use picloud_model::kv::{KvQuery, KvReply, KvRequest};
use picloud_model::limits::AppLimits;
use picloud_model::page::PageRequest;
use picloud_store::{OpenSettings, Store};
use serde_json::json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where what is needed of the backup lies meanwhile, in the data folder.
const FETCHED: &str = "app";
/// What is asked for at once of a list.
const PAGE_MAX: u32 = 500;
/// Of what there is, so many names are told.
const NAMES_TOLD_MAX: u32 = 20;

/// Which app, and where to.
pub struct AppRestore<'a> {
    /// The snapshot, or the newest.
    pub snapshot: Option<&'a str>,
    /// The app in it.
    pub app: &'a str,
    /// What it is to be called.
    pub name: &'a str,
    /// The settings of the appliance that runs.
    pub settings: &'a Settings,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct AppRestored {
    /// The snapshot.
    pub snapshot: String,
    /// Stored values.
    pub values: u64,
    /// Files.
    pub files: u64,
    /// Secrets.
    pub secrets: u64,
    /// Scripts and modules.
    pub scripts: u64,
}

impl Repository {
    /// Restores one app.
    pub async fn restore_app(&self, wanted: &AppRestore<'_>) -> Result<AppRestored, RepositoryError> {
        let appliance = Local::find(wanted.settings).await;
        let mut appliance = appliance.map_err(|reason| {
            let hint = "an app is restored into an appliance that runs: start it first";
            RepositoryError::Appliance(format!("{reason}\nhint: {hint}"))
        })?;
        let there = appliance.is_there(&format!("/api/v1/apps/{}", wanted.name)).await;
        if there.map_err(RepositoryError::Appliance)? {
            return Err(RepositoryError::Appliance(format!(
                "there is an app `{0}` already, and it stays as it is\nhint: give this one another name: --as {0}-restored",
                wanted.name
            )));
        }
        let restic = self.restic_for_restore().await?;
        let all = snapshots::list(&restic).await?;
        let snapshot = snapshots::choose(&all, wanted.snapshot)?;
        let id = snapshot.short_id().to_owned();
        let inventory = manifest(&restic, &id, &snapshot.copies).await?;
        compare(&id, &inventory, &files_in(&restic, &id).await?)?;
        let unfinished = Unfinished::begin(&wanted.settings.data_dir.join(FETCHED))?;
        fetch_small(&restic, &id, &inventory, &unfinished.path).await?;
        let old = Old::open(&unfinished.path, wanted).await?;
        let mut copy =
            Copy { appliance, old, restic, id, inventory, to: wanted.name.to_owned(), now: wanted.clock.now_ms() };
        let mut restored = AppRestored { snapshot: copy.id.clone(), ..AppRestored::default() };
        copy.create().await?;
        let copied = copy.everything(&mut restored).await;
        if copied.is_err() {
            let removed = copy.appliance.ask("DELETE", &format!("/api/v1/apps/{}", copy.to), Bytes::new()).await;
            if let Err(error) = removed {
                tracing::warn!(app = copy.to, %error, "half of a restored app could not be removed");
            }
        }
        copied?;
        Ok(restored)
    }
}

/// Fetches the databases and keys; bytes of files are fetched one by one, for they are mostly of other apps.
async fn fetch_small(restic: &Restic, id: &str, inventory: &Inventory, into: &Path) -> Result<(), RepositoryError> {
    for entry in inventory.files.iter().filter(|entry| !entry.path.starts_with("files/") && entry.path != CONFIG) {
        let to = into.join(&entry.path);
        let folder = to.parent().unwrap_or(into);
        picloud_cluster::private_file::folder(folder).map_err(RepositoryError::io("make the folder", folder))?;
        dump(restic, id, &inventory.stored_at(&entry.path), &to).await?;
    }
    Ok(())
}

/// Writes one file of a snapshot.
async fn dump(restic: &Restic, id: &str, from: &Path, to: &Path) -> Result<(), RepositoryError> {
    use std::io::Write;
    let mut file = std::fs::File::create(to).map_err(RepositoryError::io("make", to))?;
    let mut written = Ok(());
    let arguments = ["dump".as_ref(), "--no-lock".as_ref(), id.as_ref(), from.as_os_str()];
    let take = &mut |bytes: &[u8]| {
        if written.is_ok() {
            written = file.write_all(bytes);
        }
    };
    restic.succeed("fetch a part of the backup", &arguments, take).await?;
    written.map_err(RepositoryError::io("write", to))
}

/// The app as it was, opened.
struct Old {
    store: Arc<dyn Store>,
    vault: Vault,
    app: AppId,
    name: String,
    limits: AppLimits,
    folder: PathBuf,
}

impl Old {
    async fn open(folder: &Path, wanted: &AppRestore<'_>) -> Result<Self, RepositoryError> {
        let store: Arc<dyn Store> = picloud_store::open(OpenSettings::new(folder), Arc::clone(&wanted.clock)).await?;
        let Some(app) = store.app(wanted.app).await? else {
            let page = PageRequest { limit: Some(NAMES_TOLD_MAX), cursor: None };
            let names: Vec<String> = store.apps(&page).await?.items.into_iter().map(|app| app.name).collect();
            let names = names.join(", ");
            let shown = wanted.app.escape_debug();
            return Err(RepositoryError::NoSnapshot(format!("there is no app `{shown}` in that backup, but: {names}")));
        };
        let vault = Vault::new(Arc::clone(&store), folder, Hub::default());
        Ok(Self { store, vault, app: app.id, name: app.name, limits: app.limits, folder: folder.to_owned() })
    }
}

/// The way from the one to the other.
struct Copy {
    appliance: Local,
    old: Old,
    restic: Restic,
    id: String,
    inventory: Inventory,
    to: String,
    now: UnixMs,
}

impl Copy {
    async fn create(&mut self) -> Result<(), RepositoryError> {
        let body = json!({ "name": self.to, "limits": self.old.limits }).to_string();
        self.ask("POST", "/api/v1/apps".to_owned(), body.into()).await.map(drop)
    }

    async fn everything(&mut self, restored: &mut AppRestored) -> Result<(), RepositoryError> {
        restored.values = self.values().await?;
        restored.files = self.files().await?;
        restored.secrets = self.secrets().await?;
        let bundle = export_of(self.old.store.as_ref(), self.old.app, &self.old.name).await;
        let mut bundle = bundle.map_err(|problem| RepositoryError::Appliance(problem.to_string()))?;
        bundle.name.clone_from(&self.to);
        restored.scripts = (bundle.scripts.len() + bundle.modules.len()) as u64;
        let body = serde_json::to_vec(&bundle).expect("a bundle has only plain fields");
        self.ask("POST", format!("/api/v1/apps/{}/deploy", self.to), body.into()).await.map(drop)
    }

    async fn values(&mut self) -> Result<u64, RepositoryError> {
        let mut values = 0;
        for collection in self.old.store.kv_collections(self.old.app, self.now).await? {
            let mut cursor = None;
            loop {
                let query =
                    KvQuery { prefix: String::new(), cursor, limit: PAGE_MAX, reverse: false, keys_only: false };
                let list = KvRequest::List { collection: collection.name.clone(), query };
                let KvReply::List(list) = self.old.store.kv(self.old.app, list, self.now).await? else { break };
                for entry in list.entries {
                    let mut url = self.url(&["kv", &collection.name, &entry.key]);
                    if let Some(at) = entry.expires_at {
                        url.push_str(&format!("?ttl_ms={}", (at - self.now).max(1)));
                    }
                    self.ask("PUT", url, entry.value.into()).await?;
                    values += 1;
                }
                cursor = list.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(values)
    }

    async fn files(&mut self) -> Result<u64, RepositoryError> {
        let places: HashMap<String, String> = self
            .inventory
            .files
            .iter()
            .filter_map(|entry| {
                let id = entry.path.strip_prefix(FOLDERS[1])?.rsplit_once('/')?.1;
                Some((id.to_owned(), entry.path.clone()))
            })
            .collect();
        let mut files = 0;
        for collection in self.old.store.file_collections(self.old.app).await? {
            let mut cursor = None;
            loop {
                let query = FileQuery { prefix: String::new(), cursor, limit: PAGE_MAX };
                let page = self.old.store.files(self.old.app, &collection.name, &query).await?;
                for file in page.items {
                    let Some(known) = self.old.store.file(self.old.app, &collection.name, file.id).await? else {
                        continue;
                    };
                    let Some(place) = places.get(&known.blob.id.to_string()) else {
                        tracing::warn!(file = %file.id, name = file.name, "the bytes of this file were lost before the backup");
                        continue;
                    };
                    let at = self.inventory.stored_at(place);
                    self.file(&collection.name, &file, &at).await?;
                    files += 1;
                }
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(files)
    }

    async fn file(
        &mut self,
        collection: &str,
        file: &picloud_model::file::File,
        at: &Path,
    ) -> Result<(), RepositoryError> {
        let here = self.old.folder.join("bytes");
        dump(&self.restic, &self.id, at, &here).await?;
        // At most the largest file there may be.
        let bytes = std::fs::read(&here).map_err(RepositoryError::io("read", &here))?;
        let mut url = self.url(&["files", collection]);
        url.push_str(&format!("?name={}&id={}", encoded(&file.name), file.id));
        let mut asked = request("POST", &url, bytes.into());
        for (name, text) in [("content-type", &file.content_type), ("x-picloud-metadata", &file.metadata)] {
            let value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_odd| {
                RepositoryError::Appliance(format!("file `{}`: its {name} cannot be sent", file.name))
            })?;
            asked.headers_mut().insert(name, value);
        }
        let sent = match self.appliance.send(asked).await {
            Ok(answer) => match accepted(answer).await {
                Ok(answer) => words(answer).await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        sent.map(drop).map_err(|error| RepositoryError::Appliance(format!("file `{}`: {error}", file.name)))
    }

    async fn secrets(&mut self) -> Result<u64, RepositoryError> {
        let secrets = self.old.vault.all(self.old.app).await;
        let secrets = secrets.map_err(|error| RepositoryError::Appliance(error.problem().to_string()))?;
        for secret in &secrets {
            let body = json!({ "value": secret.value, "scripts": secret.scripts }).to_string();
            let url = self.url(&["secrets", &secret.name]);
            self.ask("PUT", url, body.into()).await?;
        }
        Ok(secrets.len() as u64)
    }

    fn url(&self, parts: &[&str]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| encoded(part)).collect();
        format!("/api/v1/apps/{}/{}", self.to, parts.join("/"))
    }

    async fn ask(&mut self, method: &str, url: String, body: Bytes) -> Result<Bytes, RepositoryError> {
        let asked = self.appliance.ask(method, &url, body).await;
        asked.map_err(|error| RepositoryError::Appliance(format!("{method} {url}: {error}")))
    }
}

/// As it stands in a URL: everything but letters, digits and `-._~` as `%XX`.
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

//! The vault: secrets of apps, sealed in the store, opened in memory, read by the scripts they are granted to.
//!
//! An envelope of three: the master key in a file of the data folder seals one key for each app, and that one seals
//! the app's values. What is opened stays in memory until something of the app's secrets changes, so a read costs no
//! look into the store, and a change holds from the next read on.

mod error;
mod kept;
mod master;
mod redaction;
mod seal;

use crate::nodes::hub::Hub;
use crate::registry::Registry;
pub use error::VaultError;
use master::MasterFile;
use picloud_model::audit::Act;
use picloud_model::execution::Execution;
use picloud_model::ids::AppId;
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::SecretEntry;
use picloud_model::redact::Redactor;
use picloud_model::secret::{SECRETS_MAX, Secret};
use picloud_store::Store;
use seal::{Place, SealKey};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// Opened values that stay in memory, over all apps; beyond it those of other apps are read again when they are
/// asked for.
const OPENED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One app's secrets, opened.
struct Opened {
    secrets: BTreeMap<String, (Secret, Result<Zeroizing<String>, ()>)>,
    redactor: Redactor,
    bytes: usize,
}

/// What is to be done to a secret.
pub struct SecretWrite {
    /// Its name.
    pub name: String,
    /// Its value; `None` leaves it.
    pub value: Option<Zeroizing<String>>,
    /// Whom it is granted to; `None` leaves that.
    pub scripts: Option<Vec<String>>,
    /// The version it must be at, 0 for "must not exist".
    pub expected: Option<i64>,
}

/// What was done to a secret.
pub struct Put {
    /// As it is now.
    pub secret: Secret,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// All apps' secrets.
pub struct Vault {
    store: Arc<dyn Store>,
    file: MasterFile,
    opened: RwLock<HashMap<AppId, Arc<Opened>>>,
    /// Whoever has to be told what changed.
    hub: Hub,
    /// The master key once it was read. Held while secrets are opened or changed, so that what was read before a
    /// change is never kept after it.
    master: Mutex<Option<SealKey>>,
}

impl Vault {
    /// The vault of this data folder. Reads nothing yet.
    pub fn new(store: Arc<dyn Store>, data_dir: &Path, hub: Hub) -> Self {
        Self { store, file: MasterFile::of(data_dir), opened: RwLock::default(), hub, master: Mutex::default() }
    }

    /// All secrets of an app that can be opened, for nodes.
    pub(crate) async fn all(&self, app: AppId) -> Result<Vec<SecretEntry>, VaultError> {
        let opened = self.open(app).await?;
        let entry = |(secret, value): &(Secret, Result<Zeroizing<String>, ()>)| {
            let value = value.as_ref().ok()?.to_string();
            Some(SecretEntry { name: secret.name.clone(), scripts: secret.scripts.clone(), value })
        };
        Ok(opened.secrets.values().filter_map(entry).collect())
    }

    /// Another appliance may have changed this app's secrets.
    pub(crate) async fn changed_elsewhere(&self, app: AppId) {
        let _alone = self.master.lock().await;
        self.forget(app);
    }

    /// The value of a secret for a script that it is granted to.
    pub async fn read(&self, app: AppId, app_name: &str, script: &str, name: &str) -> Result<String, Problem> {
        let opened = self.open(app).await.map_err(|error| {
            let problem = error.problem();
            tracing::error!(app = %app_name, script, secret = name, "a secret cannot be read: {}", problem.detail);
            Problem::new(problem.code, format!("secret `{name}` cannot be read: {}", problem.detail))
        })?;
        let command = |verb| format!("picloud --app {app_name} secrets {verb} {name} --script {script}");
        match opened.secrets.get(name) {
            None => {
                let detail = format!("secret `{name}` does not exist; set it: {}", command("set"));
                Err(Problem::new(Code::NotFound, detail))
            }
            Some((secret, _value)) if !secret.is_granted_to(script) => {
                let grant = command("grant");
                let detail = format!("secret `{name}` is not granted to script `{script}`; grant it: {grant}");
                Err(Problem::new(Code::Forbidden, detail))
            }
            Some((_secret, Ok(value))) => Ok(value.to_string()),
            Some((_secret, Err(()))) => Err(VaultError::Value(name.to_owned()).problem()),
        }
    }

    /// Sets a secret or whom it is granted to; see [`picloud_store::Secrets::put_secret`].
    ///
    /// Goes on to its end also where nobody waits for it any more, as does a removal: what is opened must not stay
    /// when the store has something else.
    pub async fn put(self: &Arc<Self>, app: AppId, write: SecretWrite, act: &Act) -> Result<Put, VaultError> {
        let (vault, act) = (Arc::clone(self), act.clone());
        finished(tokio::spawn(async move { vault.put_here(app, write, &act).await })).await
    }

    async fn put_here(&self, app: AppId, write: SecretWrite, act: &Act) -> Result<Put, VaultError> {
        let SecretWrite { name, value, scripts, expected } = write;
        let mut master = self.master.lock().await;
        let before = self.store.secret(app, &name).await?;
        if before.is_none() {
            if value.is_none() {
                return Err(VaultError::NoValue(name));
            }
            if self.store.sealed_secrets(app).await?.len() >= SECRETS_MAX {
                return Err(VaultError::TooMany);
            }
        }
        let sealed = match value {
            // The same value again is no change, though it would be sealed to other bytes.
            Some(value) if before.is_some() && self.is_value(&mut master, app, &name, &value).await => None,
            Some(value) => {
                let key = self.app_key_or_new(&mut master, app).await?;
                Some(key.seal(Place::Value(app, &name), value.as_bytes()).map_err(VaultError::NoRandomness)?)
            }
            None => None,
        };
        let put = self.store.put_secret(app, &name, sealed, scripts, expected, act).await;
        // Also where it failed: what failed may have been the answer only.
        self.forget(app);
        Ok(Put { secret: put?, is_new: before.is_none() })
    }

    /// Removes a secret. Answers whether it was there.
    pub async fn delete(
        self: &Arc<Self>,
        app: AppId,
        name: &str,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<bool, VaultError> {
        let (vault, name, act) = (Arc::clone(self), name.to_owned(), act.clone());
        finished(tokio::spawn(async move {
            let _alone = vault.master.lock().await;
            let deleted = vault.store.delete_secret(app, &name, expected, &act).await;
            vault.forget(app);
            Ok(deleted?)
        }))
        .await
    }

    /// Forgets what is opened of an app: it is gone.
    pub async fn app_gone(&self, app: AppId) {
        let _alone = self.master.lock().await;
        self.forget(app);
    }

    /// Takes all secrets of their apps out of finished runs.
    pub async fn redact(&self, executions: &mut [Execution]) {
        for execution in executions {
            match self.open(execution.app_id).await {
                Ok(opened) => redaction::redact_run(&opened.redactor, execution),
                // What is to be taken out is not known: nothing that a script wrote is kept.
                Err(VaultError::Store(error)) => {
                    tracing::warn!(execution.id = %execution.id, %error, "what a run logged is not kept: its app's secrets could not be read");
                    redaction::blank_run(execution);
                }
                // What cannot be opened could not be given to a script either.
                Err(_closed) => {}
            }
        }
    }

    fn forget(&self, app: AppId) {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).remove(&app);
        self.hub.secrets_changed(app);
    }

    fn opened(&self, app: AppId) -> Option<Arc<Opened>> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&app).cloned()
    }

    async fn open(&self, app: AppId) -> Result<Arc<Opened>, VaultError> {
        if let Some(opened) = self.opened(app) {
            return Ok(opened);
        }
        let mut master = self.master.lock().await;
        self.open_alone(&mut master, app).await
    }

    /// Whether the secret has this value already; a value that cannot be opened is another.
    async fn is_value(&self, master: &mut Option<SealKey>, app: AppId, name: &str, value: &str) -> bool {
        let Ok(opened) = self.open_alone(master, app).await else { return false };
        opened.secrets.get(name).is_some_and(|(_secret, is)| is.as_ref().is_ok_and(|is| is.as_str() == value))
    }

    async fn open_alone(&self, master: &mut Option<SealKey>, app: AppId) -> Result<Arc<Opened>, VaultError> {
        if let Some(opened) = self.opened(app) {
            return Ok(opened);
        }
        let sealed = self.store.sealed_secrets(app).await?;
        let mut opened = Opened { secrets: BTreeMap::new(), redactor: Redactor::default(), bytes: 0 };
        if !sealed.is_empty() {
            let key = self.app_key(master, app).await?.ok_or(VaultError::AppKey)?;
            for (secret, bytes) in sealed {
                let value = key.open(Place::Value(app, &secret.name), &bytes).ok();
                let value =
                    value.and_then(|plain| std::str::from_utf8(&plain).map(str::to_owned).ok()).map(Zeroizing::new);
                if value.is_none() {
                    tracing::error!(app.id = %app, secret = %secret.name, "a sealed value was changed, or is another's");
                }
                opened.bytes += value.as_ref().map_or(0, |value| value.len());
                opened.secrets.insert(secret.name.clone(), (secret, value.ok_or(())));
            }
            let values = opened.secrets.values().filter_map(|(_secret, value)| value.as_ref().ok());
            opened.redactor = Redactor::new(values.map(|value| value.as_str()));
        }
        let opened = Arc::new(opened);
        let mut all = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if all.values().map(|opened| opened.bytes).sum::<usize>() + opened.bytes > OPENED_BYTES_MAX {
            all.clear();
        }
        all.insert(app, Arc::clone(&opened));
        Ok(opened)
    }

    /// The app's key, `None` where it has none.
    async fn app_key(&self, master: &mut Option<SealKey>, app: AppId) -> Result<Option<SealKey>, VaultError> {
        let Some(sealed) = self.store.app_key(app).await? else { return Ok(None) };
        if master.is_none() {
            *master = Some(self.file.read()?.ok_or_else(|| self.file.missing())?);
        }
        let master = master.as_ref().ok_or_else(|| self.file.missing())?;
        let key = master.open(Place::AppKey(app), &sealed).map_err(|_does_not_open| VaultError::AppKey)?;
        SealKey::from_bytes(&key).map(Some).ok_or(VaultError::AppKey)
    }

    async fn app_key_or_new(&self, master: &mut Option<SealKey>, app: AppId) -> Result<SealKey, VaultError> {
        if let Some(key) = self.app_key(master, app).await? {
            return Ok(key);
        }
        let master_key = self.master_or_new(master).await?;
        let key = SealKey::random().map_err(VaultError::NoRandomness)?;
        let sealed = master_key.seal(Place::AppKey(app), key.bytes()).map_err(VaultError::NoRandomness)?;
        self.store.put_app_key(app, sealed).await?;
        // Whichever was first is the app's key.
        self.app_key(master, app).await?.ok_or(VaultError::AppKey)
    }

    async fn master_or_new<'m>(&self, master: &'m mut Option<SealKey>) -> Result<&'m SealKey, VaultError> {
        if master.is_none() {
            *master = match self.file.read()? {
                Some(key) => Some(key),
                // A new master key over old secrets would bury them.
                None if self.something_is_sealed().await? => return Err(self.file.missing()),
                None => Some(self.file.create()?),
            };
        }
        master.as_ref().ok_or_else(|| self.file.missing())
    }

    async fn something_is_sealed(&self) -> Result<bool, VaultError> {
        for app in self.store.snapshot().await? {
            if self.store.app_key(app.id).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a task answered; a panic in it goes on here.
async fn finished<T>(task: tokio::task::JoinHandle<T>) -> T {
    match task.await {
        Ok(answer) => answer,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The whole runtime ends.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// Says loudly, once after the start, where secrets were sealed that cannot be opened.
pub async fn check(vault: Arc<Vault>, registry: Arc<Registry>) {
    for app in registry.all() {
        if let Err(error) = vault.open(app.id).await {
            let Problem { detail, hint, .. } = error.problem();
            tracing::error!(app = %app.name, "secrets cannot be read: {detail}; {}", hint.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;

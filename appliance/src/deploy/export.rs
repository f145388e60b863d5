//! The app as a bundle again: deploying it is no change.

use crate::admin::from_store;
use crate::appliance::Appliance;
use base64::Engine;
use picloud_model::bundle::Bundle;
use picloud_model::ids::AppId;
use picloud_model::problem::Problem;
use picloud_model::protocol::STATIC_CHUNK_BYTES_MAX;
use picloud_model::script::ScriptKind;
use picloud_store::{StaticFile, Store};
use std::collections::BTreeMap;

impl Appliance {
    /// Everything of the app.
    pub async fn export(&self, app: AppId, name: &str) -> Result<Bundle, Problem> {
        export_of(self.store.as_ref(), app, name).await
    }
}

/// Everything of the app, from whatever store has it.
pub(crate) async fn export_of(store: &dyn Store, app: AppId, name: &str) -> Result<Bundle, Problem> {
    let state = store.app_state(app).await.map_err(from_store)?;
    let state = state.ok_or_else(|| Problem::not_found("app", name))?;
    let of_kind = |wanted: ScriptKind| {
        let scripts = state.scripts.iter().filter(|(script, _source)| script.kind == wanted);
        scripts.map(|(script, source)| (script.name.clone(), source.to_string())).collect()
    };
    let (scripts, modules): (BTreeMap<String, String>, _) =
        (of_kind(ScriptKind::Endpoint), of_kind(ScriptKind::Module));
    let mut placement = state.app.placement;
    // One of a script that is gone could not be deployed again.
    placement.retain(|script, _placement| scripts.contains_key(script));
    let mut bundle = Bundle {
        name: state.app.name,
        hosts: state.app.hosts,
        routes: state.routes.into_iter().map(|route| route.spec).collect(),
        triggers: state.triggers.into_iter().map(|trigger| trigger.spec).collect(),
        http: state.app.http,
        placement,
        env: state.app.env,
        limits: state.app.limits,
        scripts,
        modules,
        static_files: BTreeMap::new(),
        message: None,
    };
    for file in &state.static_files {
        let bytes = whole_file(store, file).await?;
        bundle.static_files.insert(file.path.clone(), base64::engine::general_purpose::STANDARD.encode(bytes));
    }
    Ok(bundle)
}

async fn whole_file(store: &dyn Store, file: &StaticFile) -> Result<Vec<u8>, Problem> {
    let size = usize::try_from(file.size_bytes).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size);
    while bytes.len() < size {
        let part = store.static_bytes(file.hash, bytes.len() as u64, STATIC_CHUNK_BYTES_MAX).await;
        match part.map_err(from_store)? {
            Some(part) if !part.is_empty() => bytes.extend(part),
            // Replaced by a deploy while it was read: the caller sees an old app or a new one, never half of each.
            _ => {
                return Err(Problem::new(
                    picloud_model::Code::Conflict,
                    format!("static/{} changed while the app was exported", file.path),
                )
                .hint("export again"));
            }
        }
    }
    Ok(bytes)
}

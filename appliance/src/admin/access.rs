//! Who may do what: the extractors that every handler takes, and cannot do without.
//!
//! The router's state is [`Guarded`], which nothing outside this file can open. A handler gets at the appliance only
//! through one of the extractors below, and each of them has checked a capability first:
//!
//! | extractor | lets in |
//! |---|---|
//! | [`InApp<C>`] | who has the scope of `C` in the app of the URL; the app is there |
//! | [`ForApp<C>`] | the same, whether the app is there or not |
//! | [`May<C>`] | who has the scope of `C` in all apps |
//! | [`MaySome<C>`] | who has the scope of `C` in some app; what is shown must be narrowed with `sees` |
//! | [`Known`] | everybody with a key |
//! | [`Anyone`] | everybody |

use super::refusal::Refusal;
use super::visitor::{self, Identity, Visitor};
use crate::appliance::Appliance;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use picloud_model::app::App;
use picloud_model::audit::{Act, RefusedAct};
use picloud_model::principal::Principal;
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::{Capability, Grant, Scope, allows};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// The appliance, out of reach for whoever has not been let in.
#[derive(Clone)]
pub(super) struct Guarded(Arc<Appliance>);

impl Guarded {
    /// For the router, and nobody else.
    pub(super) fn new(appliance: Arc<Appliance>) -> Self {
        Self(appliance)
    }
}

/// What a handler does, as a type.
pub(super) trait Permission: Send + Sync + 'static {
    /// As a value.
    const CAPABILITY: Capability;
}

macro_rules! permissions {
    ($($name:ident)*) => {
        /// Every capability as a type.
        pub(super) mod may {
            use super::{Capability, Permission};
            $(
                #[doc = concat!("[`Capability::", stringify!($name), "`]")]
                pub(in crate::admin) struct $name;
                impl Permission for $name {
                    const CAPABILITY: Capability = Capability::$name;
                }
            )*
        }
    };
}

permissions! {
    ReadApps CreateApps ChangeApps DeleteApps Deploy ReadScripts WriteScripts RunScripts ReadRoutes WriteRoutes
    ReadTriggers WriteTriggers ReadDeadLetters WriteDeadLetters ReadFiles WriteFiles
    ReadKv WriteKv ReadSecrets WriteSecrets ReadExecutions ReadLogs Watch ReadNodes AdminNodes AdminKeys ReadAudit Backup
    SweepFiles
}

/// Somebody who was let in, and the appliance.
pub(super) struct Entry {
    appliance: Arc<Appliance>,
    visitor: Visitor,
    principal: Principal,
}

impl Entry {
    /// The appliance itself, for what outlives the request.
    pub(super) fn appliance(&self) -> Arc<Appliance> {
        Arc::clone(&self.appliance)
    }

    /// Who asks.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What they may do.
    pub(super) fn grants(&self) -> Vec<Grant> {
        match &self.visitor.identity {
            Identity::Local(_) => Scope::ALL.iter().copied().map(Grant::everywhere).collect(),
            Identity::Key { scopes, .. } => scopes.to_vec(),
            Identity::Unknown(_) => Vec::new(),
        }
    }

    /// What this request does, for the store and the audit log.
    pub(super) fn act(&self) -> Act {
        self.appliance.act(self.principal.clone(), &self.visitor.from)
    }

    /// Waits until whoever asks may not ask any more, for answers that go on for long: ends when their key is revoked
    /// or expires, and never for people of this machine.
    pub(super) async fn gone(&self) {
        match &self.visitor.identity {
            Identity::Key { id, .. } => self.appliance.keys.gone(*id, self.appliance.clock.as_ref()).await,
            Identity::Local(_) => std::future::pending().await,
            Identity::Unknown(_) => {}
        }
    }

    /// Whether they have the scope of `capability` in `app`.
    pub(super) fn may(&self, capability: Capability, app: Option<&str>) -> bool {
        match &self.visitor.identity {
            Identity::Local(_) => true,
            Identity::Key { scopes, .. } => allows(scopes, capability.scope(), app),
            Identity::Unknown(_) => false,
        }
    }
}

impl Deref for Entry {
    type Target = Appliance;

    fn deref(&self) -> &Appliance {
        &self.appliance
    }
}

/// Lets in who has the scope of `C` in the app of the URL; 404 where there is none.
pub(super) struct InApp<C> {
    /// The app.
    pub(super) app: App,
    entry: Entry,
    capability: PhantomData<C>,
}

/// Lets in who has the scope of `C` in the app of the URL, which need not exist.
pub(super) struct ForApp<C> {
    /// The app's name.
    pub(super) name: String,
    entry: Entry,
    capability: PhantomData<C>,
}

/// Lets in who has the scope of `C` in all apps, or where no app is concerned.
pub(super) struct May<C> {
    entry: Entry,
    capability: PhantomData<C>,
}

/// Lets in who has the scope of `C` in some app.
pub(super) struct MaySome<C> {
    entry: Entry,
    capability: PhantomData<C>,
}

impl<C: Permission> MaySome<C> {
    /// Whether what is of `app` may be shown or done.
    pub(super) fn sees(&self, app: &str) -> bool {
        self.entry.may(C::CAPABILITY, Some(app))
    }

    /// Refuses what is of an app that they have no scope for, and writes that down.
    pub(super) fn check(&self, app: &str) -> Result<(), Refusal> {
        if self.sees(app) { Ok(()) } else { Err(refuse(&self.entry, C::CAPABILITY, Some(app))) }
    }
}

/// Lets everybody in who has a key.
pub(super) struct Known(Entry);

/// Lets everybody in.
pub(super) struct Anyone(Arc<Appliance>);

impl Deref for Anyone {
    type Target = Appliance;

    fn deref(&self) -> &Appliance {
        &self.0
    }
}

impl Deref for Known {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

macro_rules! is_entry {
    ($($name:ident)*) => {$(
        impl<C> Deref for $name<C> {
            type Target = Entry;

            fn deref(&self) -> &Entry {
                &self.entry
            }
        }
    )*};
}

is_entry! { InApp ForApp May MaySome }

impl FromRequestParts<Guarded> for Anyone {
    type Rejection = Refusal;

    async fn from_request_parts(_parts: &mut Parts, Guarded(appliance): &Guarded) -> Result<Self, Refusal> {
        Ok(Self(Arc::clone(appliance)))
    }
}

impl FromRequestParts<Guarded> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, guarded: &Guarded) -> Result<Self, Refusal> {
        Ok(Self(enter(parts, guarded, None)?))
    }
}

impl<C: Permission> FromRequestParts<Guarded> for May<C> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, guarded: &Guarded) -> Result<Self, Refusal> {
        let entry = enter(parts, guarded, Some(C::CAPABILITY))?;
        if !entry.may(C::CAPABILITY, None) {
            return Err(refuse(&entry, C::CAPABILITY, None));
        }
        Ok(Self { entry, capability: PhantomData })
    }
}

impl<C: Permission> FromRequestParts<Guarded> for MaySome<C> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, guarded: &Guarded) -> Result<Self, Refusal> {
        let entry = enter(parts, guarded, Some(C::CAPABILITY))?;
        let scope = C::CAPABILITY.scope();
        let some = match &entry.visitor.identity {
            Identity::Key { scopes, .. } => scopes.iter().any(|grant| grant.scope == scope),
            Identity::Local(_) => true,
            Identity::Unknown(_) => false,
        };
        if !some {
            return Err(refuse(&entry, C::CAPABILITY, None));
        }
        Ok(Self { entry, capability: PhantomData })
    }
}

impl<C: Permission> FromRequestParts<Guarded> for ForApp<C> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, guarded: &Guarded) -> Result<Self, Refusal> {
        let entry = enter(parts, guarded, Some(C::CAPABILITY))?;
        let params = RawPathParams::from_request_parts(parts, guarded).await;
        let params = params.map_err(|error| Problem::new(Code::Malformed, error.to_string()))?;
        let name = params.iter().find(|(key, _value)| *key == "app").map(|(_key, value)| value).unwrap_or_default();
        // Before anything is looked up: whether an app exists is nobody's business who may not see it.
        if !entry.may(C::CAPABILITY, Some(name)) {
            return Err(refuse(&entry, C::CAPABILITY, Some(name)));
        }
        Ok(Self { name: name.to_owned(), entry, capability: PhantomData })
    }
}

impl<C: Permission> FromRequestParts<Guarded> for InApp<C> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, guarded: &Guarded) -> Result<Self, Refusal> {
        let ForApp { name, entry, capability } = ForApp::<C>::from_request_parts(parts, guarded).await?;
        let app = entry.store.app(&name).await?.ok_or_else(|| Problem::not_found("app", &name))?;
        Ok(Self { app, entry, capability })
    }
}

fn enter(parts: &Parts, Guarded(appliance): &Guarded, capability: Option<Capability>) -> Result<Entry, Refusal> {
    let Some(visitor) = parts.extensions.get::<Visitor>().cloned() else {
        tracing::error!("a request came in without anybody having looked who asks");
        return Err(Problem::internal().into());
    };
    let principal = match &visitor.identity {
        Identity::Local(principal) | Identity::Key { principal, .. } => principal.clone(),
        Identity::Unknown(problem) => {
            let action =
                capability.map_or_else(|| parts.uri.path().to_owned(), |capability| capability.as_str().to_owned());
            visitor::note_refused(appliance, &visitor, problem, &action);
            return Err(Problem::clone(problem).into());
        }
    };
    Ok(Entry { appliance: Arc::clone(appliance), visitor, principal })
}

/// Says no, and writes it down.
fn refuse(entry: &Entry, capability: Capability, app: Option<&str>) -> Refusal {
    let scope = capability.scope();
    let place = app.map(|app| format!(" in app `{app}`")).unwrap_or_default();
    let problem = Problem::new(
        Code::Forbidden,
        format!("{} `{}` lacks the scope `{scope}`{place}", entry.principal.kind.as_str(), entry.principal.name),
    )
    .hint(format!("use a key with that scope: picloud keys create NAME --scope {scope}"));
    entry.appliance.refused(RefusedAct {
        act: entry.act(),
        action: capability.as_str().to_owned(),
        app: app.map(str::to_owned),
        target: scope.to_string(),
        reason: serde_json::json!({ "code": problem.code, "detail": problem.detail }),
    });
    problem.into()
}

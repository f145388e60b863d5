//! `/whoami`: who asks, and what they may do.

use crate::admin::access::Known;
use crate::admin::body::ok;
use axum::response::Response;
use picloud_model::principal::{Principal, You};

/// Who asks, and what they may do: a key its scopes, whoever uses the admin socket everything.
#[utoipa::path(get, path = "/whoami", responses((status = 200, body = You)))]
pub(in crate::admin) async fn whoami(asked: Known) -> Response {
    let Principal { kind, name } = asked.principal().clone();
    ok(&You { kind, name, grants: asked.grants() })
}

//! The admin API as an OpenAPI document, made from the handlers themselves.
//!
//! A handler's summary and its good answers stand beside it in `#[utoipa::path]`; what it takes, whom it lets in and
//! how it refuses follows from the types of its arguments (`inputs.rs`), so that neither can be forgotten. The shape of
//! a type comes from its `utoipa::ToSchema`.

mod finish;
mod inputs;
mod problems;

pub(super) use problems::{Conflict, Deadline, Invalid, NotFound, StorageFull, WorkerLost};

use super::access::Guarded;
use super::refusal::Refusal;
use super::router;
use super::visitor::Visitor;
use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use bytes::Bytes;
use inputs::Inputs;
use picloud_model::problem::{Code, Problem};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use utoipa::__dev::SchemaReferences;
use utoipa::openapi::{HttpMethod, RefOr, Schema};

/// Below which all URLs are.
pub(super) const BASE: &str = "/api/v1";

/// The URLs so far, with what is known of each.
#[derive(Default)]
pub(super) struct Urls {
    router: Router<Guarded>,
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: Schemas,
}

/// Named schemas.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Adds what `collect` finds.
    fn add(&mut self, collect: impl FnOnce(&mut Vec<(String, RefOr<Schema>)>)) {
        let mut found = Vec::new();
        collect(&mut found);
        self.0.extend(found.into_iter().map(|(name, schema)| (name, json!(schema))));
    }
}

/// One operation while it is described.
struct Described<'a> {
    operation: Map<String, Value>,
    schemas: &'a mut Schemas,
}

/// A handler's name: `apps`, `list`.
pub(super) struct HandlerName(pub(super) &'static str, pub(super) &'static str);

/// The URLs of the admin API: `"/apps" => apps::list, apps::create;`.
macro_rules! urls {
    ($($url:literal => $($module:ident :: $handler:ident),+;)*) => {
        pastey::paste! {
            crate::admin::openapi::Urls::default()$($(.on::<$module::[<__path_ $handler>], _, _, _>(
                $url,
                crate::admin::openapi::HandlerName(stringify!($module), stringify!($handler)),
                $module::$handler,
            ))+)*
        }
    };
}
pub(super) use urls;

impl Urls {
    /// Adds a handler at a URL. `P` is what `#[utoipa::path]` made of what stands beside it.
    pub(super) fn on<P, H, T, A>(
        mut self,
        url: &'static str,
        HandlerName(module, name): HandlerName,
        handler: H,
    ) -> Self
    where
        P: utoipa::Path + SchemaReferences,
        H: Handler<T, Guarded> + Inputs<A>,
        T: 'static,
    {
        assert_eq!(P::path(), url, "the URL beside `{module}::{name}` is another than the router's");
        self.schemas.add(P::schemas);
        let mut described = Described::new::<P>(module, name, &mut self.schemas);
        H::describe(&mut described);
        let takes_a_query = described.parameters("query").next().is_some();
        let operation = described.finish(url);
        let mut on_method = MethodRouter::new();
        for method in P::methods() {
            let (filter, verb) = filter_of(&method);
            on_method = on_method.on(filter, handler.clone());
            let item = self.paths.entry(finish::template_of(url)).or_default();
            item.insert(verb.to_owned(), Value::Object(operation.clone()));
        }
        if !takes_a_query {
            on_method = on_method.layer(from_fn(refuse_query));
        }
        self.router = self.router.route(url, on_method);
        self
    }

    /// What answers.
    pub(super) fn into_router(self) -> Router<Guarded> {
        self.router
    }

    /// What tells of it.
    pub(super) fn document(self) -> Value {
        finish::document(self.paths, self.schemas.0)
    }
}

fn filter_of(method: &HttpMethod) -> (MethodFilter, &'static str) {
    match method {
        HttpMethod::Get => (MethodFilter::GET, "get"),
        HttpMethod::Put => (MethodFilter::PUT, "put"),
        HttpMethod::Post => (MethodFilter::POST, "post"),
        HttpMethod::Patch => (MethodFilter::PATCH, "patch"),
        HttpMethod::Delete => (MethodFilter::DELETE, "delete"),
        HttpMethod::Head => (MethodFilter::HEAD, "head"),
        HttpMethod::Options => (MethodFilter::OPTIONS, "options"),
        HttpMethod::Trace => (MethodFilter::TRACE, "trace"),
    }
}

/// The document as it is answered; made when it is first asked for.
pub(super) fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| router::urls().document().to_string().into());
    DOCUMENT.clone()
}

/// Where nothing may stand after `?`, nothing that stands there is passed over in silence.
async fn refuse_query(request: Request, next: Next) -> Response {
    // Whoever is nobody is told that, and nothing else.
    let is_known = request.extensions().get::<Visitor>().is_none_or(Visitor::is_known);
    match request.uri().query() {
        Some(query) if !query.is_empty() && is_known => {
            let detail = format!("`{}` takes no query, and `?{query}` is one", request.uri().path());
            Refusal(Problem::new(Code::Malformed, detail)).into_response()
        }
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

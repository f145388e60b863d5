//! What the type of a handler's argument says about the operation: parameters, body, permission, refusals.

use super::problems::reference;
use super::{Described, Schemas};
use crate::admin::access::{Anyone, ForApp, InApp, Known, May, MaySome, Permission};
use crate::admin::asked::{Asked, Named, Seen};
use crate::admin::body::{Json, JsonOrNothing};
use crate::admin::seen_file::SeenFile;
use axum::body::Body;
use http::HeaderMap;
use picloud_model::kv::COLLECTION_BYTES_MAX;
use picloud_model::limits::{ENV_NAME_BYTES_MAX, Limits};
use picloud_model::problem::Problem;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// `*`, or ETags; digits are taken without their quotes, too.
const TAGS: &str = r#"^(\*|((W/)?"[^"]*"|[0-9]+)(, ?((W/)?"[^"]*"|[0-9]+))*)$"#;

/// An argument of a handler.
pub(super) trait Input {
    /// Writes down what it means for callers.
    fn describe(described: &mut Described<'_>);
}

/// A handler whose arguments all tell what they mean.
pub(in crate::admin) trait Inputs<A> {
    /// Writes down what they mean for callers.
    #[expect(private_interfaces, reason = "only the router asks, and only for what is described here")]
    fn describe(described: &mut Described<'_>);
}

macro_rules! handlers {
    ($(($($argument:ident)*))*) => {$(
        impl<F, R, $($argument: Input),*> Inputs<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R,
        {
            #[expect(private_interfaces, reason = "only the router asks, and only for what is described here")]
            fn describe(_described: &mut Described<'_>) {
                $($argument::describe(_described);)*
            }
        }
    )*};
}

handlers! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) }

impl<'a> Described<'a> {
    /// What stands beside the handler, and what every operation does.
    pub(super) fn new<P: utoipa::Path>(module: &str, name: &str, schemas: &'a mut Schemas) -> Self {
        let Value::Object(mut operation) = json!(P::operation()) else { unreachable!("an operation is an object") };
        let id = if module == name { module.to_owned() } else { format!("{module}_{name}") };
        operation.insert("operationId".to_owned(), id.into());
        operation.insert("tags".to_owned(), json!([module]));
        schemas.add(<Problem as ToSchema>::schemas);
        schemas.0.insert(Problem::name().into_owned(), json!(Problem::schema()));
        let mut described = Self { operation, schemas };
        for status in [400, 431, 500] {
            described.refuses(status);
        }
        described
    }

    fn entry(&mut self, name: &str, empty: Value) -> &mut Value {
        self.operation.entry(name.to_owned()).or_insert(empty)
    }

    /// It may be answered with the problem of this status.
    pub(super) fn refuses(&mut self, status: u16) {
        self.entry("responses", json!({}))[status.to_string()] = reference(status);
    }

    fn parameter(&mut self, parameter: Value) {
        if let Some(parameters) = self.entry("parameters", json!([])).as_array_mut() {
            parameters.push(parameter);
        }
    }

    /// Its parameters in `place`, by name.
    pub(super) fn parameters(&self, place: &str) -> impl Iterator<Item = &str> {
        let all = self.operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == *place).filter_map(|parameter| parameter["name"].as_str())
    }

    fn needs(&mut self, scopes: &[&str]) {
        self.operation.insert("security".to_owned(), json!([{ "key": scopes }]));
        for status in [401, 403, 429, 503] {
            self.refuses(status);
        }
    }

    /// With the parameters of its URL, and without a scope where no argument asked for one.
    pub(super) fn finish(mut self, url: &str) -> Map<String, Value> {
        let known: Vec<String> = self.parameters("path").map(str::to_owned).collect();
        let named = url.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for name in named.map(|name| name.trim_start_matches('*')) {
            if !known.iter().any(|known| known == name) {
                self.parameter(part_of_url(name));
            }
        }
        self.entry("security", json!([]));
        self.operation
    }
}

/// The parameter of a URL's part; each is called the same everywhere.
fn part_of_url(name: &str) -> Value {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let bytes = |max: u64| json!({ "type": "string", "minLength": 1, "maxLength": max });
    let number = || json!({ "type": "integer", "format": "int64", "minimum": 1 });
    let (schema, example, description) = match name {
        "app" => (text("^[a-z][a-z0-9-]{0,62}$"), json!("kitchen"), "The app's name."),
        "script" => (text("^[a-z][a-z0-9_]{0,62}$"), json!("hello"), "The name of the script or module."),
        "version" => (number(), json!(1), "A version, counting from 1."),
        "collection" => (bytes(COLLECTION_BYTES_MAX as u64), json!("widgets"), "The collection."),
        "key" => (bytes(Limits::default().kv_key_bytes), json!("a/1"), "The key; a `/` in it may stand as it is."),
        "value" => (bytes(ENV_NAME_BYTES_MAX as u64), json!("city"), "The name of the value."),
        "name" => (text("^[A-Za-z_][A-Za-z0-9_]{0,62}$"), json!("TOKEN"), "Its name."),
        "node" => (text("^[0-9a-z][0-9a-z-]{0,63}$"), json!("garage"), "The node's id, or its name."),
        "execution" => (json!({ "type": "string", "format": "uuid" }), Value::Null, "The run's id."),
        "file" => (json!({ "type": "string", "format": "uuid" }), Value::Null, "The file's id."),
        _ => (number(), json!(1), "Its id."),
    };
    let mut parameter =
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema });
    if !example.is_null() {
        parameter["example"] = example;
    }
    parameter
}

impl<C: Permission> Input for InApp<C> {
    fn describe(described: &mut Described<'_>) {
        described.needs(&[C::CAPABILITY.scope().as_str()]);
        described.refuses(404);
    }
}

impl<C: Permission> Input for ForApp<C> {
    fn describe(described: &mut Described<'_>) {
        described.needs(&[C::CAPABILITY.scope().as_str()]);
    }
}

impl<C: Permission> Input for May<C> {
    fn describe(described: &mut Described<'_>) {
        described.needs(&[C::CAPABILITY.scope().as_str()]);
    }
}

impl<C: Permission> Input for MaySome<C> {
    fn describe(described: &mut Described<'_>) {
        described.needs(&[C::CAPABILITY.scope().as_str()]);
    }
}

impl Input for Known {
    fn describe(described: &mut Described<'_>) {
        described.needs(&[]);
    }
}

impl Input for Anyone {
    fn describe(described: &mut Described<'_>) {
        described.refuses(503);
    }
}

impl<T> Input for Named<T> {
    fn describe(described: &mut Described<'_>) {
        described.refuses(404);
    }
}

impl<T: IntoParams> Input for Asked<T> {
    fn describe(described: &mut Described<'_>) {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            described.parameter(json!(parameter));
        }
    }
}

impl Input for Seen {
    fn describe(described: &mut Described<'_>) {
        for (name, description) in [
            ("If-Match", "ETags: change it only if it is at one of these versions; `*`: only if it is there."),
            ("If-None-Match", "`*`: only if it is not there."),
        ] {
            let schema = json!({ "type": "string", "pattern": TAGS });
            described.parameter(json!({ "name": name, "in": "header", "description": description, "schema": schema }));
        }
        described.refuses(412);
        described.refuses(507);
    }
}

impl Input for SeenFile {
    fn describe(described: &mut Described<'_>) {
        Seen::describe(described);
    }
}

impl<T: ToSchema> Input for Json<T> {
    fn describe(described: &mut Described<'_>) {
        describe_json::<T>(described, true);
    }
}

impl<T: ToSchema> Input for JsonOrNothing<T> {
    fn describe(described: &mut Described<'_>) {
        describe_json::<T>(described, false);
    }
}

fn describe_json<T: ToSchema>(described: &mut Described<'_>, required: bool) {
    described.schemas.add(T::schemas);
    described.schemas.0.insert(T::name().into_owned(), json!(T::schema()));
    let schema = json!({ "$ref": format!("#/components/schemas/{}", T::name()) });
    described.operation.insert(
        "requestBody".to_owned(),
        json!({ "required": required, "content": { "application/json": { "schema": schema } } }),
    );
    Body::describe(described);
}

impl Input for Body {
    fn describe(described: &mut Described<'_>) {
        for status in [408, 413, 507] {
            described.refuses(status);
        }
    }
}

impl Input for HeaderMap {
    fn describe(_described: &mut Described<'_>) {}
}

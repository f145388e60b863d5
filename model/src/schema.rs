//! JSON schemas of the types whose JSON is written by hand; all others derive theirs.

use crate::problem::Code;
use crate::scope::{Grant, Scope};
use std::borrow::Cow;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A text that matches `pattern`, a regular expression.
pub fn text(pattern: impl Into<String>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let codes = Self::ALL.iter().map(|code| code.as_str());
        let description = "Which of the closed list of problems it is.";
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(codes))
            .description(Some(description))
            .build()
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        "Code".into()
    }
}

impl PartialSchema for Grant {
    fn schema() -> RefOr<Schema> {
        let written = |of_apps: bool| {
            let scopes = Scope::ALL.iter().filter(|scope| scope.is_of_apps() == of_apps);
            scopes.map(|scope| scope.as_str()).collect::<Vec<_>>().join("|")
        };
        let app = "[a-z][a-z0-9-]{0,62}";
        let pattern = format!("^(({})|({})(@{app}(,{app})*)?)$", written(false), written(true));
        let mut schema = text(pattern);
        schema.description = Some("A scope, for all apps or for those named after `@`.".to_owned());
        schema.into()
    }
}

impl ToSchema for Grant {
    fn name() -> Cow<'static, str> {
        "Grant".into()
    }
}

//! What a server answered, as scripts see it: like a read-only map, with `text()` and `json()`.

use super::super::Namespace;
use crate::ctx::unchanged;
use crate::error::{KIND_SERVICE, RhaiError, catchable};
use crate::json;
use crate::run_state::RunState;
use picloud_model::http_call::HttpAnswer;
use picloud_model::problem::Code;
use rhai::{Dynamic, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, OP_CONTAINS};
use std::sync::Arc;

/// An answer. It holds only a pointer, so that handing it around is cheap.
#[derive(Clone)]
pub(crate) struct Answer(Arc<HttpAnswer>);

/// What it has.
const NAMES: &[&str] = &["status", "headers", "body"];

impl Answer {
    pub(super) fn new(answer: HttpAnswer) -> Self {
        Self(Arc::new(answer))
    }

    fn get(&self, name: &str) -> Dynamic {
        match name {
            "status" => i64::from(self.0.status).into(),
            "headers" => self.headers().into(),
            // A body may be longer than a string.
            "body" => crate::alloc::unnoted(|| Dynamic::from_blob(self.0.body.clone())),
            _ => Dynamic::UNIT,
        }
    }

    /// Names in lower case; values of a repeated header joined as RFC 9110 joins them.
    fn headers(&self) -> Map {
        let mut map = Map::new();
        for (name, value) in &self.0.headers {
            let name = name.to_ascii_lowercase();
            match map.get_mut(name.as_str()) {
                Some(known) => *known = format!("{known}, {value}").into(),
                None => {
                    map.insert(name.into(), value.as_str().into());
                }
            }
        }
        map
    }

    /// Status and headers, for JSON and for people: JSON has no word for the body.
    pub(crate) fn as_map(&self) -> Map {
        NAMES.iter().filter(|name| **name != "body").map(|name| ((*name).into(), self.get(name))).collect()
    }
}

/// The two methods, for the table.
pub(super) fn methods(namespace: Namespace) -> Namespace {
    namespace.method("http_answer.text() -> string", "The body as text; throws where it is not UTF-8.", text).method(
        "http_answer.json() -> any",
        "The value that the body is the JSON of; throws where it is none.",
        json,
    )
}

/// What else scripts can do with an answer.
pub(crate) fn register(module: &mut Module) {
    for name in ["status", "headers"] {
        FuncRegistration::new_getter(name).set_into_module(module, move |answer: &mut Answer| answer.get(name));
    }
    FuncRegistration::new_getter("body").set_into_module(module, body);
    for name in NAMES {
        FuncRegistration::new_setter(name).set_into_module(module, move |answer: &mut Answer, new: Dynamic| {
            unchanged("http_answer", name, &answer.get(name), &new)
        });
    }
    module.set_indexer_get_fn(
        |context: NativeCallContext, answer: &mut Answer, name: ImmutableString| {
            if name == "body" { body(context, answer) } else { Ok(answer.get(&name)) }
        },
    );
    let of_all = |name: &str| FuncRegistration::new(name).in_global_namespace().with_volatility(true);
    of_all(OP_CONTAINS).set_into_module(module, |_: &mut Answer, name: ImmutableString| NAMES.contains(&name.as_str()));
    of_all("keys")
        .set_into_module(module, |_: &mut Answer| NAMES.iter().map(|name| (*name).into()).collect::<rhai::Array>());
    module.set_custom_type::<Answer>("http_answer");
}

fn body(context: NativeCallContext, answer: &mut Answer) -> Result<Dynamic, RhaiError> {
    RunState::of(&context).ensure_memory(answer.0.body.len() as u64)?;
    Ok(answer.get("body"))
}

fn text(context: NativeCallContext, answer: &mut Answer) -> Result<Dynamic, RhaiError> {
    let text = std::str::from_utf8(&answer.0.body).map_err(|error| {
        let message = format!("http_answer.text: body: is not UTF-8 from byte {} on", error.valid_up_to());
        catchable(KIND_SERVICE, Code::Malformed, message)
    })?;
    RunState::of(&context).check_string(text.len() as u64)?;
    Ok(text.into())
}

fn json(context: NativeCallContext, answer: &mut Answer) -> Result<Dynamic, RhaiError> {
    json::parse(&answer.0.body, &*RunState::of(&context)).map_err(|error| match error {
        json::ParseError::Stopped(stopped) => stopped,
        syntax => catchable(KIND_SERVICE, Code::Malformed, format!("http_answer.json: body: {syntax}")),
    })
}

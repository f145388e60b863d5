//! `ctx`: what a script can know about its run. Every part is made when the script asks for it.
//!
//! Two Rhai types, [`Ctx`] and [`Request`], behave like read-only maps: `ctx.app`, `ctx["app"]`, `"event" in ctx`,
//! `ctx.keys()`; a name they do not have is `()`, as in a map. They hold nothing but a pointer, so that a run that never
//! looks at its request pays for two small allocations.

use crate::error::{KIND_ARGUMENT, RhaiError, argument, catchable};
use crate::event::EventInput;
use crate::json;
use crate::request::HttpRequest;
use crate::run_state::RunState;
use crate::sdk::{all_values, first_values};
use picloud_model::problem::Code;
use rhai::{Array, Dynamic, FuncRegistration, ImmutableString, Map, Module, NativeCallContext, OP_CONTAINS};
use std::sync::{Arc, OnceLock};

/// What `ctx` has on every run, in the order of the documentation.
const CTX_NAMES: &[&str] =
    &["app", "script", "version", "node", "execution_id", "root_execution_id", "trigger_depth", "principal", "request"];

/// What `ctx.request` has.
const REQUEST_NAMES: &[&str] =
    &["method", "path", "route", "params", "query", "query_all", "headers", "cookies", "remote_addr", "body"];

/// What can be called on either.
pub(crate) const METHODS: &[&str] = &["keys", "text", "json", "form", "form_all"];

/// What started the run.
#[derive(Clone)]
pub(crate) enum Input {
    /// A request.
    Request(Arc<HttpRequest>),
    /// `scripts::call` of another endpoint, with its value.
    Call(Arc<HttpRequest>, Dynamic),
    /// An event.
    Event(Arc<Event>),
}

/// What `ctx.event` is made of.
pub(crate) struct Event {
    json: Vec<u8>,
    /// It, once it was asked for.
    parsed: OnceLock<Dynamic>,
}

impl Input {
    pub(crate) fn event(input: EventInput) -> Self {
        Self::Event(Arc::new(Event { json: input.json, parsed: OnceLock::new() }))
    }

    fn request(&self) -> Option<&Arc<HttpRequest>> {
        match self {
            Self::Request(request) | Self::Call(request, _) => Some(request),
            Self::Event(_) => None,
        }
    }
}

/// `ctx` itself.
#[derive(Clone)]
pub(crate) struct Ctx {
    run: Arc<RunState>,
    input: Arc<Input>,
}

/// `ctx.request`.
#[derive(Clone)]
pub(crate) struct Request(Arc<HttpRequest>);

/// `ctx` for one run.
pub(crate) fn value(run: Arc<RunState>, input: Input) -> Dynamic {
    Dynamic::from(Ctx { run, input: Arc::new(input) }).into_read_only()
}

/// `ctx`, `ctx.request` or the answer to an HTTP call as a map of plain values, for JSON; without the body, which JSON has no word for.
pub(crate) fn as_map(value: &Dynamic) -> Option<Map> {
    let plain = |names: &[&str], get: &dyn Fn(&str) -> Dynamic| {
        names.iter().filter(|name| **name != "body").map(|name| ((*name).into(), get(name))).collect::<Map>()
    };
    if let Some(ctx) = value.read_lock::<Ctx>() {
        return Some(plain(&ctx.names(), &|name| ctx.get(name)));
    }
    if let Some(answer) = value.read_lock::<crate::sdk::Answer>() {
        return Some(answer.as_map());
    }
    let request = value.read_lock::<Request>()?;
    Some(plain(REQUEST_NAMES, &|name| request.get(name)))
}

impl Ctx {
    fn get(&self, name: &str) -> Dynamic {
        let call = &self.run.call;
        match name {
            "app" => (&*call.app).into(),
            "script" => (&*call.script).into(),
            "version" => call.version.into(),
            "node" => (&*call.node).into(),
            "execution_id" => call.execution_id.to_string().into(),
            "root_execution_id" => call.root_execution_id.to_string().into(),
            "trigger_depth" => i64::from(call.trigger_depth).into(),
            "principal" => call.principal.as_ref().map_or(Dynamic::UNIT, |principal| {
                let mut map = Map::new();
                map.insert("kind".into(), principal.kind.as_str().into());
                map.insert("name".into(), principal.name.as_str().into());
                map.into()
            }),
            "request" => {
                self.input.request().map_or(Dynamic::UNIT, |request| Dynamic::from(Request(Arc::clone(request))))
            }
            "event" => match &*self.input {
                Input::Event(event) => event.value(&self.run),
                Input::Request(_) | Input::Call(..) => Dynamic::UNIT,
            },
            "value" => match &*self.input {
                Input::Call(_, value) => value.clone(),
                Input::Request(_) | Input::Event(_) => Dynamic::UNIT,
            },
            _ => Dynamic::UNIT,
        }
    }

    fn has(&self, name: &str) -> bool {
        match name {
            "value" => matches!(*self.input, Input::Call(..)),
            "event" => matches!(*self.input, Input::Event(_)),
            "request" => self.input.request().is_some(),
            _ => CTX_NAMES.contains(&name),
        }
    }

    /// What it has.
    fn names(&self) -> Vec<&'static str> {
        CTX_NAMES.iter().chain(&["event"]).copied().filter(|name| self.has(name)).collect()
    }
}

impl Event {
    /// The event. Its text was written by us: one that cannot be read is a run that was ended meanwhile.
    fn value(&self, run: &RunState) -> Dynamic {
        let parsed = self.parsed.get().cloned();
        parsed.unwrap_or_else(|| {
            let value = json::parse(&self.json, run).unwrap_or(Dynamic::UNIT);
            self.parsed.get_or_init(|| value).clone()
        })
    }
}

impl Request {
    fn get(&self, name: &str) -> Dynamic {
        let request = &self.0;
        match name {
            "method" => request.method.as_str().into(),
            "path" => request.path.as_str().into(),
            "route" => request.route.as_str().into(),
            "params" => texts(request.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))).into(),
            "query" => first_values(&request.query).into(),
            "query_all" => all_values(&request.query).into(),
            "headers" => headers(request).into(),
            "cookies" => cookies(request).into(),
            "remote_addr" => request.remote_addr.as_str().into(),
            "body" => Dynamic::from_blob(request.body.clone()),
            _ => Dynamic::UNIT,
        }
    }
}

fn texts<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Map {
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

/// Names in lower case; values of a repeated header joined as RFC 9110 (and for cookies RFC 6265) joins them.
fn headers(request: &HttpRequest) -> Map {
    let mut map = Map::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        let joint = if name == "cookie" { "; " } else { ", " };
        match map.entry(name.as_str().into()) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(value.as_str().into());
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                let joined = format!("{}{joint}{value}", occupied.get());
                *occupied.get_mut() = joined.into();
            }
        }
    }
    map
}

/// Name → value as it came, without surrounding quotes; of two of the same name the first counts, as clients send the
/// more specific one first.
fn cookies(request: &HttpRequest) -> Map {
    let mut map = Map::new();
    for (_, line) in request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie")) {
        for (name, value) in line.split(';').filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            map.entry(name.trim().into()).or_insert_with(|| value.into());
        }
    }
    map
}

/// Registers what scripts can do with `ctx` and `ctx.request`.
pub(crate) fn register(module: &mut Module) {
    for name in CTX_NAMES.iter().chain(&["event", "value"]) {
        getter(module, name, move |ctx: &mut Ctx| ctx.get(name));
        setter(module, name, move |ctx: &mut Ctx, new: Dynamic| unchanged("ctx", name, &ctx.get(name), &new));
    }
    for name in REQUEST_NAMES {
        if *name != "body" {
            getter(module, name, move |request: &mut Request| request.get(name));
        }
        setter(module, name, move |request: &mut Request, new: Dynamic| {
            unchanged("ctx.request", name, &request.get(name), &new)
        });
    }
    FuncRegistration::new_getter("body").set_into_module(module, body);
    module.set_indexer_get_fn(|ctx: &mut Ctx, name: ImmutableString| Ok(ctx.get(&name)));
    module.set_indexer_get_fn(|request: &mut Request, name: ImmutableString| Ok(request.get(&name)));
    module.set_indexer_set_fn(|ctx: &mut Ctx, name: ImmutableString, new: Dynamic| {
        unchanged("ctx", &name, &ctx.get(&name), &new)
    });
    module.set_indexer_set_fn(|request: &mut Request, name: ImmutableString, new: Dynamic| {
        unchanged("ctx.request", &name, &request.get(&name), &new)
    });
    method(OP_CONTAINS).set_into_module(module, |ctx: &mut Ctx, name: ImmutableString| ctx.has(&name));
    method(OP_CONTAINS)
        .set_into_module(module, |_: &mut Request, name: ImmutableString| REQUEST_NAMES.contains(&name.as_str()));
    method("keys").set_into_module(module, |ctx: &mut Ctx| names(ctx.names().iter()));
    method("keys").set_into_module(module, |_: &mut Request| names(REQUEST_NAMES.iter()));
    method("text").set_into_module(module, text);
    method("json").set_into_module(module, json);
    method("form").set_into_module(module, |request: &mut Request| form(request, "form").map(first_values));
    method("form_all").set_into_module(module, |request: &mut Request| form(request, "form_all").map(all_values));
    module.set_custom_type::<Ctx>("ctx");
    module.set_custom_type::<Request>("request");
}

fn method(name: &str) -> FuncRegistration {
    FuncRegistration::new(name).in_global_namespace().with_volatility(true)
}

fn getter<T: Clone + Send + Sync + 'static>(
    module: &mut Module,
    name: &str,
    get: impl Fn(&mut T) -> Dynamic + Send + Sync + 'static,
) {
    FuncRegistration::new_getter(name).set_into_module(module, get);
}

fn setter<T: Clone + Send + Sync + 'static>(
    module: &mut Module,
    name: &str,
    set: impl Fn(&mut T, Dynamic) -> Result<(), RhaiError> + Send + Sync + 'static,
) {
    FuncRegistration::new_setter(name).set_into_module(module, set);
}

/// Rhai sets a property again after every method called on its value, changed or not; without a setter a real change
/// would be lost in silence.
pub(crate) fn unchanged(of: &str, name: &str, now: &Dynamic, new: &Dynamic) -> Result<(), RhaiError> {
    if same(now, new) { Ok(()) } else { Err(argument(of, name, "cannot be changed: copy it into a variable first")) }
}

/// Whether two values are the same, as far as parts of `ctx` go; `ctx.value`, which may hold anything, counts as
/// unchanged where it holds what cannot be compared.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|((a, x), (b, y))| a == b && same(x, y));
    }
    if let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) {
        return a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b));
    }
    if let (Ok(a), Ok(b)) = (a.as_blob_ref(), b.as_blob_ref()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_float(), b.as_float()) {
        return a.to_bits() == b.to_bits();
    }
    a.type_id() == b.type_id()
}

fn names<'a>(names: impl Iterator<Item = &'a &'static str>) -> Array {
    names.map(|name| (*name).into()).collect()
}

fn body(context: NativeCallContext, request: &mut Request) -> Result<Dynamic, RhaiError> {
    RunState::of(&context).ensure_memory(request.0.body.len() as u64)?;
    // A body may be longer than a string.
    Ok(crate::alloc::unnoted(|| request.get("body")))
}

fn body_text<'r>(request: &'r Request, function: &str) -> Result<&'r str, RhaiError> {
    std::str::from_utf8(&request.0.body).map_err(|error| {
        malformed(format!("ctx.request.{function}: body: is not UTF-8 from byte {} on", error.valid_up_to()))
    })
}

fn malformed(message: String) -> RhaiError {
    catchable(KIND_ARGUMENT, Code::Malformed, message)
}

fn text(context: NativeCallContext, request: &mut Request) -> Result<Dynamic, RhaiError> {
    let text = body_text(request, "text")?;
    RunState::of(&context).check_string(text.len() as u64)?;
    Ok(text.into())
}

fn json(context: NativeCallContext, request: &mut Request) -> Result<Dynamic, RhaiError> {
    json::parse(&request.0.body, &*RunState::of(&context)).map_err(|error| match error {
        json::ParseError::Stopped(stopped) => stopped,
        syntax => malformed(format!("ctx.request.json: body: {syntax}")),
    })
}

fn form<'r>(request: &'r Request, function: &str) -> Result<&'r str, RhaiError> {
    let content_type = request.0.header("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/x-www-form-urlencoded" => body_text(request, function),
        "multipart/form-data" => Err(malformed(format!(
            "ctx.request.{function}: body: is multipart/form-data, which is not supported yet: \
             send the form as application/x-www-form-urlencoded, or a file as the whole body"
        ))),
        other => Err(malformed(format!(
            "ctx.request.{function}: body: is {}, not application/x-www-form-urlencoded",
            other.chars().take(64).collect::<String>()
        ))),
    }
}

//! Running: from a script and a request to an answer, under the run's memory account, with nothing left behind.

use crate::alloc::{self, Account, Budget, Caps, Exempt};
use crate::cache::Cache;
use crate::compile::Program;
use crate::context::CallContext;
use crate::ctx::Input;
use crate::engine;
use crate::error::{self, RhaiError, RunError, Stop, catchable};
use crate::event::{self, EventInput};
use crate::json;
use crate::modules::ModuleCache;
use crate::overlay::Overlay;
use crate::request::HttpRequest;
use crate::response::ScriptResponse;
use crate::run_state::{Calls, RunState};
use crate::services::{ScriptRef, Services};
use picloud_model::ContentHash;
use picloud_model::execution::Usage;
use picloud_model::problem::Code;
use picloud_model::protocol::ServiceFailure;
use picloud_model::redact::Redactor;
use picloud_model::script::ScriptKind;
use rhai::{Dynamic, EvalAltResult, NativeCallContext, Position, Scope};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How much an executor keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorConfig {
    /// Compiled modules.
    pub module_cache_entries: usize,
    /// Compiled sources.
    pub program_cache_entries: usize,
    /// Bytes of source of those; a compiled source takes some twenty times as much.
    pub program_cache_source_bytes: usize,
}

impl Default for ExecutorConfig {
    fn default() -> Self {
        Self { module_cache_entries: 512, program_cache_entries: 1024, program_cache_source_bytes: 4 * 1024 * 1024 }
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub enum Script {
    /// A live endpoint; its text comes from [`crate::services::Sources`] unless it is compiled already.
    Stored(ScriptRef),
    /// A text that is not saved; compiled for this run alone.
    Source(Arc<str>),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The answer, or why there is none.
    pub result: Result<ScriptResponse, RunError>,
    /// Of a run for an event that went well: its value as JSON, or its beginning as a JSON string where it is longer than
    /// [`RESULT_BYTES_MAX`](picloud_model::execution::RESULT_BYTES_MAX) or has no JSON; else empty.
    pub value_json: String,
    /// What the run used.
    pub usage: Usage,
    /// Whether it called a port that does something: a run that did is worth keeping.
    pub made_calls: bool,
    /// Log lines that were over `log_run_bytes`.
    pub logs_dropped: u64,
    /// Takes the secrets that the run was told out of what is kept of it; out of `result`'s error and the log lines they
    /// are already. The script's own answer is its own business.
    pub redactor: Redactor,
}

/// Runs scripts; one a process.
pub struct Executor {
    shared: Arc<Shared>,
}

/// What all runs share.
pub(crate) struct Shared {
    pub(crate) services: Services,
    /// Shared with the executors of dry runs.
    pub(crate) modules: Arc<ModuleCache>,
    programs: Arc<Cache<(ContentHash, ScriptKind), Arc<Program>>>,
}

impl Executor {
    /// An executor whose scripts reach the world through `services`.
    pub fn new(config: ExecutorConfig, services: Services) -> Self {
        // Built once a process, and on no run's account.
        engine::warm_up();
        let modules = Arc::new(ModuleCache::new(config.module_cache_entries));
        let programs = Arc::new(Cache::new(config.program_cache_entries, config.program_cache_source_bytes));
        Self { shared: Arc::new(Shared { services, modules, programs }) }
    }

    /// An executor for one run that is to do nothing: it reads what is there, sees what it would have written, and
    /// nothing of it leaves the overlay, which knows it afterwards.
    pub fn dry(&self) -> (Self, Arc<Overlay>) {
        let overlay = Arc::new(Overlay::new(self.shared.services.clone()));
        let services = overlay.services();
        let (modules, programs) = (Arc::clone(&self.shared.modules), Arc::clone(&self.shared.programs));
        (Self { shared: Arc::new(Shared { services, modules, programs }) }, overlay)
    }

    /// Runs an endpoint for a request, on this thread, which must have a stack of at least
    /// [`crate::stack_bytes_for`] the app's `memory_bytes`. Never panics, whatever the script does.
    pub fn run_request(&self, script: Script, request: impl Into<Arc<HttpRequest>>, call: CallContext) -> RunReport {
        self.run(&script, Input::Request(request.into()), call)
    }

    /// The same for an event: the script finds it in `ctx.event`, and its value is no answer but is kept.
    pub fn run_event(&self, script: Script, event: EventInput, call: CallContext) -> RunReport {
        self.run(&script, Input::event(event), call)
    }

    fn run(&self, script: &Script, input: Input, call: CallContext) -> RunReport {
        let state = RunState::new(call, self.shared.clone());
        let result = catch_unwind(AssertUnwindSafe(|| run(&state, script, input)));
        let (result, usage) = result.unwrap_or_else(|_panic| (Err(RunError::Panic), Usage::default()));
        let (mut result, value_json) = match result {
            Ok((response, value_json)) => (Ok(response), value_json),
            Err(error) => (Err(error), String::new()),
        };
        let usage = Usage {
            kv_calls: state.counted(Calls::Kv),
            secret_calls: state.counted(Calls::Secret),
            publish_calls: state.counted(Calls::Publish),
            file_calls: state.counted(Calls::File),
            http_calls: state.counted(Calls::Http),
            ..usage
        };
        let redactor = state.take_redactor();
        if let Err(error) = &mut result
            && !redactor.is_empty()
        {
            error.redact(&redactor);
        }
        let calls = [usage.kv_calls, usage.secret_calls, usage.publish_calls, usage.file_calls, usage.http_calls];
        let made_calls = calls.iter().any(|calls| *calls > 0);
        RunReport { result, value_json, usage, made_calls, logs_dropped: state.logs_dropped(), redactor }
    }
}

/// The answer, and the value of a triggered run.
type Ended = Result<(ScriptResponse, String), RunError>;

fn run(state: &Arc<RunState>, script: &Script, input: Input) -> (Ended, Usage) {
    let program = match state.executor.load(state, script) {
        Ok(program) => program,
        Err(error) => return (Err(error), Usage::default()),
    };
    let limits = &state.call.limits;
    let account = Account::open(Budget { memory_bytes: limits.memory_bytes, caps: Caps::of(limits) });
    // Caught here as well, so that what the run used is known also after a panic.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let of_event = matches!(input, Input::Event(_));
        let value = evaluate(state, &program, input).map_err(|error| error::from_rhai(&error, state))?;
        let ended =
            if of_event { event::result_of(value, state)? } else { (ScriptResponse::of(value, state)?, String::new()) };
        // The last operation may have taken what no operation after it could notice.
        if engine::look(state)
            && let Some(stop) = state.stopped()
        {
            return Err(RunError::Stopped { stop: stop.clone(), at: None });
        }
        Ok(ended)
    }));
    let usage = Usage { operations: alloc::operations(), memory_bytes: alloc::peak(), ..Usage::default() };
    drop(account);
    (result.unwrap_or(Err(RunError::Panic)), usage)
}

/// The value of the program's last expression.
fn evaluate(state: &Arc<RunState>, program: &Program, input: Input) -> Result<Dynamic, RhaiError> {
    let engine = engine::for_run(state, program, input);
    let value = engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &program.ast);
    // An error that was swallowed on its way up is still the end of the run.
    if state.stopped().is_some() && value.is_ok() { Err(error::terminated()) } else { value }
}

impl Shared {
    fn load(&self, state: &RunState, script: &Script) -> Result<Arc<Program>, RunError> {
        match script {
            Script::Stored(found) => self.stored(state, &state.call.script, found),
            Script::Source(source) => {
                Program::compile(&state.call.script, ScriptKind::Endpoint, source, &state.call.limits)
                    .map(Arc::new)
                    .map_err(RunError::Invalid)
            }
        }
    }

    /// The compiled source of `found`, which is called `name`.
    pub(crate) fn stored(&self, state: &RunState, name: &str, found: &ScriptRef) -> Result<Arc<Program>, RunError> {
        let key = (found.hash, found.kind);
        if let Some(program) = self.programs.get(&key) {
            return Ok(program);
        }
        // For all runs, so on no run's account; bounded by source_bytes and the cache.
        let _cache_work = Exempt::begin();
        state.before_wait();
        let source = self.services.sources.source(&state.call, found.hash).map_err(RunError::Source)?;
        let source = source.ok_or_else(|| {
            RunError::Source(ServiceFailure {
                code: Code::NotFound,
                message: format!("the source of `{name}` version {} is not there any more", found.version),
            })
        })?;
        let program = Program::compile(name, found.kind, &source, &state.call.limits).map_err(RunError::Invalid)?;
        let program = Arc::new(program);
        self.programs.put(key, program.clone(), source.len());
        Ok(program)
    }
}

/// `scripts::call(name, value)`: runs another endpoint of the app in place, on the caller's account, deadline and
/// thread, one deeper. It sees a request with method `CALL` whose body is the value as JSON, and `ctx.value`.
pub(crate) fn call_script(context: &NativeCallContext, name: &str, value: Dynamic) -> Result<Dynamic, RhaiError> {
    const FUNCTION: &str = "scripts::call";
    let caller = RunState::of(context);
    let limits = &caller.call.limits;
    let depth = caller.call.trigger_depth + 1;
    if u64::from(depth) > limits.trigger_depth {
        let chain = format!("{} → {name}", caller.chain());
        return Err(caller.stop(Stop::Loop { chain, value: limits.trigger_depth }));
    }
    let found = caller.call.view.script(name).filter(|found| found.kind == ScriptKind::Endpoint);
    let Some(found) = found else {
        let message = format!("{FUNCTION}: name: endpoint `{name}` does not exist in app `{}`", caller.call.app);
        return Err(catchable(error::KIND_ARGUMENT, Code::NotFound, message));
    };
    if let Some(crashes) = found.quarantined_after_crashes {
        let message =
            format!("{FUNCTION}: endpoint `{name}` is not run any more: it took its worker down {crashes} times");
        return Err(catchable(error::KIND_SERVICE, Code::WorkerLost, message));
    }
    if found.elsewhere {
        let message = format!(
            "{FUNCTION}: endpoint `{name}` may not run on this node, and a call does not leave it: publish an event for \
             it, or place the caller where `{name}` may run"
        );
        return Err(catchable(error::KIND_SERVICE, Code::NodeAway, message));
    }
    let bytes_max = usize::try_from(limits.request_body_bytes).unwrap_or(usize::MAX);
    let (content_type, body) = if let Ok(blob) = value.as_blob_ref() {
        caller.check_blob(blob.len() as u64)?;
        ("application/octet-stream", blob.clone())
    } else {
        let body = json::to_vec(&value, bytes_max, &*caller).map_err(|failed| match failed {
            json::WriteError::Stopped(stopped) => stopped,
            no_json => error::argument(FUNCTION, "value", no_json),
        })?;
        ("application/json", body)
    };
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    let request = Arc::new(HttpRequest { method: "CALL".to_owned(), headers, body, ..HttpRequest::default() });
    let view = caller.call.view.of_callees().unwrap_or_else(|| Arc::clone(&caller.call.view));
    let call =
        CallContext { script: name.into(), version: found.version, trigger_depth: depth, view, ..caller.call.clone() };
    let callee = caller.child(call);
    let program = caller.executor.stored(&callee, name, &found).map_err(|failed| {
        let problem = failed.problem();
        let first = problem.errors.first().map(|first| format!(" line {}: {}", first.line, first.message));
        let message = format!("{FUNCTION}: `{name}`{}: {}", first.unwrap_or_default(), problem.detail);
        catchable(error::KIND_SERVICE, problem.code, message)
    })?;
    caller.keep(program.clone());
    evaluate(&callee, &program, Input::Call(request, value)).map_err(|error| rethrown(&error, &callee))
}

/// An error of the callee as one of the caller, which still says where in the callee it came from.
fn rethrown(failed: &EvalAltResult, callee: &RunState) -> RhaiError {
    if callee.stopped().is_some() {
        return error::terminated();
    }
    let (source, position) = error::place(failed, &callee.call.script);
    let mut inner = match error::innermost_thrown(failed) {
        Some(value) => error::thrown(value.clone()),
        None => {
            let problem = error::from_rhai(failed, callee).problem();
            let line = problem.at.map(|at| format!(" ({}:{}:{})", at.script, at.line, at.column)).unwrap_or_default();
            catchable("script", problem.code, format!("{}{line}", problem.detail))
        }
    };
    inner.set_position(position);
    EvalAltResult::ErrorInFunctionCall("scripts::call".to_owned(), source.to_owned(), inner, Position::NONE).into()
}

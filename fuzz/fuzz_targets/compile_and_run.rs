//! Any text is validated and run under small limits: it must end in time and within its memory, and neither panic
//! nor take the process down.
//!
//! An input that begins with a zero byte is a list of choices for a script of hostile pieces; every other input is
//! the script itself.
#![no_main]

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use picloud_executor::{RunAllocator, RunError, RunReport, stack_bytes_for, validate};
use picloud_fuzz::{scripts, world};
use picloud_model::script::ScriptKind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Mutex};

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

/// Where it is set, each script and what came of it are printed: a list of choices says nothing to a reader.
const SHOW: &str = "PICLOUD_FUZZ_SHOW";

/// What is to be run: `main`, and a module beside it.
type Job = (String, Option<String>);
type RunThread = Mutex<(SyncSender<Job>, Receiver<RunReport>)>;

/// Runs need the stack that a worker gives them, which the fuzzer's own thread has not.
static RUN_THREAD: LazyLock<RunThread> = LazyLock::new(|| {
    let (jobs, todo) = sync_channel::<Job>(0);
    let (done, reports) = sync_channel(0);
    let run = move || {
        let world = world::World::new();
        while let Ok((main, module)) = todo.recv() {
            let report = world.run(&main, module.as_deref(), main.as_bytes());
            if done.send(report).is_err() {
                break;
            }
        }
    };
    let stack_bytes = stack_bytes_for(world::limits().memory_bytes);
    std::thread::Builder::new().stack_size(stack_bytes).spawn(run).expect("a thread can be started");
    Mutex::new((jobs, reports))
});

fn run(main: &str, module: Option<&str>) -> RunReport {
    let thread = RUN_THREAD.lock().expect("the fuzzer has one thread");
    thread.0.send((main.to_owned(), module.map(str::to_owned))).expect("the run thread lives");
    thread.1.recv().expect("the run thread lives")
}

fn source(data: &[u8]) -> Option<String> {
    match data {
        [0, choices @ ..] => scripts::script(&mut Unstructured::new(choices)).ok(),
        text => Some(String::from_utf8_lossy(text).into_owned()),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(source) = source(data) else { return };
    let limits = world::limits();
    let valid = validate("main", ScriptKind::Endpoint, &source, &limits);
    let report = run(&source, None);
    if std::env::var_os(SHOW).is_some() {
        eprintln!("{source}\n→ {:?}", report.result);
    }
    assert!(!matches!(report.result, Err(RunError::Panic)), "the run panicked");
    assert_eq!(
        valid.is_err(),
        matches!(report.result, Err(RunError::Invalid(_))),
        "what is refused at save is what is refused at load"
    );
    if validate("fuzzed", ScriptKind::Module, &source, &limits).is_ok() {
        let report = run("import \"fuzzed\" as z; 1", Some(&source));
        assert!(!matches!(report.result, Err(RunError::Panic)), "the run panicked");
    }
});

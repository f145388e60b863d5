//! The deepest values a run can afford fit its stack, with room to spare: building, copying, comparing, printing and
//! dropping them. Where they did not, the test process would be gone.
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[expect(dead_code, reason = "one harness, of which this program uses a part")]
mod harness;

use harness::{TestApp, get, shown};
use picloud_executor::{RunAllocator, Script, stack_bytes_for};

#[global_allocator]
static ALLOCATOR: RunAllocator = RunAllocator;

/// The tests run on this part of the stack a run has, with code less optimised than what is shipped.
const STACK_DIVISOR: usize = 4;

fn on_part_of_the_stack(source: &str) -> String {
    let mut app = TestApp::new();
    app.limits.timeout_ms = 20_000;
    let stack_bytes = stack_bytes_for(app.limits.memory_bytes) / STACK_DIVISOR;
    let report = std::thread::scope(|scope| {
        let run = || app.executor.run_request(Script::Source(source.into()), get("/"), app.call("main"));
        std::thread::Builder::new().stack_size(stack_bytes).spawn_scoped(scope, run).unwrap().join().unwrap()
    });
    shown(&report)
}

fn ends_for_memory(source: &str) {
    let answer = on_part_of_the_stack(source);
    assert!(answer.starts_with("500 limit-exceeded [memory_bytes = 16777216]"), "{source}: {answer}");
}

#[test]
fn closures_within_closures_until_the_memory_is_used_up() {
    ends_for_memory("let f = 0; loop { let o = f; f = || o; }");
}

#[test]
fn curried_functions_within_one_another_until_the_memory_is_used_up() {
    ends_for_memory("let f = Fn(\"f\"); loop { f = Fn(\"f\").curry(take(f)); }");
}

#[test]
fn copies_of_curried_functions_until_the_memory_is_used_up() {
    ends_for_memory(
        "let f = Fn(\"f\"); let n = 0; loop { f = Fn(\"f\").curry(take(f)); n += 1; if n % 20000 == 0 { let g = f; } }",
    );
}

#[test]
fn nested_arrays_are_walked_by_every_function_that_walks() {
    let build = "let a = []; for i in 0..20000 { a = [take(a)]; }";
    for walk in [
        "let b = a; 1",
        "switch a { 1 => 1, _ => 1 }",
        "let f = || a; 1",
        "for x in a { }; 1",
        "a.len()",
        "type_of(a); 1",
    ] {
        let answer = on_part_of_the_stack(&format!("{build} {walk}"));
        assert_eq!(answer, "200 1", "{walk}");
    }
    for walk in ["a == a", "`${a}`", "a.to_debug()", "a in [a]"] {
        let answer = on_part_of_the_stack(&format!("{build} {walk}"));
        assert!(answer.starts_with("500 limit-exceeded [value_depth = 128]"), "{walk}: {answer}");
    }
}

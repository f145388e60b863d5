//! tmp
#[path = "../tests/harness/mod.rs"]
mod harness;
use harness::*;
#[global_allocator]
static A: picloud_executor::RunAllocator = picloud_executor::RunAllocator;
fn main() {
    let app = TestApp::new();
    use picloud_model::script::ScriptKind::*;
    app.save("units", Module, "fn one() { 1 }");
    for (name, src) in [("hello", "\"Hello, world!\""), ("json", "#{hello: \"world\"}"), ("ctx", "ctx.request.path"), ("query", "ctx.request.query.name"), ("kv", "kv::collection(\"c\").has(\"k\")"), ("imp", "import \"units\" as u; u::one()"), ("loop", "let n = 0; for i in 0..1000 { n += i; } n"),("push", "let n = []; for i in 0..1000 { n.push(i); } n.len()")] {
        let found = app.save(name, Endpoint, src);
        let mut call = app.call(name);
        call.handover = None;
        let script = picloud_executor::Script::Stored(found);
        let base = { let t = std::time::Instant::now(); for _ in 0..200000 { std::hint::black_box((script.clone(), get("/main"), call.clone())); } t.elapsed() / 200000 };
        let n = 100000;
        let mut best = std::time::Duration::MAX;
        for _ in 0..5 {
            let t = std::time::Instant::now();
            for _ in 0..n/5 { call.deadline = t + std::time::Duration::from_secs(10); let r = app.executor.run_request(script.clone(), get("/main"), call.clone()); std::hint::black_box(r.result.is_ok()); }
            best = best.min(t.elapsed() / (n/5));
        }
        println!("{name}: {best:?} incl. clones {base:?}");
    }
}

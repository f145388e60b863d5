//! The apps that are measured, and the requests sent to them.

use crate::load::request;
use picloud_model::bundle::Bundle;
use picloud_model::route::{RouteAuth, RouteSpec};
use picloud_model::trigger::{TriggerKind, TriggerSpec};
use std::fmt::Write as _;
use std::sync::Arc;

/// Answers a constant.
const HELLO: &str = "#{hello: \"world\"}\n";
/// Adds up the numbers of a JSON body.
const SUM: &str = "\
let body = ctx.request.json();
let sum = 0;
for number in body.numbers { sum += number; }
#{count: body.numbers.len(), sum: sum}
";
/// Adds 1 to a durable key.
const COUNT: &str = "#{count: kv::collection(\"counters\").incr(ctx.request.params.key, 1)}\n";
/// Computes for some 10 ms.
const FIB: &str = "fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }\n#{fib: fib(20)}\n";

/// Publishes and answers: the event is on the disk by then.
const EMIT: &str = "pubsub::publish(\"work\", ctx.request.params.key);\n#{ok: true}\n";
/// What the event starts: a durable change.
const EFFECT: &str = "kv::collection(\"effects\").incr(ctx.event.value, 1)\n";
/// How many effects there are.
const EFFECTS: &str = "\
let sum = 0;
for entry in kv::collection(\"effects\").list(#{limit: 1000}).entries { sum += entry.value; }
#{effects: sum}
";
/// What the lone event starts: the same change, and a word to whoever listens.
const TELL: &str = "\
kv::collection(\"told\").incr(ctx.event.value, 1);
pubsub::publish_ephemeral(\"told\", ctx.event.value);
";
/// Publishes what `tell` is started by.
const ASK: &str = "pubsub::publish(\"ask\", ctx.request.params.key);\n#{ok: true}\n";

/// Numbers in the JSON body.
const NUMBERS: i64 = 20;
/// Size of the JSON body.
const BODY_BYTES: usize = 1024;
/// Keys that are counted.
const KEYS: usize = 1000;

fn app(name: &str) -> Bundle {
    Bundle { name: name.to_owned(), ..Bundle::default() }
}

fn route(path: &str, script: &str) -> RouteSpec {
    RouteSpec { methods: Vec::new(), path: path.to_owned(), script: script.to_owned(), auth: RouteAuth::Public }
}

/// The app `default` with the paths that the raw server has too.
pub(crate) fn standard() -> Bundle {
    let mut bundle = app("default");
    for (path, script, source) in
        [("/hello", "hello", HELLO), ("/sum", "sum", SUM), ("/count/{key}", "count", COUNT), ("/fib", "fib", FIB)]
    {
        bundle.scripts.insert(script.to_owned(), source.to_owned());
        bundle.routes.push(route(path, script));
    }
    bundle
}

/// The same app with a route to `hello` for which a key is needed.
pub(crate) fn closed() -> Bundle {
    let mut bundle = standard();
    bundle.routes.push(RouteSpec { auth: RouteAuth::Key, ..route("/closed", "hello") });
    bundle
}

/// The app `default` whose requests publish and whose events have durable effects, as the raw server's do.
pub(crate) fn events() -> Bundle {
    let mut bundle = app("default");
    for (path, script, source) in
        [("/event/{key}", "emit", EMIT), ("/effects", "effects", EFFECTS), ("/ask/{key}", "ask", ASK)]
    {
        bundle.scripts.insert(script.to_owned(), source.to_owned());
        bundle.routes.push(route(path, script));
    }
    for (topic, script, source) in [("work", "effect", EFFECT), ("ask", "tell", TELL)] {
        bundle.scripts.insert(script.to_owned(), source.to_owned());
        let mut trigger = TriggerSpec::new(script, TriggerKind::Pubsub, script);
        trigger.topic = Some(topic.to_owned());
        bundle.triggers.push(trigger);
    }
    bundle
}

/// An app with so many schedules that are due tomorrow (or in a month, on the first).
pub(crate) fn schedules(count: usize) -> Bundle {
    let mut bundle = standard();
    bundle.scripts.insert("tick".to_owned(), "()".to_owned());
    for number in 0..count {
        let mut trigger = TriggerSpec::new(&format!("tick-{number}"), TriggerKind::Cron, "tick");
        trigger.schedule = Some("0 0 1 * *".to_owned());
        bundle.triggers.push(trigger);
    }
    bundle
}

pub(crate) fn event_requests() -> Arc<Vec<Vec<u8>>> {
    Arc::new((0..KEYS).map(|key| request("POST", &format!("/event/{key}"), b"")).collect())
}

pub(crate) fn hello_requests() -> Arc<Vec<Vec<u8>>> {
    Arc::new(vec![request("GET", "/hello", b"")])
}

/// The same with a key; with [`closed`].
pub(crate) fn closed_requests(key: &str) -> Arc<Vec<Vec<u8>>> {
    let plain = String::from_utf8(request("GET", "/closed", b"")).expect("a request without a body is text");
    let head = plain.strip_suffix("\r\n").expect("a head ends with an empty line");
    Arc::new(vec![format!("{head}authorization: Bearer {key}\r\n\r\n").into_bytes()])
}

pub(crate) fn fib_requests() -> Arc<Vec<Vec<u8>>> {
    Arc::new(vec![request("GET", "/fib", b"")])
}

pub(crate) fn sum_requests() -> Arc<Vec<Vec<u8>>> {
    let numbers: Vec<i64> = (0..NUMBERS).map(|n| n * 37 + 1).collect();
    let mut body = serde_json::json!({"name": "sensor", "numbers": numbers, "note": ""});
    let filled = BODY_BYTES - body.to_string().len();
    body["note"] = "x".repeat(filled).into();
    Arc::new(vec![request("POST", "/sum", body.to_string().as_bytes())])
}

pub(crate) fn count_requests() -> Arc<Vec<Vec<u8>>> {
    Arc::new((0..KEYS).map(|key| request("POST", &format!("/count/key-{key}"), b"")).collect())
}

/// The path of route `index` of an app, as a pattern and as somebody asks for it.
fn routed_path(index: usize) -> (String, String) {
    match index % 3 {
        0 => (format!("/r{index}/list"), format!("/r{index}/list")),
        1 => (format!("/r{index}/items/{{id}}"), format!("/r{index}/items/4711")),
        _ => (format!("/r{index}/files/{{*rest}}"), format!("/r{index}/files/a/b.txt")),
    }
}

/// `apps` apps of `routes` routes each, and the paths that ask for every one of them.
pub(crate) fn routed(apps: usize, routes: usize) -> (Vec<Bundle>, Vec<String>) {
    let mut paths = Vec::new();
    let bundles = (0..apps)
        .map(|number| {
            let mut bundle = app(&format!("app{number}"));
            bundle.scripts.insert("hello".to_owned(), HELLO.to_owned());
            for index in 0..routes {
                let (pattern, path) = routed_path(index);
                bundle.routes.push(route(&pattern, "hello"));
                paths.push(format!("/app{number}{path}"));
            }
            bundle
        })
        .collect();
    (bundles, paths)
}

/// `scripts` different scripts in `apps` apps, one route each app; the first app also answers `/hello`.
pub(crate) fn stored(apps: usize, scripts: usize) -> Vec<Bundle> {
    let mut bundles = vec![standard()];
    for number in 0..apps {
        let mut bundle = app(&format!("app{number}"));
        for script in 0..scripts / apps {
            let mut source = String::from("let total = 0;\n");
            for line in 0..10 {
                writeln!(source, "total += {};", number * scripts + script + line).expect("a string takes everything");
            }
            source.push_str("#{total: total}\n");
            bundle.scripts.insert(format!("script_{script}"), source);
        }
        bundle.routes.push(route("/", "script_0"));
        bundles.push(bundle);
    }
    bundles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_body_is_one_kilobyte() {
        let request = String::from_utf8(sum_requests()[0].clone()).unwrap();
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), BODY_BYTES);
    }
}

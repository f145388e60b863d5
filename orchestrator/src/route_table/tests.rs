//! The table against the rules: examples people can read, and a slow obvious matcher over random tables.

use super::tests_support::{app, file, route};
use super::*;
use crate::path::{NormalPath, host_name};
use picloud_model::app::DEFAULT_APP;
use picloud_model::route::{Segment, parse_path};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What was found, in one line.
fn show(found: &Found<'_>) -> String {
    match found {
        Found::Script(matched) => {
            let params: Vec<String> = matched.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let head = if matched.head_as_get { " head" } else { "" };
            let methods = matched.route.methods.join(",");
            format!("{} {} {} [{}]{head}", matched.app.name, methods, matched.route.path, params.join(" "))
        }
        Found::File { app, file } => format!("{} file {}", app.name, file.path),
        Found::Folder => "folder".to_owned(),
        Found::Health => "health".to_owned(),
        Found::MethodNotAllowed(allow) => format!("405 {allow}"),
        Found::Options(allow) => format!("204 {allow}"),
        Found::Nothing => "nothing".to_owned(),
    }
}

fn look(apps: &[Arc<AppSnapshot>], requests: &[&str]) -> String {
    let table = RouteTable::build(apps).unwrap();
    let mut lines = Vec::new();
    for request in requests {
        let words: Vec<&str> = request.split(' ').collect();
        let found = table.find(words.get(2).copied(), &NormalPath::parse(words[1]).unwrap(), words[0]);
        lines.push(format!("{request} -> {}", show(&found)));
    }
    lines.join("\n")
}

#[test]
fn the_most_specific_route_that_takes_the_method_answers() {
    let kitchen = app(
        1,
        "kitchen",
        &[
            route(&["GET"], "/"),
            route(&["GET"], "/rooms/{room}"),
            route(&["GET", "POST"], "/rooms/{room}/{*rest}"),
            route(&["POST"], "/rooms/new"),
            route(&[], "/any"),
            route(&["GET"], "/both"),
            route(&["HEAD"], "/both"),
            route(&["OPTIONS"], "/own"),
            route(&["GET"], "/slash/"),
        ],
    );
    let default =
        app(2, DEFAULT_APP, &[route(&["GET"], "/"), route(&["GET"], "/{x}/rooms"), route(&["PUT"], "/{*all}")]);
    insta::assert_snapshot!(look(
        &[Arc::new(kitchen), Arc::new(default)],
        &[
            "GET /kitchen",
            "GET /kitchen/",
            "GET /kitchen/rooms/1",
            "GET /kitchen/rooms/new",
            "POST /kitchen/rooms/new",
            "HEAD /kitchen/rooms/1",
            "GET /kitchen/rooms/1/",
            "POST /kitchen/rooms/1",
            "GET /kitchen/rooms/1/a/b%20c/",
            "DELETE /kitchen/rooms/1",
            "OPTIONS /kitchen/rooms/1",
            "PURGE /kitchen/any",
            "HEAD /kitchen/any",
            "OPTIONS /kitchen/any",
            "HEAD /kitchen/both",
            "OPTIONS /kitchen/own",
            "GET /kitchen/own",
            "GET /kitchen/slash",
            "GET /kitchen/slash/",
            "GET /garden/rooms",
            "PUT /kitchen/rooms/1",
            "GET /",
            "GET /nowhere",
            "GET /.picloud/health",
            "POST /.picloud/health",
            "PUT /.picloud/other",
            "PUT /.picloudy",
        ]
    ));
}

#[test]
fn a_host_match_beats_none_and_hosted_apps_answer_nowhere_else() {
    let mut hosted = app(1, "kitchen", &[route(&["GET"], "/"), route(&["GET"], "/{x}")]);
    hosted.hosts = vec!["Kitchen.Example.org".to_owned(), "[::1]".to_owned()];
    let default = app(2, DEFAULT_APP, &[route(&["GET"], "/"), route(&["GET"], "/a"), route(&["POST"], "/a")]);
    insta::assert_snapshot!(look(&[Arc::new(hosted), Arc::new(default)], &[
        "GET / kitchen.example.org:8080",
        "GET /a KITCHEN.example.org.",
        "POST /a kitchen.example.org",
        "PUT /a kitchen.example.org",
        "GET /a other.example.org",
        "GET /a [::1]:80",
        "GET /a",
        "GET /kitchen/a",
        "GET /b",
    ]), @"
    GET / kitchen.example.org:8080 -> kitchen GET / []
    GET /a KITCHEN.example.org. -> kitchen GET /{x} [x=a]
    POST /a kitchen.example.org -> default POST /a []
    PUT /a kitchen.example.org -> 405 GET, HEAD, POST, OPTIONS
    GET /a other.example.org -> default GET /a []
    GET /a [::1]:80 -> kitchen GET /{x} [x=a]
    GET /a -> default GET /a []
    GET /kitchen/a -> nothing
    GET /b -> nothing
");
}

#[test]
fn static_files_come_after_all_routes_of_their_app() {
    let mut kitchen = app(1, "kitchen", &[route(&["GET"], "/x.css"), route(&["POST"], "/docs/{*rest}")]);
    kitchen.static_files =
        ["docs/index.html", "index.html", "static/y.css", "x.css", "y.css"].map(|path| file(path, b"x")).to_vec();
    let default = app(2, DEFAULT_APP, &[route(&["GET"], "/{*all}")]);
    insta::assert_snapshot!(look(&[Arc::new(kitchen), Arc::new(default)], &[
        "GET /kitchen",
        "GET /kitchen/",
        "GET /kitchen/static/",
        "GET /kitchen/x.css",
        "GET /kitchen/static/x.css",
        "GET /kitchen/y.css",
        "GET /kitchen/static/y.css",
        "HEAD /kitchen/docs/",
        "GET /kitchen/docs",
        "PUT /kitchen/docs/",
        "GET /kitchen/none.css",
        "OPTIONS /kitchen/y.css",
    ]), @"
GET /kitchen -> folder
GET /kitchen/ -> kitchen file index.html
GET /kitchen/static/ -> kitchen file index.html
GET /kitchen/x.css -> kitchen GET /x.css []
GET /kitchen/static/x.css -> kitchen file x.css
GET /kitchen/y.css -> kitchen file y.css
GET /kitchen/static/y.css -> kitchen file static/y.css
HEAD /kitchen/docs/ -> kitchen file docs/index.html
GET /kitchen/docs -> folder
PUT /kitchen/docs/ -> 405 GET, HEAD, POST, OPTIONS
GET /kitchen/none.css -> default GET /{*all} [all=kitchen/none.css]
OPTIONS /kitchen/y.css -> 204 GET, HEAD, OPTIONS
");
}

#[test]
fn two_routes_that_match_one_request_are_refused_naming_both() {
    let refused = |apps: &[AppSnapshot]| {
        let apps: Vec<_> = apps.iter().cloned().map(Arc::new).collect();
        RouteTable::build(&apps).unwrap_err().to_string()
    };
    let mut hosted = app(3, "hosted", &[route(&[], "/{*a}"), route(&["POST"], "/{*b}")]);
    hosted.hosts = vec!["example.org".to_owned()];
    let all = [
        refused(&[app(1, "a", &[route(&["GET"], "/r/{x}"), route(&["GET", "PUT"], "/r/{y}")])]),
        refused(&[app(1, "a", &[route(&["GET"], "/"), route(&[], "/")])]),
        refused(&[app(1, "a", &[route(&["GET"], "/b c/{x}")]), app(2, DEFAULT_APP, &[route(&["GET"], "/a/b c/{y}")])]),
        refused(&[app(1, "a", &[route(&["GET"], "/")]), app(2, DEFAULT_APP, &[route(&["GET"], "/a")])]),
        refused(&[hosted]),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
route `GET,PUT /r/{y}` of app `a` and route `GET /r/{x}` of app `a` both match `GET /a/r/y`
route `* /` of app `a` and route `GET /` of app `a` both match `GET /a/`
route `GET /a/b c/{y}` of app `default` and route `GET /b c/{x}` of app `a` both match `GET /a/b%20c/y`
route `GET /a` of app `default` and route `GET /` of app `a` both match `GET /a`
route `POST /{*b}` of app `hosted` and route `* /{*a}` of app `hosted` both match `POST /b` on host `example.org`
");
}

#[test]
fn a_hostile_table_and_path_cost_no_more_than_the_table_has_nodes() {
    // Every mix of literal and parameter over 12 levels, none of which ends in what is asked for.
    let mut routes = Vec::new();
    for mask in 0..1 << 12 {
        let segments =
            (0..12).map(|level| if mask & (1 << level) == 0 { "a".to_owned() } else { format!("{{p{level}}}") });
        routes.push(route(&["GET"], &format!("/{}/end", segments.collect::<Vec<_>>().join("/"))));
    }
    let table = RouteTable::build(&[Arc::new(app(1, DEFAULT_APP, &routes))]).unwrap();
    let missing = format!("{}/none", "/a".repeat(12));
    assert!(matches!(table.find(None, &NormalPath::parse(&missing).unwrap(), "GET"), Found::Nothing));
    let deep = "/a".repeat(10_000);
    assert!(matches!(table.find(None, &NormalPath::parse(&deep).unwrap(), "GET"), Found::Nothing));
}

// --- The slow obvious matcher.

/// One route at one of its places: a pattern under a host or under none.
struct Placed<'a> {
    host: Option<String>,
    pattern: Vec<Segment>,
    app: &'a Arc<AppSnapshot>,
    route: &'a RouteEntry,
}

fn prefix(app: &AppSnapshot) -> Vec<Segment> {
    let named = app.hosts.is_empty() && app.name != DEFAULT_APP;
    if named { vec![Segment::Literal(app.name.clone())] } else { Vec::new() }
}

fn hosts(app: &AppSnapshot) -> Vec<Option<String>> {
    if app.hosts.is_empty() {
        return vec![None];
    }
    app.hosts.iter().map(|host| Some(host_name(host).into_owned())).collect()
}

fn place(apps: &[Arc<AppSnapshot>]) -> Vec<Placed<'_>> {
    let mut placed = Vec::new();
    for app in apps {
        for host in hosts(app) {
            for route in &app.routes {
                let segments = parse_path(&route.path).unwrap();
                let mut patterns = vec![[prefix(app), segments.clone()].concat()];
                if !prefix(app).is_empty() && route.path == "/" {
                    patterns.push(prefix(app));
                }
                placed.extend(patterns.into_iter().map(|pattern| Placed { host: host.clone(), pattern, app, route }));
            }
        }
    }
    placed
}

fn overlap(one: &RouteEntry, other: &RouteEntry) -> bool {
    one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|method| other.methods.contains(method))
}

fn same_shape(one: &[Segment], other: &[Segment]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Param(_), Segment::Param(_)) | (Segment::Rest(_), Segment::Rest(_)) => true,
            _ => false,
        })
}

fn ambiguous(one: &Placed<'_>, other: &Placed<'_>) -> bool {
    one.host == other.host && same_shape(&one.pattern, &other.pattern) && overlap(one.route, other.route)
}

/// For each segment how special its match is; 0 is a literal.
type Ranks = Vec<u8>;

/// How a pattern matches a path: a rank for each segment, and the parameters.
fn matches(pattern: &[Segment], path: &[&str]) -> Option<(Ranks, Vec<(String, String)>)> {
    let (mut ranks, mut params) = (Vec::new(), Vec::new());
    for (at, segment) in pattern.iter().enumerate() {
        match (segment, path.get(at)) {
            (Segment::Literal(text), Some(part)) if text == part => ranks.push(0),
            (Segment::Param(name), Some(part)) if !part.is_empty() => {
                ranks.push(1);
                params.push((name.clone(), (*part).to_owned()));
            }
            (Segment::Rest(name), _) => {
                ranks.push(2);
                params.push((name.clone(), path.get(at..).unwrap_or_default().join("/")));
                return Some((ranks, params));
            }
            _ => return None,
        }
    }
    (pattern.len() == path.len()).then_some((ranks, params))
}

fn slow_static(app: &AppSnapshot, below: Option<&[&str]>) -> Option<String> {
    let has = |path: &str| app.static_files.iter().any(|file| file.path == path);
    let Some(below) = below else { return has("index.html").then(|| "folder".to_owned()) };
    let whole = below.join("/");
    let short = whole.strip_prefix("static/").map(str::to_owned);
    for path in [Some(whole), short].into_iter().flatten() {
        let wanted = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.clone() };
        if has(&wanted) {
            return Some(format!("{} file {wanted}", app.name));
        }
        if wanted == path && has(&format!("{path}/index.html")) {
            return Some("folder".to_owned());
        }
    }
    None
}

fn slow_find(apps: &[Arc<AppSnapshot>], kept: &[Placed<'_>], host: Option<&str>, path: &str, method: &str) -> String {
    let parts: Vec<&str> = path[1..].split('/').collect();
    // No host, ranks, `HEAD` through `GET`; the smallest wins.
    type Order = (bool, Ranks, bool);
    let mut candidates: Vec<(Order, String)> = Vec::new();
    let mut allow: BTreeSet<String> = BTreeSet::new();
    for placed in kept.iter().filter(|placed| placed.host.is_none() || placed.host.as_deref() == host) {
        let Some((ranks, params)) = matches(&placed.pattern, &parts) else { continue };
        let lists = |method: &str| placed.route.methods.iter().any(|listed| listed == method);
        let every = placed.route.methods.is_empty();
        let as_get = method == "HEAD" && !lists("HEAD") && (every || lists("GET"));
        if lists(method) || (every && method != "OPTIONS") || as_get {
            let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let (app, route) = (placed.app, placed.route);
            let head = if as_get { " head" } else { "" };
            let shown = format!("{} {} {} [{}]{head}", app.name, route.methods.join(","), route.path, params.join(" "));
            candidates.push(((placed.host.is_none(), ranks, as_get), shown));
        }
        let every_method = ["GET", "POST", "PUT", "PATCH", "DELETE"].map(str::to_owned);
        allow.extend(if every { every_method.to_vec() } else { placed.route.methods.clone() });
    }
    for app in apps.iter().filter(|app| !app.static_files.is_empty()) {
        for app_host in hosts(app).into_iter().filter(|app_host| app_host.is_none() || app_host.as_deref() == host) {
            let depth = prefix(app).len();
            if !prefix(app).iter().zip(&parts).all(|(segment, part)| *segment == Segment::Literal((*part).to_owned())) {
                continue;
            }
            let below = (parts.len() > depth).then(|| &parts[depth..]);
            if let Some(shown) = slow_static(app, below) {
                allow.insert("GET".to_owned());
                if matches!(method, "GET" | "HEAD") {
                    candidates.push(((app_host.is_none(), [vec![0; depth], vec![3]].concat(), false), shown));
                }
            }
        }
    }
    if let Some((_, shown)) = candidates.into_iter().min_by(|(one, _), (other, _)| one.cmp(other)) {
        return shown;
    }
    if allow.is_empty() {
        return "nothing".to_owned();
    }
    if allow.contains("GET") {
        allow.insert("HEAD".to_owned());
    }
    allow.insert("OPTIONS".to_owned());
    let sorted: Vec<String> = allow.into_iter().collect();
    format!("{} {}", if method == "OPTIONS" { "204" } else { "405" }, sorted.join(", "))
}

/// `405 GET, HEAD` with the methods sorted, as the slow matcher writes them.
fn sorted_allow(shown: String) -> String {
    let Some((status, allow)) = shown.split_once(' ').filter(|(status, _)| matches!(*status, "405" | "204")) else {
        return shown;
    };
    let methods: BTreeSet<&str> = allow.split(", ").collect();
    format!("{status} {}", methods.into_iter().collect::<Vec<_>>().join(", "))
}

fn any_path() -> impl Strategy<Value = String> {
    let segment =
        prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("{p}".to_owned()), Just("{q}".to_owned())];
    (prop::collection::vec(segment, 0..3), prop_oneof![Just(""), Just("/"), Just("/{*r}")]).prop_map(
        |(segments, end)| {
            let segments: Vec<String> = segments
                .into_iter()
                .enumerate()
                .map(|(at, text)| if text.starts_with('{') { text.replace('}', &format!("{at}}}")) } else { text })
                .collect();
            let path = segments.iter().map(|segment| format!("/{segment}")).collect::<String>() + end;
            if path.is_empty() { "/".to_owned() } else { path }
        },
    )
}

fn any_route() -> impl Strategy<Value = RouteEntry> {
    let methods: Vec<Vec<&str>> =
        vec![vec![], vec!["GET"], vec!["POST"], vec!["HEAD"], vec!["GET", "POST"], vec!["OPTIONS"], vec!["PURGE"]];
    (prop::sample::select(methods), any_path()).prop_map(|(methods, path)| route(&methods, &path))
}

fn any_apps(routes_max: usize) -> impl Strategy<Value = Vec<Arc<AppSnapshot>>> {
    let hosts = prop::sample::select(vec![vec![], vec![], vec!["h"], vec!["g", "h"]]);
    let files = prop::sample::subsequence(vec!["a", "b/index.html", "b/x", "index.html", "static/a"], 0..4);
    let one = (prop::collection::vec(any_route(), 0..routes_max), hosts, files);
    prop::collection::vec(one, 3).prop_map(|apps| {
        let named = apps.into_iter().zip(["a", "b", DEFAULT_APP]).zip(1..);
        let made = named.map(|(((routes, hosts, files), name), id)| {
            let mut app = app(id, name, &routes);
            app.hosts = hosts.into_iter().map(str::to_owned).collect();
            app.static_files = files.into_iter().map(|path| file(path, b"x")).collect();
            Arc::new(app)
        });
        made.collect()
    })
}

fn any_request() -> impl Strategy<Value = (Option<&'static str>, String, &'static str)> {
    let host = prop::sample::select(vec![None, Some("h"), Some("H:80"), Some("g"), Some("other")]);
    let part = prop::sample::select(vec!["a", "b", "x", "static", "index.html"]);
    let path = (prop::collection::vec(part, 0..5), any::<bool>()).prop_map(|(parts, slash)| {
        let path: String = parts.iter().map(|part| format!("/{part}")).collect();
        if slash || path.is_empty() { path + "/" } else { path }
    });
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "PURGE", "PUT"]);
    (host, path, method)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_the_slow_matcher_finds(
        apps in any_apps(6),
        requests in prop::collection::vec(any_request(), 40),
    ) {
        let (table, conflicts) = RouteTable::build_serving(&apps);
        let mut kept: Vec<Placed<'_>> = Vec::new();
        let mut left_out = 0;
        for placed in place(&apps) {
            if kept.iter().any(|other| ambiguous(&placed, other)) { left_out += 1 } else { kept.push(placed) }
        }
        prop_assert_eq!(conflicts.len(), left_out);
        for (host, path, method) in requests {
            let expected = slow_find(&apps, &kept, host.map(host_name).as_deref(), &path, method);
            let found = sorted_allow(show(&table.find(host, &NormalPath::parse(&path).unwrap(), method)));
            prop_assert_eq!(found, expected, "{} {} {:?}", method, path, host);
        }
    }

    #[test]
    fn the_table_refuses_exactly_what_is_ambiguous_with_an_example_of_both(apps in any_apps(4)) {
        let placed = place(&apps);
        let any = (0..placed.len()).any(|at| placed[..at].iter().any(|other| ambiguous(&placed[at], other)));
        let built = RouteTable::build(&apps);
        prop_assert_eq!(built.is_err(), any);
        if let Err(conflict) = built {
            let path = NormalPath::parse(&conflict.example).unwrap();
            let parts: Vec<&str> = path.as_str()[1..].split('/').collect();
            for (app, title) in [(&conflict.app, &conflict.title), (&conflict.other_app, &conflict.other_title)] {
                let takes = |route: &RouteEntry| {
                    route.methods.is_empty() || route.methods.contains(&conflict.method)
                };
                let named = placed.iter().filter(|placed| {
                    let route = placed.route;
                    let methods = if route.methods.is_empty() { "*".to_owned() } else { route.methods.join(",") };
                    placed.app.name == *app && format!("{methods} {}", route.path) == *title
                });
                let both = named.filter(|placed| placed.host == conflict.host && takes(placed.route));
                prop_assert!(both.into_iter().any(|placed| matches(&placed.pattern, &parts).is_some()), "{}", conflict);
            }
        }
    }
}

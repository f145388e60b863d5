//! What is refused at save, in the words its author reads.

use picloud_executor::{check_imports, validate};
use picloud_model::limits::Limits;
use picloud_model::script::{Diagnostic, ScriptKind};
use std::collections::{BTreeMap, BTreeSet};

fn lines(diagnostics: &[Diagnostic]) -> String {
    let line = |found: &Diagnostic| {
        let hint = found.hint.as_ref().map(|hint| format!("\n    hint: {hint}")).unwrap_or_default();
        format!("{}:{}: {}{hint}\n", found.line, found.column, found.message)
    };
    diagnostics.iter().map(line).collect()
}

fn checked(kind: ScriptKind, source: &str) -> String {
    match validate("test", kind, source, &Limits::default()) {
        Ok(validated) => format!("imports {:?}\n{}", validated.imports, lines(&validated.warnings)),
        Err(errors) => lines(&errors),
    }
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let source = "import \"units\" as u;\nlet total = 0;\ntotl += u::grams(1);\njson::prase(\"{}\");\njsn::parse(\"{}\");\n\
                  fn f() { total }\nimport ctx.app as x;\nlet ctx = 1;\nformatt(1);\n";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r#"
    3:1: there is no variable `totl` here
        hint: did you mean `total`?
    4:7: `json` has no function `prase`
        hint: did you mean `parse`?
    5:1: there is no namespace or imported module `jsn`
        hint: did you mean `json`?
    6:10: there is no variable `total` here
        hint: it is declared elsewhere, but functions do not see the variables around them: pass it in, or write `global::total` for a constant
    7:1: the name of an imported module must be a plain string
        hint: write import "name" as alias; what is imported must be known before the script runs
    8:1: `ctx` cannot be declared again
        hint: give the variable another name; `ctx` is there in every script
    "#);
}

#[test]
fn a_good_script_has_no_remarks() {
    let source = "import \"units\" as u;\nconst LIMIT = 3;\nfn f(x) { let g = |y| x + y + global::LIMIT; g.call(1) }\n\
                  let items = [1, 2]; let n = 1;\nlet m = items.map(|i| i * n + f(i));\nfor (x, i) in items { print(`${x} ${i}`); }\n\
                  try { throw 1 } catch (e) { debug(e); }\nlet t = switch n { 1 => \"a\", _ => \"b\" };\n\
                  #{ app: ctx.app, m: m, u: u::f(1), t: t, j: json::stringify(m) }";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r#"
    imports ["units"]
    "#);
}

#[test]
fn a_function_that_nobody_knows_is_a_warning() {
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, "parse_jsn(\"1\")"), @r"
    imports []
    1:1: there is no function `parse_jsn` here
        hint: did you mean `parse_json`?
    ");
}

#[test]
fn an_import_that_is_not_used_is_a_warning_where_it_stands() {
    let source = "import \"units\" as u;\nimport \"rooms\" as r;\nfn f() { import \"deep\" as d; 1 }\n  import \"names\" as n;\n\
                  [u::grams(1), n::LIST]";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r#"
    imports ["units", "rooms", "names", "deep"]
    2:1: the import `r` is not used
        hint: take it out, or call something of it as `r::…`
    3:10: the import `d` is not used
        hint: take it out, or call something of it as `d::…`
    "#);
    let module = checked(ScriptKind::Module, "import \"units\" as u;");
    assert_eq!(module, "imports [\"units\"]\n", "importers reach it as `this::u::…`");
}

#[test]
fn what_the_sdk_does_not_have_is_named_with_what_it_has() {
    let source = "kv::colection(\"c\");\nkv::get(\"k\");\nsecret::get(\"x\");\nlog::warning(\"x\");\nset(kv::collection(\"c\"), \"k\", 1)";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r"
    1:5: `kv` has no function `colection`
        hint: did you mean `collection`?
    2:5: `kv` has no function `get`
        hint: `kv` has atomic, collection
    3:1: there is no namespace or imported module `secret`
        hint: did you mean `secrets`?
    4:6: `log` has no function `warning`
        hint: `log` has debug, error, info, warn
    ");
}

#[test]
fn a_method_that_looks_like_a_typing_mistake_is_a_warning() {
    let source = "let c = kv::collection(\"c\");\nc.delte(\"k\");\nctx.request.jsn();\nlet m = #{ area: |x| x };\nm.area(1);\n\
                  [1].psh(2); respond(200).heder(\"a\", \"b\")";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r"
    imports []
    2:3: nothing has a method `delte`
        hint: did you mean `delete`?
    3:13: nothing has a method `jsn`
        hint: did you mean `json`?
    6:5: nothing has a method `psh`
        hint: did you mean `push`?
    6:26: nothing has a method `heder`
        hint: did you mean `header`?
    ");
}

#[test]
fn a_module_has_one_shape() {
    let source = "const A = 1;\nlet b = 2;\nprint(\"x\");\nconst C = uuid::v4();\nexport const D = [A, \"x\" + \"y\"];\nif true { }\nfn ok() { kv::collection(\"c\") }\n";
    insta::assert_snapshot!(checked(ScriptKind::Module, source), @r"
    2:1: a module has no variables, and `b` is one
        hint: write const b = …, or move it into a function
    3:1: a module holds functions, constants and imports, nothing else at its top level
        hint: move the statement into a function
    4:17: a constant of a module calls `v4`
        hint: constants are computed once for many runs: move the call into a function
    6:1: a module holds functions, constants and imports, nothing else at its top level
        hint: move the statement into a function
    ");
}

#[test]
fn imports_are_plain_strings_with_an_alias_of_their_own() {
    let source = "import \"a\" + \"b\" as c;\nimport `x` as y;\nimport \"kv\" as k;\nimport \"Bad-Name\" as b;\nimport \"good\" as json;\nimport \"good\";\n";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source), @r#"
    1:1: the name of an imported module must be a plain string
        hint: write import "name" as alias; what is imported must be known before the script runs
    3:1: `kv` is a namespace of the SDK
        hint: give the module another name
    4:1: `Bad-Name` is no script name
        hint: a script name is a lower-case letter and then up to 62 of a-z, 0-9 and `_`
    5:1: the alias `json` is a namespace of the SDK
        hint: write import "good" as another_alias;
    6:1: module `good` is imported without an alias
        hint: write import "good" as good;
    "#);
}

#[test]
fn syntax_is_named_where_it_breaks() {
    for (source, expected) in
        [("let x = ;", "1:9"), ("fn f( {", "1:7"), ("[1, 2", "1:6"), ("\"abc", "1:1"), ("eval(\"1\")", "1:1")]
    {
        let found = checked(ScriptKind::Endpoint, source);
        assert!(found.starts_with(expected), "{source}: {found}");
    }
}

#[test]
fn every_statement_and_function_that_does_not_parse_is_named_at_once() {
    let source = "let a = ;\nlet fine = `${a}`;\nfn f() {\n  let b = 1 +;\n}\nfn good() { 1 }\nif a { 1 } else { * }\n  let c = [1, 2 3];\nfine +";
    insta::assert_snapshot!(checked(ScriptKind::Endpoint, source));
}

#[test]
fn a_source_that_is_too_long_is_refused_naming_the_limit() {
    let found = checked(ScriptKind::Endpoint, &"// x\n".repeat(60_000));
    insta::assert_snapshot!(found, @r"
    0:0: the source has 300000 bytes, more than source_bytes = 262144
        hint: move functions into modules, or raise `source_bytes` in [limits] of app.toml
    ");
}

fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    edges.iter().map(|(from, to)| ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect())).collect()
}

fn faults(edges: &[(&str, &[&str])], modules: &[&str], depth_max: u64) -> String {
    let modules: BTreeSet<String> = modules.iter().map(|name| (*name).to_owned()).collect();
    match check_imports(&graph(edges), &modules, depth_max) {
        Ok(()) => "good".to_owned(),
        Err(faults) => {
            faults.iter().map(|fault| format!("{}: {}\n", fault.importer, fault.diagnostic.message)).collect()
        }
    }
}

#[test]
fn the_graph_of_imports_has_no_hole_and_no_circle() {
    assert_eq!(faults(&[("page", &["a", "b"]), ("a", &["b"]), ("b", &[])], &["a", "b"], 8), "good");
    insta::assert_snapshot!(faults(&[("page", &["a", "nowhere", "other"]), ("other", &[]), ("a", &[])], &["a"], 8), @r"
    page: `page` imports module `nowhere`, which does not exist
    page: `page` imports `other`, which is an endpoint and no module
    ");
    insta::assert_snapshot!(faults(&[("page", &["c"]), ("c", &["b"]), ("b", &["a"]), ("a", &["b"])], &["a", "b", "c"], 8), @"a: modules import each other in a circle: a → b → a");
    insta::assert_snapshot!(faults(&[("a", &["a"])], &["a"], 8), @"a: modules import each other in a circle: a → a");
    let two = &[("a", &["b"][..]), ("b", &["a"]), ("x", &["y"]), ("y", &["x"])];
    insta::assert_snapshot!(faults(two, &["a", "b", "x", "y"], 8), @r"
    a: modules import each other in a circle: a → b → a
    x: modules import each other in a circle: x → y → x
    ");
}

#[test]
fn a_fault_of_an_import_is_placed_at_the_import() {
    let modules = BTreeSet::new();
    let faults = check_imports(&graph(&[("page", &["a", "b"])]), &modules, 8).unwrap_err();
    let source = "let x = 1;\nfn f() {\n  import \"b\" as b;\n}\n import \"a\" as a;";
    let placed: Vec<_> = faults.into_iter().map(|fault| fault.located(source, &Limits::default())).collect();
    let at =
        |index: usize| (placed[index].import.as_str(), placed[index].diagnostic.line, placed[index].diagnostic.column);
    assert_eq!([at(0), at(1)], [("a", 5, 2), ("b", 3, 3)]);
}

#[test]
fn every_fault_comes_with_a_hint() {
    for source in [
        "let x = ;",
        "fn f( {",
        "[1, 2",
        "\"abc",
        "eval(\"1\")",
        "if true {\n 1\n",
        "zzz",
        "nope::f()",
        "kv::x()",
        "((((",
    ] {
        let found = validate("test", ScriptKind::Endpoint, source, &Limits::default()).unwrap_err();
        assert!(found.iter().all(|fault| fault.hint.is_some()), "{found:?}");
    }
}

#[test]
fn imports_are_not_deeper_than_the_limit() {
    let chain = &[("page", &["a"][..]), ("a", &["b"]), ("b", &["c"]), ("c", &[])];
    assert_eq!(faults(chain, &["a", "b", "c"], 3), "good");
    insta::assert_snapshot!(faults(chain, &["a", "b", "c"], 2), @"page: imports are 3 deep, more than module_depth = 2: page → a → b → c");
    let diamond = &[("p", &["a", "b"][..]), ("a", &["c"]), ("b", &["c"]), ("c", &[])];
    assert_eq!(faults(diamond, &["a", "b", "c"], 2), "good");
}

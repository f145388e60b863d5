//! What scripts can call: one file a namespace, and [`NAMESPACES`], the one table of them.
//!
//! To add a function: a function in the namespace's file and a `.function(…)` in its `namespace()`. To add a
//! namespace: a file beside this one, a line in [`NAMESPACES`], and case files in `tests/cases/sdk_NAME_*.rhai`.
//! Registration, `picloud sdk docs`, `picloud sdk definitions` and the names that validation knows all come from
//! the table, so none can be forgotten. No function takes an app: it comes from the run's `CallContext` alone.

mod atomic;
mod base64;
mod crypto;
mod csv;
mod docs;
mod env;
mod files;
mod html;
mod http;
mod json;
mod kv;
pub(crate) mod log;
mod options;
mod pubsub;
mod query;
mod regex;
mod reserved_words;
mod respond;
mod scripts;
mod secrets;
mod table;
mod time;
mod timer;
mod url;
mod uuid;

pub(crate) use http::Answer;
pub(crate) use query::{all_values, first_values};
pub(crate) use reserved_words::allow_after_colons;
pub(crate) use table::Namespace;

use rhai::{Engine, Module, Shared};
use std::sync::LazyLock;

/// One line a namespace, in the order of the documentation.
const NAMESPACES: &[fn() -> Namespace] = &[
    respond::namespace,
    kv::namespace,
    files::namespace,
    pubsub::namespace,
    timer::namespace,
    http::namespace,
    scripts::namespace,
    env::namespace,
    secrets::namespace,
    log::namespace,
    json::namespace,
    time::namespace,
    crypto::namespace,
    base64::namespace,
    url::namespace,
    html::namespace,
    uuid::namespace,
    regex::namespace,
    csv::namespace,
];

/// Names no script or module may have, because they are, or are to be, namespaces of the SDK or words of Rhai's.
const RESERVED: &[&str] = &["global", "ctx", "sdk"];

/// The table, built and indexed once a process and shared by all engines.
struct Built {
    namespaces: Vec<Namespace>,
    /// Each namespace with a name, indexed.
    modules: Vec<(&'static str, Shared<Module>)>,
    /// Functions without a namespace, and methods.
    global: Shared<Module>,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let mut namespaces: Vec<Namespace> = NAMESPACES.iter().map(|make| make()).collect();
    let mut global = Module::new();
    crate::ctx::register(&mut global);
    global.set_custom_type::<crate::response::Response>("response");
    global.set_custom_type::<kv::Collection>("collection");
    global.set_custom_type::<atomic::Atomic>("atomic");
    global.set_custom_type::<files::Files>("files");
    http::register(&mut global);
    let mut modules = Vec::new();
    for namespace in &mut namespaces {
        let (mut functions, methods) = namespace.take_modules();
        global.combine_flatten(methods);
        if namespace.name.is_empty() {
            global.combine_flatten(functions);
        } else {
            functions.set_id(namespace.name);
            functions.build_index();
            modules.push((namespace.name, Shared::new(functions)));
        }
    }
    global.build_index();
    Built { namespaces, modules, global: Shared::new(global) }
});

/// Which namespaces a program names, so that a run only pays for those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used(u32);

impl Used {
    /// All of them: for programs that import modules.
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// Notes that the program names `namespace`; names that are not the SDK's are none.
    pub(crate) fn add(&mut self, namespace: &str) {
        if let Some(index) = BUILT.modules.iter().position(|(name, _)| *name == namespace) {
            self.0 |= 1 << index;
        }
    }
}

/// Functions without a namespace, the methods of all handles and of `ctx`: to be registered as a global module.
pub(crate) fn global_module() -> Shared<Module> {
    BUILT.global.clone()
}

/// Registers the namespaces a program uses.
pub(crate) fn register_namespaces(engine: &mut Engine, used: Used) {
    for (index, (name, module)) in BUILT.modules.iter().enumerate() {
        if used.0 & (1 << index) != 0 {
            engine.register_static_module(*name, module.clone());
        }
    }
}

/// The names of all namespaces.
pub fn namespaces() -> impl Iterator<Item = &'static str> {
    BUILT.modules.iter().map(|(name, _)| *name)
}

/// Whether no script and no module may have this name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || namespaces().any(|namespace| namespace == name)
}

/// Whether `namespace::function` exists; functions without a namespace are in namespace `""`.
pub fn known(namespace: &str, function: &str) -> bool {
    functions(namespace).any(|name| name == function)
}

/// The names of all methods of handles, and of `ctx` and its request.
pub fn methods() -> impl Iterator<Item = &'static str> {
    let rows = BUILT.namespaces.iter().flat_map(|namespace| &namespace.functions);
    rows.filter(|row| row.receiver().is_some()).map(table::Function::name).chain(crate::ctx::METHODS.iter().copied())
}

/// Whether a handle, `ctx` or its request has a method of this name.
pub fn is_method(name: &str) -> bool {
    methods().any(|method| method == name)
}

/// The functions of a namespace, without the methods of its handles.
pub fn functions(namespace: &str) -> impl Iterator<Item = &'static str> {
    let of = BUILT.namespaces.iter().filter(move |built| built.name == namespace);
    of.flat_map(|built| &built.functions).filter(|row| row.receiver().is_none()).map(table::Function::name)
}

/// The documentation of all of it, as Markdown.
pub fn docs() -> String {
    docs::markdown(&BUILT.namespaces)
}

/// The scripts the documentation shows: the namespace's name and the source of each.
pub fn examples() -> impl Iterator<Item = (&'static str, &'static str)> {
    let shown = BUILT.namespaces.iter().filter(|namespace| !namespace.example.is_empty());
    shown.map(|namespace| (namespace.name, namespace.example))
}

/// Rhai definition files for editors: file name and text of each.
pub fn definitions() -> Vec<(String, String)> {
    docs::definitions(&BUILT.namespaces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::OptimizationLevel;

    #[test]
    fn the_names_of_the_contract_are_known() {
        let names = "kv::collection kv::atomic files::collection pubsub::publish pubsub::publish_ephemeral timer::after \
                     timer::at timer::cancel http::get http::post http::request scripts::call env::get secrets::get log::debug log::info log::warn log::error json::parse \
                     json::stringify time::now crypto::sha256 crypto::hmac_sha256 crypto::random_hex \
                     crypto::constant_time_eq base64::encode url::encode html::escape uuid::v4 uuid::v7 \
                     regex::is_match csv::parse";
        for name in names.split_whitespace() {
            let (namespace, function) = name.split_once("::").unwrap();
            assert!(known(namespace, function), "{name}");
            assert!(is_reserved(namespace), "{namespace}");
        }
        assert!(!known("kv", "everything") && !known("nothing", "get"));
        assert!(known("", "respond") && known("", "http_error"));
        for name in namespaces().chain(RESERVED.iter().copied()) {
            let refused = picloud_model::name::RESERVED_MODULE_NAMES.contains(&name);
            assert!(refused, "no module may be called `{name}`: add it to RESERVED_MODULE_NAMES");
        }
        assert!(is_reserved("pubsub") && is_reserved("ctx") && !is_reserved("units"));
    }

    #[test]
    fn every_row_of_the_table_is_documented_and_every_namespace_has_an_example() {
        for namespace in &BUILT.namespaces {
            assert!(namespace.doc.ends_with('.'), "{}", namespace.name);
            assert!(!namespace.example.is_empty(), "{}", namespace.name);
            for function in &namespace.functions {
                assert!(function.doc.ends_with(['.', '…']), "{}", function.signature);
                for argument in function.arguments() {
                    assert!(argument.contains(": "), "{}", function.signature);
                }
            }
        }
    }

    #[test]
    fn definition_files_hold_a_line_for_every_function() {
        let files = definitions();
        for namespace in &BUILT.namespaces {
            for function in &namespace.functions {
                let line = format!("\nfn {}(", function.name());
                assert!(files.iter().any(|(_, text)| text.contains(&line)), "{}", function.signature);
            }
        }
    }

    /// What `picloud sdk docs` prints, below a line that says where it comes from.
    #[test]
    fn the_page_in_the_docs_is_what_the_code_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sdk.md");
        let made = format!("<!-- Made from the code by `cargo xtask docs`. -->\n\n{}", docs());
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        if there != made {
            std::fs::write(path.with_extension("md.new"), made).unwrap();
            panic!("docs/sdk.md is not what the code says; `cargo xtask docs` puts the new page in its place");
        }
    }

    #[test]
    fn a_namespace_a_program_does_not_name_is_not_registered() {
        let mut used = Used::default();
        used.add("crypto");
        used.add("nothing");
        let mut engine = Engine::new_raw();
        engine.set_optimization_level(OptimizationLevel::None);
        register_namespaces(&mut engine, used);
        assert!(engine.eval::<bool>("crypto::constant_time_eq(\"a\", \"a\")").unwrap());
        assert!(engine.eval::<String>("html::escape(())").is_err());
    }
}

//! Names that lead nowhere: variables, functions, namespaces.

use super::walk::every_node;
use super::{Findings, diagnostic};
use crate::{natives, sdk};
use picloud_model::script::ScriptKind;
use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// What Rhai itself answers to, without a function being registered.
const KEYWORDS: &[&str] =
    &["print", "debug", "type_of", "Fn", "call", "curry", "is_shared", "is_def_var", "is_def_fn", "exit", "throw"];

/// Variables that every script and function sees.
const VARIABLES: &[&str] = &["ctx"];

static STANDARD_NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    engine.register_global_module(natives::standard());
    // Rhai materialises its functions only when asked for; as metadata it lists them all.
    let metadata = engine.gen_fn_metadata_to_json(true).unwrap_or_default();
    let metadata: Metadata = serde_json::from_str(&metadata).unwrap_or_default();
    metadata.functions.into_iter().map(|function| function.name).collect()
});

/// What of Rhai's metadata is of interest.
#[derive(Default, serde::Deserialize)]
struct Metadata {
    functions: Vec<MetadataFunction>,
}

#[derive(serde::Deserialize)]
struct MetadataFunction {
    name: String,
}

pub(super) fn check(ast: &AST, kind: ScriptKind, aliases: &BTreeMap<String, Position>, findings: &mut Findings) {
    let mut own = BTreeSet::new();
    // Rhai passes what a closure captures as parameters, but leaves the names in its body unresolved.
    let mut captured = BTreeSet::new();
    for function in ast.iter_functions() {
        if function.name.starts_with(ANONYMOUS) {
            captured.extend(function.params.iter().map(|name| (*name).to_owned()));
        } else {
            own.insert(function.name.to_owned());
        }
    }
    findings.captures_ctx = captured.contains("ctx");
    let mut declared = BTreeSet::new();
    every_node(ast, |node| {
        if let ASTNode::Stmt(Stmt::Var(variable, _, position)) = node {
            let name = variable.0.name.as_str();
            if VARIABLES.contains(&name) {
                let hint = Some(format!("give the variable another name; `{name}` is there in every script"));
                findings.errors.push(diagnostic(*position, format!("`{name}` cannot be declared again"), hint));
            }
            declared.insert(name.to_owned());
        }
    });
    let mut names = Names { aliases, named: BTreeSet::new(), own, captured, declared, findings };
    every_node(ast, |node| match node {
        ASTNode::Expr(Expr::MethodCall(call, position)) => names.method(call, *position),
        ASTNode::Stmt(Stmt::FnCall(call, position)) | ASTNode::Expr(Expr::FnCall(call, position)) => {
            names.call(call, *position);
        }
        ASTNode::Expr(Expr::Variable(variable, short, position)) => {
            let (long, name, namespace, _) = &**variable;
            if !namespace.is_empty() {
                names.namespace(namespace.root(), namespace.position());
            } else if short.is_none() && long.is_none() {
                // Rhai did not resolve it to a place in the scope.
                names.variable(name, *position);
            }
        }
        _ => {}
    });
    // What a module imports, its importers reach through it: `between::deepest::value()`.
    if kind == ScriptKind::Endpoint {
        names.unused_imports();
    }
}

/// How the names of closures begin.
const ANONYMOUS: &str = "anon$";

struct Names<'f> {
    /// The names of imports, and where each is made first.
    aliases: &'f BTreeMap<String, Position>,
    /// Those that were met.
    named: BTreeSet<String>,
    own: BTreeSet<String>,
    captured: BTreeSet<String>,
    declared: BTreeSet<String>,
    findings: &'f mut Findings,
}

impl Names<'_> {
    fn variable(&mut self, name: &str, position: Position) {
        self.findings.names_ctx |= name == "ctx";
        if VARIABLES.contains(&name) || self.own.contains(name) || self.captured.contains(name) {
            return;
        }
        let hint = if self.declared.contains(name) {
            Some(format!(
                "it is declared elsewhere, but functions do not see the variables around them: pass it in, or \
                 write `global::{name}` for a constant"
            ))
        } else {
            nearest(name, VARIABLES.iter().copied().chain(self.declared.iter().map(String::as_str)))
                .or_else(|| Some(format!("declare it with let {name} = …; a text stands in quotes")))
        };
        self.findings.errors.push(diagnostic(position, format!("there is no variable `{name}` here"), hint));
    }

    fn namespace(&mut self, root: &str, position: Position) -> bool {
        self.findings.used.add(root);
        if self.aliases.contains_key(root) {
            self.named.insert(root.to_owned());
            return true;
        }
        if root == "global" || sdk::namespaces().any(|known| known == root) {
            return true;
        }
        let hint =
            nearest(root, self.aliases.keys().map(String::as_str).chain(sdk::namespaces().map(|name| name as &str)))
                .unwrap_or_else(|| format!("import the module first: import \"{root}\" as {root};"));
        let message = format!("there is no namespace or imported module `{root}`");
        self.findings.errors.push(diagnostic(position, message, Some(hint)));
        false
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) {
        if call.op_token.is_some() {
            return;
        }
        let name = call.name.as_str();
        if call.namespace.is_empty() {
            self.plain_call(name, position);
            return;
        }
        let root = call.namespace.root();
        if !self.namespace(root, call.namespace.position()) || self.aliases.contains_key(root) || root == "global" {
            return;
        }
        if !sdk::known(root, name) {
            let message = format!("`{root}` has no function `{name}`");
            let hint = nearest(name, sdk::functions(root)).unwrap_or_else(|| {
                let functions: BTreeSet<&str> = sdk::functions(root).collect();
                format!("`{root}` has {}", functions.into_iter().collect::<Vec<_>>().join(", "))
            });
            self.findings.errors.push(diagnostic(position, message, Some(hint)));
        }
    }

    fn plain_call(&mut self, name: &str, position: Position) {
        let is_word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let known = !is_word
            || name.starts_with(ANONYMOUS)
            || KEYWORDS.contains(&name)
            || self.own.contains(name)
            || sdk::known("", name)
            || sdk::is_method(name)
            || STANDARD_NAMES.contains(name);
        if known {
            return;
        }
        if name == "timestamp" {
            let hint = Some("time::now_ms() is the time in milliseconds, time::now() as text".to_owned());
            self.findings.warnings.push(diagnostic(position, "there is no function `timestamp` here".to_owned(), hint));
            return;
        }
        let others = self.own.iter().chain(STANDARD_NAMES.iter()).map(String::as_str);
        let hint =
            nearest(name, others.chain(sdk::functions("").map(|name| name as &str)).chain(KEYWORDS.iter().copied()));
        // No error: a variable may hold a function of that name.
        self.findings.warnings.push(diagnostic(position, format!("there is no function `{name}` here"), hint));
    }

    /// A method is found by the type of what it is called on, which is known only when the script runs; and a map may
    /// hold a function. So only what looks like a typing mistake is named.
    fn method(&mut self, call: &FnCallExpr, position: Position) {
        let name = call.name.as_str();
        if KEYWORDS.contains(&name)
            || self.own.contains(name)
            || self.declared.contains(name)
            || sdk::known("", name)
            || sdk::is_method(name)
            || STANDARD_NAMES.contains(name)
        {
            return;
        }
        let known = sdk::methods().chain(STANDARD_NAMES.iter().map(String::as_str)).filter(|known| known.len() > 3);
        if let Some(hint) = nearest(name, known) {
            self.findings.warnings.push(diagnostic(position, format!("nothing has a method `{name}`"), Some(hint)));
        }
    }

    fn unused_imports(&mut self) {
        for (alias, position) in self.aliases {
            // Without a name it is refused already.
            if !alias.is_empty() && !self.named.contains(alias) && !sdk::is_reserved(alias) {
                let message = format!("the import `{alias}` is not used");
                let hint = format!("take it out, or call something of it as `{alias}::…`");
                self.findings.warnings.push(diagnostic(*position, message, Some(hint)));
            }
        }
    }
}

/// A question for the name a typing mistake or two away, if there is one.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let distance_max = if name.len() <= 3 { 1 } else { 2 };
    known
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, other)| format!("did you mean `{other}`?"))
}

/// Insertions, deletions and replacements of letters between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rhais_own_functions_are_known_by_name() {
        for name in ["parse_json", "len", "push", "to_string", "range", "sqrt", "index_of", "blob"] {
            assert!(STANDARD_NAMES.contains(name), "{name}");
        }
    }
}

//! Going through a syntax tree: the imports in it, wherever they stand.

use super::{Findings, Import, diagnostic};
use picloud_model::name::check_module_name;
use rhai::{AST, ASTNode, Expr, Position, Stmt};
use std::collections::BTreeMap;

/// Calls `on_node` with every statement and expression, those of functions included.
pub(super) fn every_node(ast: &AST, mut on_node: impl FnMut(&ASTNode)) {
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(node) = path.last() {
            on_node(node);
        }
        true
    });
}

/// Where the first import of `module` stands.
pub(super) fn import_position(ast: &AST, module: &str) -> Position {
    let mut found = Position::NONE;
    every_node(ast, |node| {
        if let ASTNode::Stmt(Stmt::Import(import, position)) = node
            && matches!(&import.0, Expr::StringConstant(name, _) if name == module)
            && found.is_none()
        {
            found = *position;
        }
    });
    found
}

/// The names imports have in the script, each with the place of its first import.
pub(super) fn aliases(ast: &AST) -> BTreeMap<String, Position> {
    let mut aliases = BTreeMap::new();
    every_node(ast, |node| {
        if let ASTNode::Stmt(Stmt::Import(import, position)) = node {
            aliases.entry(import.1.name.to_string()).or_insert(*position);
        }
    });
    aliases
}

/// Collects the imports, and refuses those whose module is not known before the run or cannot exist.
pub(super) fn check_imports(ast: &AST, findings: &mut Findings) {
    every_node(ast, |node| {
        let ASTNode::Stmt(Stmt::Import(import, position)) = node else { return };
        let (path, alias) = &**import;
        let Expr::StringConstant(name, _) = path else {
            findings.errors.push(diagnostic(
                *position,
                "the name of an imported module must be a plain string".to_owned(),
                Some(
                    "write import \"name\" as alias; what is imported must be known before the script runs".to_owned(),
                ),
            ));
            return;
        };
        if let Err(problem) = check_module_name(name) {
            findings.errors.push(diagnostic(*position, problem.detail, problem.hint));
        }
        let shadowed = crate::sdk::is_reserved(&alias.name);
        if alias.name.is_empty() || shadowed {
            let message = if shadowed {
                format!("the alias `{}` is a namespace of the SDK", alias.name)
            } else {
                format!("module `{name}` is imported without an alias")
            };
            let hint =
                format!("write import \"{name}\" as {};", if shadowed { "another_alias" } else { name.as_str() });
            findings.errors.push(diagnostic(*position, message, Some(hint)));
        }
        if !findings.imports.iter().any(|known| known.name == name.as_str()) {
            findings.imports.push(Import { name: name.to_string() });
        }
    });
}

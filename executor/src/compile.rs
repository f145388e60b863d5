//! A source compiled and checked: what is kept for each content hash.
//!
//! Save and load go through the same [`Program::compile`], so that what was refused once is refused always, also
//! when it came in another way.

use crate::engine;
use crate::sdk;
use crate::validate::{self, Import, parts};
use picloud_model::limits::Limits;
use picloud_model::script::{Diagnostic, ScriptKind};
use rhai::{AST, ASTFlags, LexError, ParseErrorType, Position, Stmt};

/// Syntax errors that are told of one source; whoever has more mends these first.
const SYNTAX_ERRORS_MAX: usize = 50;

/// A compiled source.
pub(crate) struct Program {
    /// The tree, with the script's name as its source.
    pub(crate) ast: AST,
    /// The SDK's namespaces it names.
    pub(crate) used: sdk::Used,
    /// Whether it names `ctx`; of modules it is not known before they are there.
    pub(crate) names_ctx: bool,
    /// Whether `ctx` must be found where a closure captures it; the same.
    pub(crate) resolves_ctx: bool,
    /// What it imports, each once, in the order of the source.
    pub(crate) imports: Vec<Import>,
    /// What is doubtful but allowed.
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Program {
    /// Compiles and checks `source`, naming all that is wrong with it as far as its syntax allows.
    pub(crate) fn compile(
        name: &str,
        kind: ScriptKind,
        source: &str,
        limits: &Limits,
    ) -> Result<Self, Vec<Diagnostic>> {
        if source.len() as u64 > limits.source_bytes {
            return Err(vec![Diagnostic {
                file: None,
                line: 0,
                column: 0,
                message: format!(
                    "the source has {} bytes, more than source_bytes = {}",
                    source.len(),
                    limits.source_bytes
                ),
                hint: Some("move functions into modules, or raise `source_bytes` in [limits] of app.toml".to_owned()),
            }]);
        }
        let mut ast = engine::to_compile(limits).compile(source).map_err(|error| {
            syntax_errors(source, syntax_error(source, error.err_type(), error.position(), limits), limits)
        })?;
        ast.set_source(name);
        let findings = validate::check(&ast, kind);
        if !findings.errors.is_empty() {
            return Err(findings.errors);
        }
        if kind == ScriptKind::Module {
            ast = with_constants_exported(&ast);
            ast.set_source(name);
        }
        let resolves_ctx = findings.captures_ctx || !findings.imports.is_empty();
        let names_ctx = findings.names_ctx || resolves_ctx;
        Ok(Self {
            names_ctx,
            resolves_ctx,
            used: findings.used,
            imports: findings.imports,
            warnings: findings.warnings,
            ast,
        })
    }
}

/// The same module with every constant marked `export`: Rhai shows importers only those, where people expect
/// `units::FACTOR` to be there because the module says `const FACTOR`.
fn with_constants_exported(ast: &AST) -> AST {
    let statements = ast.statements().iter().cloned().map(|statement| match statement {
        Stmt::Var(variable, flags, position) => Stmt::Var(variable, flags | ASTFlags::EXPORTED, position),
        other => other,
    });
    AST::new(statements.collect::<Vec<_>>(), ast.shared_lib().clone())
}

/// The first error of `source`, and what is wrong in those of its parts that the parser did not get to.
fn syntax_errors(source: &str, first: Diagnostic, limits: &Limits) -> Vec<Diagnostic> {
    let engine = engine::to_compile(limits);
    let later = parts(source).into_iter().flatten().filter_map(|part| {
        let error = engine.compile(part.text).err()?;
        let mut found = syntax_error(part.text, error.err_type(), error.position(), limits);
        if found.line == 1 {
            found.column += part.column - 1;
        }
        found.line += part.line - 1;
        Some(found)
    });
    let later = later.filter(|found| (found.line, found.column) > (first.line, first.column));
    let later: Vec<Diagnostic> = later.take(SYNTAX_ERRORS_MAX - 1).collect();
    std::iter::once(first).chain(later).collect()
}

/// What Rhai's parser stopped at.
fn syntax_error(source: &str, error: &ParseErrorType, position: Position, limits: &Limits) -> Diagnostic {
    let at_the_end = position.line().is_none_or(|line| {
        let written = source.trim_end();
        let last = written.lines().last().map_or(0, |last| last.chars().count());
        (line, position.position().unwrap_or(0)) > (written.lines().count(), last)
    });
    let hint = match error {
        ParseErrorType::ExprTooDeep => "split the expression, or the chain of operators, into several lets".to_owned(),
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" => {
            "scripts cannot make code: call a function".to_owned()
        }
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            "close the string with a `\"` on the same line; texts of several lines stand between backticks".to_owned()
        }
        ParseErrorType::WrongFnDefinition => "move the function to the top level of the script".to_owned(),
        ParseErrorType::UnexpectedEOF => "a bracket or a string is not closed".to_owned(),
        _ if at_the_end => "the source ends here: a bracket or a block `{` is not closed".to_owned(),
        ParseErrorType::MissingToken(token, _) => format!("a `{token}` is missing here or before"),
        _ => "look here, and at the end of the line before".to_owned(),
    };
    let message = match error {
        ParseErrorType::ExprTooDeep => {
            format!("the expression is nested deeper than expression_depth = {}", limits.expression_depth)
        }
        other => sentence(&other.to_string()),
    };
    Diagnostic {
        file: None,
        line: position.line().unwrap_or(0),
        column: position.position().unwrap_or(0),
        message,
        hint: Some(hint),
    }
}

/// Rhai's message as the rest of ours are written: from a small letter on.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

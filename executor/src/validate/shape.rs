//! The shape of a module: functions, constants and imports, nothing else at its top level.
//!
//! A compiled module serves many runs, so its constants must mean the same in each: they call no functions.

use super::{Findings, diagnostic};
use rhai::{AST, ASTFlags, ASTNode, Expr, Stmt};

pub(super) fn check(ast: &AST, findings: &mut Findings) {
    for statement in ast.statements() {
        match statement {
            Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..) => {}
            Stmt::Var(_, flags, _) if flags.contains(ASTFlags::CONSTANT) => no_calls(statement, findings),
            Stmt::Var(variable, ..) => {
                let name = &variable.0.name;
                findings.errors.push(diagnostic(
                    statement.position(),
                    format!("a module has no variables, and `{name}` is one"),
                    Some(format!("write const {name} = …, or move it into a function")),
                ));
            }
            other => findings.errors.push(diagnostic(
                other.position(),
                "a module holds functions, constants and imports, nothing else at its top level".to_owned(),
                Some("move the statement into a function".to_owned()),
            )),
        }
    }
}

fn no_calls(constant: &Stmt, findings: &mut Findings) {
    constant.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
        let (call, position) = match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))) => (call, position),
            Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => (call, position),
            Some(ASTNode::Expr(Expr::Variable(variable, _, position))) if variable.1 == "ctx" => {
                findings.errors.push(diagnostic(
                    *position,
                    "a constant of a module names `ctx`".to_owned(),
                    Some("constants are computed once for many runs: name `ctx` in a function".to_owned()),
                ));
                return true;
            }
            _ => return true,
        };
        if call.op_token.is_none() {
            findings.errors.push(diagnostic(
                *position,
                format!("a constant of a module calls `{}`", call.name),
                Some("constants are computed once for many runs: move the call into a function".to_owned()),
            ));
        }
        true
    });
}

//! One row of the table of the SDK: a namespace with its functions, what they are for and how they are called.

use rhai::{Dynamic, FuncRegistration, Module, NativeCallContext, Position, RhaiFunc, RhaiNativeFunc, Shared, Variant};

/// A namespace.
pub(crate) struct Namespace {
    /// As scripts write it before `::`; empty for functions without one.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    /// A script that shows it; it compiles and runs in a test.
    pub(super) example: &'static str,
    /// Its functions and the methods of its handles.
    pub(super) functions: Vec<Function>,
    module: Module,
    methods: Module,
}

/// A function or method.
pub(super) struct Function {
    /// `name(argument: type, …) -> type`; for a method with `type.` before it.
    pub(super) signature: &'static str,
    /// What it does, as a sentence or two.
    pub(super) doc: &'static str,
}

impl Function {
    /// The type whose method this is, if it is one.
    pub(super) fn receiver(&self) -> Option<&'static str> {
        let head = self.signature.split('(').next().unwrap_or(self.signature);
        head.split_once('.').map(|(receiver, _)| receiver)
    }

    /// Its name, without receiver and arguments.
    pub(super) fn name(&self) -> &'static str {
        let head = self.signature.split('(').next().unwrap_or(self.signature);
        head.split_once('.').map_or(head, |(_, name)| name)
    }

    /// Its arguments, as `name: type`.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &'static str> {
        let inner = self.signature.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
        inner.map_or("", |(inner, _)| inner).split(", ").filter(|argument| !argument.is_empty())
    }

    /// What it answers with; empty for nothing.
    pub(super) fn returns(&self) -> &'static str {
        self.signature.rsplit_once(" -> ").map_or("", |(_, returns)| returns)
    }
}

impl Namespace {
    /// A namespace without functions.
    pub(super) fn new(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, example: "", functions: Vec::new(), module: Module::new(), methods: Module::new() }
    }

    /// With a function, called as `namespace::name(…)`.
    #[must_use]
    pub(super) fn function<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
        mut self,
        signature: &'static str,
        doc: &'static str,
        function: FUNC,
    ) -> Self
    where
        R: Variant + Clone,
        FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let row = Function { signature, doc };
        debug_assert_eq!(row.arguments().count(), N, "the arguments of {signature}");
        // Volatile: the optimizer must not call it at compile time, when there is no run.
        let function = placing_errors(function.into_rhai_function(true, true));
        FuncRegistration::new(row.name()).set_into_module_raw(&mut self.module, FUNC::param_types(), function);
        self.functions.push(row);
        self
    }

    /// With a method, called as `handle.name(…)`; its signature begins with the handle's type and a dot.
    #[must_use]
    pub(super) fn method<A: 'static, const N: usize, const X: bool, R, const F: bool, FUNC>(
        mut self,
        signature: &'static str,
        doc: &'static str,
        function: FUNC,
    ) -> Self
    where
        R: Variant + Clone,
        FUNC: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let row = Function { signature, doc };
        debug_assert_eq!(row.arguments().count() + 1, N, "the arguments of {signature}");
        FuncRegistration::new(row.name())
            .in_global_namespace()
            .with_volatility(true)
            .set_into_module(&mut self.methods, function);
        self.functions.push(row);
        self
    }

    /// With a script that shows it.
    #[must_use]
    pub(super) fn example(mut self, script: &'static str) -> Self {
        self.example = script;
        self
    }

    /// Its functions and its methods, once.
    pub(super) fn take_modules(&mut self) -> (Module, Module) {
        (std::mem::take(&mut self.module), std::mem::take(&mut self.methods))
    }
}

/// The function with its errors placed where it was called: Rhai does that for methods and functions without a
/// namespace, but not for `namespace::function(…)`.
fn placing_errors(function: RhaiFunc) -> RhaiFunc {
    // All of them take their arguments by value; what takes its first by reference is a method.
    let RhaiFunc::Pure { func, is_pure, is_volatile, .. } = function else { return function };
    let func = Shared::new(move |context: Option<NativeCallContext>, arguments: &mut [&mut Dynamic]| {
        let position = context.as_ref().map_or(Position::NONE, NativeCallContext::call_position);
        func(context, arguments).map_err(|mut error| {
            if error.position().is_none() {
                error.set_position(position);
            }
            error
        })
    });
    RhaiFunc::Pure { func, has_context: true, is_pure, is_volatile }
}

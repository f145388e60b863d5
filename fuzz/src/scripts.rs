//! Scripts made of hostile pieces: valid Rhai mostly, so that inputs get past the parser and into the run.
//!
//! To reach a new function of the SDK: a line in [`CALLS`].

use arbitrary::{Result, Unstructured};
use std::fmt::Write as _;

/// Nesting of statements and expressions.
const DEPTH_MAX: u32 = 6;
/// Statements in a block.
const STATEMENTS_MAX: usize = 6;
/// A script longer than this gets no more statements.
const SOURCE_BYTES_MAX: usize = 8 * 1024;

/// Values that have broken somebody once.
const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "63",
    "64",
    "9223372036854775807",
    "-9223372036854775807",
    "0.0",
    "-0.0",
    "1e308",
    "1e-308",
    "0.1",
    "true",
    "false",
    "()",
    "\"\"",
    "\"a\"",
    "\"äöü🙂\"",
    "'x'",
    "'\\U0010ffff'",
    "\"\\x00\"",
    "[]",
    "#{}",
    "blob()",
    "blob(9, 255)",
    "[1, 2, 3]",
    "#{a: 1}",
    "Fn(\"f\")",
    "|x| x",
    "|x, y| x + y",
    "1..9",
    "0..=3",
    "ctx",
    "ctx.request",
    "ctx.request.body",
    "ctx.request.text()",
    "ctx.request.headers",
    "ctx.request.query_all",
    "a",
    "b",
    "c",
    "m",
    "s",
    "g",
    "\"(a|b)*c\"",
    "\"2026-01-02T03:04:05Z\"",
    "\"Europe/Berlin\"",
    "\"{\\\"a\\\":[1,2,{}]}\"",
    "\"a,b\\n1,2\\n\"",
    "\"https://example.org/a?b=c#d\"",
    "100000",
    "1000000",
    "60000",
    "5000",
    "\"k\"",
];

/// Calls; `_` is an expression.
const CALLS: &[&str] = &[
    "f(_)",
    "f2(_, _)",
    "g.call(_)",
    "_.call(_)",
    "_.curry(_)",
    "Fn(_)",
    "_.len()",
    "_.len",
    "_.push(_)",
    "_.pop()",
    "_.shift()",
    "_.insert(_, _)",
    "_.remove(_)",
    "_.append(_)",
    "_.pad(_, _)",
    "_.truncate(_)",
    "_.chop(_)",
    "_.drain(_)",
    "_.drain(_, _)",
    "_.retain(_)",
    "_.splice(_, _, _)",
    "_.extract(_, _)",
    "_.split(_)",
    "_.split_at(_)",
    "_.split_rev(_)",
    "_.map(_)",
    "_.filter(_)",
    "_.reduce(_)",
    "_.reduce(_, _)",
    "_.reduce_rev(_)",
    "_.some(_)",
    "_.all(_)",
    "_.find(_)",
    "_.find_map(_)",
    "_.index_of(_)",
    "_.contains(_)",
    "_.dedup()",
    "_.dedup(_)",
    "_.sort()",
    "_.sort(_)",
    "_.order()",
    "_.reverse()",
    "_.zip(_, _)",
    "_.for_each(_)",
    "_.keys()",
    "_.values()",
    "_.mixin(_)",
    "_.fill_with(_)",
    "_.set(_, _)",
    "_.get(_)",
    "_.clear()",
    "_.to_string()",
    "_.to_debug()",
    "_.to_blob()",
    "_.to_array()",
    "_.to_chars()",
    "_.to_json()",
    "_.as_string()",
    "_.to_int()",
    "_.to_float()",
    "parse_int(_)",
    "parse_int(_, _)",
    "parse_float(_)",
    "parse_json(_)",
    "_.sub_string(_, _)",
    "_.crop(_, _)",
    "_.replace(_, _)",
    "_.to_upper()",
    "_.to_lower()",
    "_.trim()",
    "_.bytes",
    "_.chars()",
    "_.bits",
    "_.get_bit(_)",
    "_.set_bit(_, _)",
    "_.parse_le_int(_, _)",
    "_.write_utf8(_, _, _)",
    "range(_, _)",
    "range(_, _, _)",
    "_.exp()",
    "_.sqrt()",
    "_.pow(_)",
    "_.abs()",
    "_.sign()",
    "_.min(_)",
    "max(_, _)",
    "type_of(_)",
    "is_def_var(_)",
    "is_def_fn(_, _)",
    "print(_)",
    "debug(_)",
    "tag(_)",
    "_.tag",
    "timestamp()",
    "kv::collection(_)",
    "kv::collection(\"x\").set(_, _)",
    "kv::collection(\"x\").set(_, _, #{ttl_ms: _, if_version: _})",
    "kv::collection(\"x\").get(_)",
    "kv::collection(\"x\").entry(_)",
    "kv::collection(\"x\").incr(_, _)",
    "kv::collection(\"x\").delete(_)",
    "kv::collection(\"x\").list(#{prefix: _, limit: _, cursor: _, reverse: _})",
    "kv::atomic()",
    "kv::atomic().check(\"x\", _, _).set(\"x\", _, _).delete(\"x\", _).publish(\"t\", _).commit()",
    "kv::atomic().set(_, _, _, #{ttl_ms: _})",
    "files::collection(_)",
    "files::collection(\"x\").create(#{name: \"n\", content_type: \"a/b\", data: _, metadata: _})",
    "files::collection(\"x\").create(_)",
    "files::collection(\"x\").head(_)",
    "files::collection(\"x\").get(_)",
    "files::collection(\"x\").get(\"01890000-0000-7000-8000-000000000001\")",
    "files::collection(\"x\").update(_, #{name: _, data: _, if_version: _})",
    "files::collection(\"x\").list(#{prefix: _, limit: _, cursor: _})",
    "files::collection(\"x\").sign(_, #{method: _, ttl_ms: _, max_bytes: _, once: _})",
    "pubsub::publish(_, _)",
    "pubsub::publish(\"t\", _, #{delay_ms: _, dedup_key: _})",
    "pubsub::publish_ephemeral(\"t\", _)",
    "timer::after(_, \"other\", _)",
    "timer::at(_, \"other\", _)",
    "timer::cancel(_)",
    "http::get(_)",
    "http::get(\"https://example.org/\")",
    "http::post(\"https://example.org/\", _)",
    "http::request(#{method: _, url: \"https://example.org/\", headers: _, query: _, json: _, timeout_ms: _})",
    "http::request(#{url: _, form: _})",
    "http::request(#{url: \"https://example.org/\", body: _})",
    "_.status",
    "_.headers",
    "_.body",
    "_.text()",
    "_.json()",
    "_.commit()",
    "ctx.event",
    "ctx.event.value",
    "scripts::call(\"other\", _)",
    "scripts::call(\"main\", _)",
    "scripts::call(_, _)",
    "env::get(_)",
    "log::info(_)",
    "log::warn(_, #{a: _})",
    "log::error(_, _)",
    "json::parse(_)",
    "json::stringify(_)",
    "time::now()",
    "time::parse(_)",
    "time::format(_, _)",
    "time::format(_, _, _)",
    "time::add(_, _)",
    "crypto::sha256(_)",
    "crypto::hmac_sha256(_, _)",
    "crypto::random_hex(_)",
    "crypto::constant_time_eq(_, _)",
    "base64::encode(_)",
    "base64::decode(_)",
    "url::parse(_)",
    "url::encode(_)",
    "url::decode(_)",
    "html::escape(_)",
    "uuid::v4()",
    "uuid::v7()",
    "regex::is_match(_, _)",
    "regex::find(_, _)",
    "regex::find_all(_, _)",
    "regex::replace(_, _, _)",
    "regex::captures(_, _)",
    "regex::split(_, _)",
    "csv::parse(_)",
    "csv::parse(_, _)",
    "csv::format(_)",
    "respond(_)",
    "respond(_, _)",
    "respond(200, _).header(_, _)",
    "http_error(_, _)",
    "terminal(_)",
    "retry_after(_, _)",
    "secrets::get(_)",
    "log::info(secrets::get(\"TOKEN\") + _)",
    "u::double(_)",
    "u::apply(_, _)",
    "h::twice(_)",
    "u::PI",
    "take(_)",
    "_.take()",
    "swap(_, _)",
];

/// What a loop goes over; the parser refuses what it knows to be no list.
const LISTS: &[&str] = &[
    "a",
    "m.x",
    "0..3",
    "0..=9",
    "range(0, 9, 2)",
    "s.chars()",
    "[1, 2, a]",
    "b.keys()",
    "kv::collection(\"x\")",
    "(_ ?? [])",
    "f(a)",
];

/// What is asked; the parser refuses what it knows to be no boolean.
const CONDITIONS: &[&str] = &[
    "(_ == _)",
    "(c < 9)",
    "(_ in a)",
    "is_def_var(\"a\")",
    "(_ < _)",
    "f(true)",
    "((_ != _) && c < 5 || f(_))",
    "a.is_empty()",
];

/// Operators of two sides.
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "**", "<<", ">>", "&", "|", "^", "??", "==", "!=", "<", "<=", ">", ">=", "in", "!in",
    "..", "..=",
];

/// What the pieces name.
const VARIABLES: &str =
    "let a = []; let b = #{}; let c = 1; let m = #{x: [1]}; let s = \"text\"; let g = |x| [x, a];\n";

/// A script out of random choices.
pub fn script(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut writer = Writer { text: String::new() };
    writer.text.push_str("import \"units\" as u;\nimport \"chain\" as h;\n");
    writer.text.push_str("fn f(x) { if x == 0 { x } else { f(x - 1) } }\nfn f2(x, y) { x + y }\n");
    if choices.arbitrary()? {
        writer.text.push_str("fn g2(x) {\n");
        writer.text.push_str(VARIABLES);
        writer.block(choices, DEPTH_MAX - 2)?;
        writer.text.push_str("}\n");
    }
    writer.text.push_str(VARIABLES);
    writer.block(choices, 0)?;
    writer.expression(choices, 1)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
}

impl Writer {
    fn block(&mut self, choices: &mut Unstructured<'_>, depth: u32) -> Result<()> {
        for _statement in 0..choices.int_in_range(1..=STATEMENTS_MAX)? {
            if self.text.len() > SOURCE_BYTES_MAX || choices.is_empty() {
                break;
            }
            self.statement(choices, depth)?;
            self.text.push('\n');
        }
        Ok(())
    }

    fn statement(&mut self, choices: &mut Unstructured<'_>, depth: u32) -> Result<()> {
        if depth >= DEPTH_MAX || choices.ratio(1, 2)? {
            return self.simple(choices, depth);
        }
        let (head, tail) = match choices.int_in_range(0..=7)? {
            0 => (format!("if {} {{", choices.choose(CONDITIONS)?), "} else { c += 1; }"),
            1 => (format!("while {} {{", choices.choose(CONDITIONS)?), "}"),
            2 => ("loop {".to_owned(), "if c > 99 { break; } c += 1; }"),
            3..=4 => (format!("for x in {} {{", choices.choose(LISTS)?), "}"),
            5 => ("try {".to_owned(), "} catch (e) { b.e = e; }"),
            6 => ("switch _ { 0 => 1, \"a\" => { ".to_owned(), "} _ => () }"),
            _ => ("do {".to_owned(), "} while c < 3;"),
        };
        self.filled(choices, depth, &head)?;
        self.text.push('\n');
        self.block(choices, depth + 1)?;
        self.text.push_str(tail);
        Ok(())
    }

    /// A statement without others in it; what it throws seldom ends the run, or no run would get far.
    fn simple(&mut self, choices: &mut Unstructured<'_>, depth: u32) -> Result<()> {
        let variable = *choices.choose(&["a", "b", "c", "m", "s", "g"])?;
        let statement = match choices.int_in_range(0..=20)? {
            0..=9 => format!("{variable} = _;"),
            10..=11 => format!("{variable} += _;"),
            12..=13 => format!("{variable}[_] = _;"),
            14..=15 => format!("{variable}.x = _;"),
            16..=18 => "_;".to_owned(),
            19 => "throw _;".to_owned(),
            _ => "return _;".to_owned(),
        };
        let statement = if choices.ratio(9, 10)? { format!("try {{ {statement} }} catch {{}}") } else { statement };
        self.filled(choices, depth, &statement)
    }

    /// `template` with an expression for each `_`.
    fn filled(&mut self, choices: &mut Unstructured<'_>, depth: u32, template: &str) -> Result<()> {
        for (index, part) in template.split('_').enumerate() {
            let is_name = index > 0 && part.starts_with(|c: char| c.is_ascii_alphanumeric());
            if is_name {
                self.text.push('_');
            } else if index > 0 {
                self.expression(choices, depth + 1)?;
            }
            self.text.push_str(part);
        }
        Ok(())
    }

    fn expression(&mut self, choices: &mut Unstructured<'_>, depth: u32) -> Result<()> {
        if depth >= DEPTH_MAX || choices.is_empty() {
            self.text.push_str(choices.choose(VALUES)?);
            return Ok(());
        }
        match choices.int_in_range(0..=9)? {
            0..=2 => self.text.push_str(choices.choose(VALUES)?),
            3..=5 => {
                let call = *choices.choose(CALLS)?;
                return self.filled(choices, depth, call);
            }
            6 => {
                let operator = *choices.choose(OPERATORS)?;
                return self.filled(choices, depth, &format!("(_ {operator} _)"));
            }
            7 => {
                let form = *choices.choose(&[
                    "[_, _]",
                    "#{x: _, y: _}",
                    "[_]",
                    "|x| _",
                    "|| { a = _; a }",
                    "{ _ }",
                    "-(_)",
                    "!_",
                    "`${_}${_}`",
                ])?;
                return self.filled(choices, depth, form);
            }
            8 => {
                let form = *choices.choose(&[
                    "a[_]",
                    "m[_]",
                    "s[_]",
                    "f(_)[_]",
                    "_?.x",
                    "_.x",
                    "(if c == 1 { _ } else { _ })",
                    "(_ ?? _)",
                    "f(_)",
                ])?;
                return self.filled(choices, depth, form);
            }
            _ => {
                let number: i64 = choices.arbitrary()?;
                write!(self.text, "{number}").expect("writing to a string does not fail");
            }
        }
        Ok(())
    }
}

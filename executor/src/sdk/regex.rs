//! `regex`: patterns that match in linear time, compiled once a process.
//!
//! A search cannot be interrupted, so its cost is bounded beforehand: what a pattern may compile to shrinks with the
//! length of the text it is used on ([`WORK_MAX`]). Between matches the run's deadline and memory are looked at.

use super::Namespace;
use super::options::{Arg, arg};
use crate::alloc::Exempt;
use crate::cache::Cache;
use crate::error::RhaiError;
use crate::run_state::RunState;
use regex::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, ImmutableString, Map, NativeCallContext};
use std::sync::{Arc, LazyLock};

/// Longest pattern.
const PATTERN_BYTES_MAX: usize = 4096;
/// Patterns kept compiled, over all apps.
const CACHE_ENTRIES: usize = 128;
/// What those compiled to together; the room they search in is some three times as much for each thread.
const CACHE_BYTES: usize = 8 << 20;
/// What a pattern may compile to, in bytes, smallest first: a pattern is of the first class it fits.
const CLASSES_BYTES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// Largest product of a pattern's class and the length of a text. The worst pattern found, `(?:[01]*1[01]{400})$x` on
/// random digits, takes 0.9 s of a desktop's core for it.
const WORK_MAX: u64 = 32 << 30;
/// From this product on a search may take longer than a short run may: some 2 ms at worst.
const WORK_LONG: u64 = 64 << 20;

const EXAMPLE: &str = r#"
let line = "2026-03-29 kitchen 21.5";
let parts = regex::captures(`^(\d+)-(\d+)-(\d+) (?<room>\w+)`, line);
[
    parts[1],                                             // "2026"
    regex::captures_named(`(?<room>[a-z]+)`, line).room,  // "kitchen"
    regex::find_all(`\d+`, line).len(),                   // 5
    regex::replace(`(\w+) (\S+)$`, line, "$2 in $1"),     // "2026-03-29 21.5 in kitchen"
]
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new(
        "regex",
        "Regular expressions that match in linear time, with Rust's syntax: no look-around, no back references; \
         `(?i)` ignores case, `(?m)` lets `^` and `$` match at lines, `(?s)` lets `.` match line ends. Write patterns in \
         backticks, where `\\` needs no doubling.",
    )
    .example(EXAMPLE)
    .function("is_match(pattern: string, text: string) -> bool", "Whether it matches anywhere.", is_match)
    .function("find(pattern: string, text: string) -> string", "The first match, or `()`.", find)
    .function("find_all(pattern: string, text: string) -> array", "All matches, from left to right.", find_all)
    .function(
        "captures(pattern: string, text: string) -> array",
        "The first match and its groups, the whole first, `()` for a group that took no part; or `()`.",
        captures,
    )
    .function(
        "captures_named(pattern: string, text: string) -> map",
        "The named groups `(?<name>…)` of the first match; or `()`.",
        captures_named,
    )
    .function(
        "replace(pattern: string, text: string, replacement: string) -> string",
        "All matches replaced; in `replacement`, `$1` and `${name}` stand for groups and `$$` for `$` \
         (not in backticks, where Rhai puts in variables for `${name}`).",
        replace,
    )
    .function("split(pattern: string, text: string) -> array", "What stands between the matches.", split)
    .function("escape(text: string) -> string", "A pattern that matches exactly this text.", |text: Dynamic| {
        Ok::<_, RhaiError>(regex::escape(&arg("regex::escape", "text").text(&text)?))
    })
}

type Fallible<T> = Result<T, RhaiError>;

/// A compiled pattern and its class.
#[derive(Clone)]
struct Compiled {
    regex: Arc<Regex>,
    class_bytes: usize,
}

/// Patterns of late, for all apps of the process.
static CACHE: LazyLock<Cache<Box<str>, Compiled>> = LazyLock::new(|| Cache::new(CACHE_ENTRIES, CACHE_BYTES));

/// One use of a pattern on a text.
struct Search {
    run: Arc<RunState>,
    regex: Arc<Regex>,
    text: ImmutableString,
}

impl Search {
    fn new(context: &NativeCallContext, function: &'static str, pattern: &Dynamic, text: &Dynamic) -> Fallible<Self> {
        let run = RunState::of(context);
        let text = arg(function, "text").text(text)?;
        let pattern_arg = arg(function, "pattern");
        let compiled = compiled(&run, pattern_arg, &pattern_arg.text(pattern)?)?;
        let class_bytes = compiled.class_bytes as u64;
        let work = class_bytes.saturating_mul(text.len() as u64);
        if work > WORK_MAX {
            let bytes_max = WORK_MAX / class_bytes;
            return Err(pattern_arg.too_large(format_args!(
                "is too large for a text of {} bytes, it can search {bytes_max}: repeat less, or write `[a-z]` or \
                 `(?-u:\\w)` for `\\w`, which stands for all letters there are",
                text.len()
            )));
        }
        if work >= WORK_LONG {
            run.before_wait();
        }
        Ok(Self { run, regex: compiled.regex, text })
    }

    /// Between matches: each costs up to one pass over the text.
    fn go_on(&self) -> Fallible<()> {
        self.run.check_deadline()?;
        self.run.ensure_memory(0)
    }
}

fn compiled(run: &RunState, pattern_arg: Arg, pattern: &str) -> Fallible<Compiled> {
    // What is cached outlives the run, and so is not on its account.
    let _cache = Exempt::begin();
    if let Some(compiled) = CACHE.get(pattern) {
        return Ok(compiled);
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(pattern_arg.too_large(format_args!("is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    run.before_wait();
    for class_bytes in CLASSES_BYTES {
        match RegexBuilder::new(pattern).size_limit(class_bytes).dfa_size_limit(class_bytes).build() {
            Ok(regex) => {
                let compiled = Compiled { regex: Arc::new(regex), class_bytes };
                CACHE.put(pattern.into(), compiled.clone(), class_bytes);
                return Ok(compiled);
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(syntax) => return Err(pattern_arg.malformed(format_args!("is no regular expression: {syntax}"))),
        }
    }
    let [.., largest] = CLASSES_BYTES;
    Err(pattern_arg.too_large(format_args!("compiles to more than {largest} bytes: repeat less")))
}

fn is_match(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<bool> {
    let search = Search::new(&context, "regex::is_match", &pattern, &text)?;
    let _cache = Exempt::begin();
    Ok(search.regex.is_match(&search.text))
}

fn find(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<Dynamic> {
    let search = Search::new(&context, "regex::find", &pattern, &text)?;
    let found = {
        // The pattern keeps the room it searches in.
        let _cache = Exempt::begin();
        search.regex.find(&search.text)
    };
    Ok(found.map_or(Dynamic::UNIT, |found| found.as_str().into()))
}

fn find_all(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<Array> {
    let search = Search::new(&context, "regex::find_all", &pattern, &text)?;
    let mut found = Array::new();
    for part in search.regex.find_iter(&search.text) {
        found.push(part.as_str().into());
        search.run.check_array(found.len() as u64)?;
        search.go_on()?;
    }
    Ok(found)
}

fn captures(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<Dynamic> {
    let search = Search::new(&context, "regex::captures", &pattern, &text)?;
    let Some(found) = search.regex.captures(&search.text) else { return Ok(Dynamic::UNIT) };
    let group = |group: Option<regex::Match<'_>>| group.map_or(Dynamic::UNIT, |group| group.as_str().into());
    Ok(found.iter().map(group).collect::<Array>().into())
}

fn captures_named(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<Dynamic> {
    let search = Search::new(&context, "regex::captures_named", &pattern, &text)?;
    let Some(found) = search.regex.captures(&search.text) else { return Ok(Dynamic::UNIT) };
    let mut map = Map::new();
    for name in search.regex.capture_names().flatten() {
        map.insert(name.into(), found.name(name).map_or(Dynamic::UNIT, |group| group.as_str().into()));
    }
    Ok(map.into())
}

fn replace(context: NativeCallContext, pattern: Dynamic, text: Dynamic, replacement: Dynamic) -> Fallible<String> {
    let search = Search::new(&context, "regex::replace", &pattern, &text)?;
    let replacement = arg("regex::replace", "replacement").text(&replacement)?;
    let mut replaced = String::new();
    let mut copied = 0;
    for groups in search.regex.captures_iter(&search.text) {
        let whole = groups.get(0).expect("group 0 is the whole match");
        replaced.push_str(&search.text[copied..whole.start()]);
        copied = whole.end();
        // An expansion is at most as long as `replacement` has references, each standing for at most the whole match.
        let references = replacement.bytes().filter(|byte| *byte == b'$').count();
        search.run.check_string((replaced.len() + replacement.len() + references * whole.len()) as u64)?;
        groups.expand(&replacement, &mut replaced);
        search.go_on()?;
    }
    search.run.check_string((replaced.len() + search.text.len() - copied) as u64)?;
    replaced.push_str(&search.text[copied..]);
    Ok(replaced)
}

fn split(context: NativeCallContext, pattern: Dynamic, text: Dynamic) -> Fallible<Array> {
    let search = Search::new(&context, "regex::split", &pattern, &text)?;
    let mut parts = Array::new();
    for part in search.regex.split(&search.text) {
        parts.push(part.into());
        search.run.check_array(parts.len() as u64)?;
        search.go_on()?;
    }
    Ok(parts)
}

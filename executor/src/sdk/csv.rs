//! `csv`: tables as text (RFC 4180, and what spreadsheets make of it).

use super::Namespace;
use super::options::{Options, arg, short, type_name};
use crate::error::RhaiError;
use crate::run_state::RunState;
use csv::{ReaderBuilder, StringRecord};
use rhai::{Array, Dynamic, Map, NativeCallContext};

const EXAMPLE: &str = r#"
let rows = csv::parse("room;celsius\nkitchen;21.5\nhall;18\n", #{ header: true, delimiter: ";" });
rows[0].celsius = "22";
csv::format(rows, #{ header: ["room", "celsius"] })
"#;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    Namespace::new("csv", "Tables as text with commas, or another delimiter, and quotes where they are needed.")
        .example(EXAMPLE)
        .function(
            "parse(text: string|blob) -> array",
            "Each row as an array of strings; empty lines are left out.",
            |context: NativeCallContext, text: Dynamic| parse(&context, &text, &Options::none("csv::parse")),
        )
        .function(
            "parse(text: string|blob, options: map) -> array",
            "Options: `header: true` (the first row names the columns and each further row is a map), `delimiter` (one \
             ASCII character, `,` without it), `trim: true` (without spaces around fields).",
            |context: NativeCallContext, text: Dynamic, options: Dynamic| {
                parse(&context, &text, &Options::new("csv::parse", options, &["header", "delimiter", "trim"])?)
            },
        )
        .function(
            "format(rows: array) -> string",
            "The text of rows that are arrays, or maps, whose first one's keys make the header; `()` is an empty field.",
            |context: NativeCallContext, rows: Dynamic| format(&context, &rows, &Options::none("csv::format")),
        )
        .function(
            "format(rows: array, options: map) -> string",
            "Options: `header` (array of names: the header row, and the order of the columns where rows are maps), \
             `delimiter`.",
            |context: NativeCallContext, rows: Dynamic, options: Dynamic| {
                format(&context, &rows, &Options::new("csv::format", options, &["header", "delimiter"])?)
            },
        )
}

fn delimiter(function: &'static str, options: &Options) -> Result<u8, RhaiError> {
    let Some(text) = options.text("delimiter")? else { return Ok(b',') };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err(arg(function, "delimiter").fault(format_args!("must be one ASCII character, not `{}`", short(&text)))),
    }
}

fn parse(context: &NativeCallContext, text: &Dynamic, options: &Options) -> Result<Array, RhaiError> {
    let run = RunState::of(context);
    let trim = if options.flag("trim")? { csv::Trim::All } else { csv::Trim::None };
    let header = options.flag("header")?;
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(trim).delimiter(delimiter("csv::parse", options)?);
    let text_arg = arg("csv::parse", "text");
    text_arg.with_bytes(text, |bytes| {
        super::options::long_native(&run, bytes.len());
        let mut reader = builder.from_reader(bytes);
        let mut record = StringRecord::new();
        let mut names: Option<Vec<String>> = None;
        let mut rows = Array::new();
        while reader.read_record(&mut record).map_err(|why| text_arg.malformed(why))? {
            match &names {
                None if header => names = Some(record.iter().map(str::to_owned).collect()),
                None => rows.push(record.iter().map(Into::into).collect::<Array>().into()),
                Some(names) => rows.push(named(names, &record).into()),
            }
            run.check_array(record.len().max(rows.len()) as u64)?;
            run.ensure_memory(0)?;
        }
        Ok(rows)
    })?
}

/// A row as a map; a column it does not have is `()`, and a field without a name is left out.
fn named(names: &[String], record: &StringRecord) -> Map {
    let value = |index: usize| record.get(index).map_or(Dynamic::UNIT, Into::into);
    names.iter().enumerate().map(|(index, name)| (name.as_str().into(), value(index))).collect()
}

fn format(context: &NativeCallContext, rows: &Dynamic, options: &Options) -> Result<String, RhaiError> {
    let run = RunState::of(context);
    let rows_arg = arg("csv::format", "rows");
    let Ok(rows) = rows.as_array_ref() else {
        return Err(rows_arg.fault(format_args!("must be an array of arrays or maps, not {}", type_name(rows))));
    };
    let delimiter = char::from(delimiter("csv::format", options)?);
    let header = header(&rows, options)?;
    let mut text = String::new();
    if let Some(names) = &header {
        append_row(&run, &mut text, delimiter, names)?;
    }
    for (index, row) in rows.iter().enumerate() {
        let fields = if let Ok(row) = row.as_array_ref() {
            row.iter().map(|value| field(index, value)).collect::<Result<Vec<_>, _>>()?
        } else if let Ok(row) = row.as_map_ref() {
            let names = header.as_deref().unwrap_or_default();
            let value = |name: &String| row.get(name.as_str()).map_or(Ok(String::new()), |value| field(index, value));
            names.iter().map(value).collect::<Result<Vec<_>, _>>()?
        } else {
            return Err(rows_arg.fault(format_args!("row {index} must be an array or a map, not {}", type_name(row))));
        };
        append_row(&run, &mut text, delimiter, &fields)?;
    }
    Ok(text)
}

fn append_row(run: &RunState, text: &mut String, delimiter: char, fields: &[String]) -> Result<(), RhaiError> {
    for (index, field) in fields.iter().enumerate() {
        // Room for the field with every character of it doubled, which is more than quoting can make of it.
        run.check_string((text.len() + 2 * field.len()) as u64)?;
        if index > 0 {
            text.push(delimiter);
        }
        // A row of one empty field would be an empty line, which readers leave out.
        let bare = !field.contains([delimiter, '"', '\r', '\n']) && (!field.is_empty() || fields.len() > 1);
        if bare {
            text.push_str(field);
        } else {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        }
    }
    text.push('\n');
    Ok(())
}

/// The header row: what was asked for, or the keys of the first row.
fn header(rows: &Array, options: &Options) -> Result<Option<Vec<String>>, RhaiError> {
    let header_arg = arg("csv::format", "header");
    if let Some(header) = options.any("header") {
        let Ok(names) = header.as_array_ref() else {
            return Err(header_arg.fault(format_args!("must be an array of strings, not {}", type_name(header))));
        };
        let names: Result<Vec<String>, _> = names.iter().map(|name| header_arg.text(name).map(String::from)).collect();
        return names.map(Some);
    }
    let first = rows.first().and_then(|row| row.as_map_ref().ok());
    Ok(first.map(|row| row.keys().map(ToString::to_string).collect()))
}

fn field(index: usize, value: &Dynamic) -> Result<String, RhaiError> {
    if value.is_unit() {
        return Ok(String::new());
    }
    if value.is_string() || value.is_char() || value.is_int() || value.is_float() || value.is_bool() {
        return Ok(value.to_string());
    }
    let why = format!("row {index} holds {}, which is no field", type_name(value));
    Err(arg("csv::format", "rows").fault(why))
}

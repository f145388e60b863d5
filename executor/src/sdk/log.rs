//! `log`: lines kept with the run. `print` and `debug` of Rhai end here too.

use super::Namespace;
use super::options::arg;
use crate::error::RhaiError;
use crate::json::{self, WriteError};
use crate::run_state::RunState;
use picloud_model::execution::{LogLevel, LogLine};
use rhai::{Dynamic, NativeCallContext};

/// What a line costs of `log_run_bytes` beside its text, so that empty lines are bounded too.
const LINE_OVERHEAD_BYTES: u64 = 32;

/// The table's row.
pub(super) fn namespace() -> Namespace {
    let namespace = Namespace::new(
        "log",
        "Lines that are kept with the run and shown by `picloud logs`. A line longer than `log_line_bytes` is cut; lines \
         past `log_run_bytes` are dropped and counted. `print(x)` is `log::info`, `debug(x)` is `log::debug`.",
    )
    .example("log::info(\"sensor read\", #{ room: \"kitchen\", celsius: 21.5 });\nlog::warn(\"battery low\");");
    level(level(level(level(namespace, LogLevel::Debug), LogLevel::Info), LogLevel::Warn), LogLevel::Error)
}

fn level(namespace: Namespace, level: LogLevel) -> Namespace {
    let (plain, with_fields, function, doc) = match level {
        LogLevel::Debug => ("debug(message: any)", "debug(message: any, fields: map)", "log::debug", "For the author."),
        LogLevel::Info => ("info(message: any)", "info(message: any, fields: map)", "log::info", "What happened."),
        LogLevel::Warn => {
            ("warn(message: any)", "warn(message: any, fields: map)", "log::warn", "Somebody may want to look.")
        }
        LogLevel::Error => {
            ("error(message: any)", "error(message: any, fields: map)", "log::error", "Somebody must act.")
        }
    };
    namespace
        .function(plain, doc, move |context: NativeCallContext, message: Dynamic| {
            let run = RunState::of(&context);
            write(&run, level, &text_of(&run, &message), String::new());
        })
        .function(
            with_fields,
            "The same with fields, which must be JSON.",
            move |context: NativeCallContext, message: Dynamic, fields: Dynamic| -> Result<(), RhaiError> {
                let run = RunState::of(&context);
                let fields = fields_of(&run, function, fields)?;
                write(&run, level, &text_of(&run, &message), fields);
                Ok(())
            },
        )
}

/// A string as it is, anything else as `print` shows it.
fn text_of(run: &RunState, message: &Dynamic) -> String {
    let bytes_max = line_bytes(run);
    if let Ok(text) = message.as_immutable_string_ref() {
        return cut(&text, bytes_max);
    }
    let mut text = String::new();
    crate::natives::print::write_bounded(&mut text, message, bytes_max);
    text
}

fn line_bytes(run: &RunState) -> usize {
    usize::try_from(run.call.limits.log_line_bytes).unwrap_or(usize::MAX)
}

/// The fields as JSON.
fn fields_of(run: &RunState, function: &'static str, fields: Dynamic) -> Result<String, RhaiError> {
    let fields_arg = arg(function, "fields");
    let fields = Dynamic::from_map(fields_arg.map(fields)?);
    let json = json::to_vec(&fields, line_bytes(run), run).map_err(|error| match error {
        WriteError::Stopped(stopped) => stopped,
        WriteError::TooLong { bytes_max } => {
            fields_arg.too_large(format_args!("are longer as JSON than log_line_bytes = {bytes_max}"))
        }
        no_json => fields_arg.fault(no_json),
    })?;
    Ok(String::from_utf8(json).expect("JSON we wrote is UTF-8"))
}

/// Writes one line, cut to `log_line_bytes` and without the secrets the run was told, unless the run's share is used up.
pub(crate) fn write(run: &RunState, level: LogLevel, message: &str, fields: String) {
    let (mut message, mut fields) = (cut(message, line_bytes(run)), fields);
    run.redact(&mut message);
    run.redact(&mut fields);
    if run.take_log_bytes((message.len() + fields.len()) as u64 + LINE_OVERHEAD_BYTES) {
        let at = run.services.clock.now_ms();
        run.call.log.log(&run.call, LogLine { at, level, message, fields });
    }
}

/// The text, or its beginning and `…`, together at most `bytes_max` long.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let room = bytes_max.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(cut("short", 8), "short");
        assert_eq!(cut("12345678", 8), "12345678");
        assert_eq!(cut("123456789", 8), "12345…");
        assert_eq!(cut("äöüäöü", 8), "äö…");
    }
}

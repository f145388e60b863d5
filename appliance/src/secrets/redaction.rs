//! Secrets taken out of finished runs, before anything of these is kept, shown or sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use picloud_model::execution::{Execution, KeptInput};
use picloud_model::redact::{REDACTED, Redactor};
use serde_json::Value;

/// Takes the values out of everything that a script could have put into `execution`.
pub(super) fn redact_run(redactor: &Redactor, execution: &mut Execution) {
    if redactor.is_empty() {
        return;
    }
    redactor.redact(&mut execution.cause);
    redact_json(redactor, &mut execution.error_json);
    redact_json(redactor, &mut execution.result_json);
    redact_input(redactor, &mut execution.input_json);
    for line in &mut execution.logs {
        redactor.redact(&mut line.message);
        redact_json(redactor, &mut line.fields);
    }
}

/// Takes everything out that a script could have put into `execution`.
pub(super) fn blank_run(execution: &mut Execution) {
    REDACTED.clone_into(&mut execution.cause);
    execution.error_json.clear();
    execution.result_json.clear();
    execution.input_json.clear();
    for line in &mut execution.logs {
        REDACTED.clone_into(&mut line.message);
        line.fields.clear();
    }
}

/// Takes the values out of what a run saw, also out of the body of a request, where no text of it stands as it is.
fn redact_input(redactor: &Redactor, json: &mut String) {
    if let Ok(KeptInput::Request { method, path, headers, body }) = serde_json::from_str(json)
        && let Ok(bytes) = STANDARD.decode(&body)
        && let Ok(mut text) = String::from_utf8(bytes)
        && redactor.redact(&mut text)
    {
        let input = KeptInput::Request { method, path, headers, body: STANDARD.encode(text) };
        *json = serde_json::to_string(&input).unwrap_or_default();
    }
    redact_json(redactor, json);
}

/// Takes the values out of a text that is JSON, so that it stays JSON: a number that holds one becomes a text, too.
fn redact_json(redactor: &Redactor, text: &mut String) {
    let mut redacted = text.clone();
    if !redactor.redact(&mut redacted) {
        return;
    }
    if let Ok(mut value) = serde_json::from_str(text) {
        redact_value(redactor, &mut value);
        redacted = value.to_string();
        // What is no part of one text, but of the JSON around several, is still a secret.
        redactor.redact(&mut redacted);
    }
    *text = redacted;
}

fn redact_value(redactor: &Redactor, value: &mut Value) {
    match value {
        Value::String(text) => {
            redactor.redact(text);
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(redactor, value)),
        Value::Object(fields) => {
            for (mut name, mut value) in std::mem::take(fields) {
                redactor.redact(&mut name);
                redact_value(redactor, &mut value);
                fields.insert(name, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let mut text = value.to_string();
            if redactor.redact(&mut text) {
                *value = Value::String(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_saw_is_taken_out_of_the_body_of_its_request_too() {
        let body = STANDARD.encode("pin=hunter2");
        let mut json = format!(
            r#"{{"request":{{"method":"GET","path":"/?t=hunter2","headers":[["x","hunter2"]],"body":"{body}"}}}}"#
        );
        redact_input(&Redactor::new(["hunter2"]), &mut json);
        let Ok(KeptInput::Request { path, headers, body, .. }) = serde_json::from_str(&json) else { panic!("{json}") };
        assert_eq!((path.as_str(), headers[0].1.as_str()), ("/?t=[redacted]", "[redacted]"));
        assert_eq!(STANDARD.decode(body).unwrap(), b"pin=[redacted]");
        let mut event = r#"{"event":{"value":"hunter2"}}"#.to_owned();
        redact_input(&Redactor::new(["hunter2"]), &mut event);
        assert_eq!(event, r#"{"event":{"value":"[redacted]"}}"#);
    }

    #[test]
    fn json_stays_json() {
        let redactor = Redactor::new(["1234", "hunter2", "q\"uote"]);
        for (json, expected) in [
            (r#"{"n":1234,"plain":12,"t":"a hunter2"}"#, r#"{"n":"[redacted]","plain":12,"t":"a [redacted]"}"#),
            (r#"{"hunter2":["q\"uote"]}"#, r#"{"[redacted]":["[redacted]"]}"#),
            ("no json but hunter2", "no json but [redacted]"),
            (r#"{ "kept" : 1 }"#, r#"{ "kept" : 1 }"#),
        ] {
            let mut text = json.to_owned();
            redact_json(&redactor, &mut text);
            assert_eq!(text, expected);
        }
    }
}

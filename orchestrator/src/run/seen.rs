//! What a run sees, and what of it is kept so that it can be run again.
//!
//! It is put into words only when a run is kept: a plain success that is not pays nothing for it.

use crate::path::NormalPath;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use picloud_executor::{EventInput, HttpRequest};
use picloud_model::execution::{INPUT_BYTES_MAX, KeptInput};
use picloud_model::redact::Redactor;
use serde::de::IgnoredAny;
use std::sync::Arc;

/// Headers whose values let somebody in somewhere.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];
/// What is kept of their values.
const WITHHELD: &str = "…";

/// What a run sees.
pub(super) enum Seen {
    /// A request.
    Request(Arc<HttpRequest>),
    /// A request that is answered later, and the attempt, counting from 1.
    Later(Arc<HttpRequest>, u32),
    /// An event.
    Event(EventSeen),
}

/// An event, and what its record says of it. Every run for one is kept.
pub(super) struct EventSeen {
    /// The JSON of a [`KeptInput`]; empty where it is too large.
    kept: String,
    /// Empty for none.
    pub(super) trigger: String,
    /// Counting from 1.
    pub(super) attempt: u32,
}

impl EventSeen {
    /// Of the event as the script sees it, `trigger` empty for none.
    pub(super) fn of(event: &EventInput, trigger: String, attempt: u32) -> Self {
        // What `KeptInput::Event` is written as; it is JSON already.
        let kept = match str::from_utf8(&event.json) {
            Ok(json) if json.len() <= INPUT_BYTES_MAX => ["{\"event\":", json, "}"].concat(),
            _too_large => String::new(),
        };
        Self { kept, trigger, attempt }
    }
}

impl Seen {
    /// The trigger's name, empty for none, and the attempt, 0 for a request.
    pub(super) fn trigger_and_attempt(&self) -> (&str, u32) {
        match self {
            Self::Request(_) => ("", 0),
            Self::Later(_, attempt) => ("", *attempt),
            Self::Event(event) => (&event.trigger, event.attempt),
        }
    }

    /// The JSON of a [`KeptInput`] without what `redactor` knows; empty where it is too large.
    pub(super) fn kept(&self, redactor: &Redactor) -> String {
        let mut json = match self {
            Self::Request(request) | Self::Later(request, _) if request.body.len() > INPUT_BYTES_MAX => {
                return String::new();
            }
            Self::Request(request) | Self::Later(request, _) => {
                serde_json::to_string(&kept_request(request, redactor)).expect("a request holds only text")
            }
            Self::Event(event) => event.kept.clone(),
        };
        // A number that is a secret leaves a text that is no JSON: then it is not kept.
        let broken = redactor.redact(&mut json) && serde_json::from_str::<IgnoredAny>(&json).is_err();
        if broken || json.len() > INPUT_BYTES_MAX { String::new() } else { json }
    }
}

fn kept_request(request: &HttpRequest, redactor: &Redactor) -> KeptInput {
    let path = NormalPath::from_decoded(&request.path).encoded();
    let question_mark = if request.query.is_empty() { "" } else { "?" };
    let headers = request.headers.iter().map(|(name, value)| {
        let name = name.to_lowercase();
        let withheld = CREDENTIALS.contains(&name.as_str());
        (name, if withheld { WITHHELD.to_owned() } else { value.clone() })
    });
    KeptInput::Request {
        method: request.method.clone(),
        path: [&path, question_mark, &request.query].concat(),
        headers: headers.collect(),
        body: kept_body(&request.body, redactor),
    }
}

/// In base64. Taken out of it is taken out before: no value is found in base64.
fn kept_body(body: &[u8], redactor: &Redactor) -> String {
    if !redactor.is_empty()
        && let Ok(text) = str::from_utf8(body)
    {
        let mut text = text.to_owned();
        redactor.redact(&mut text);
        return STANDARD.encode(text);
    }
    STANDARD.encode(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HttpRequest {
        HttpRequest {
            method: "POST".to_owned(),
            path: "/demo/a b/100%".to_owned(),
            query: "q=1&q=2".to_owned(),
            headers: [("Host", "here"), ("Cookie", "sid=1"), ("X-Api-Key", "k"), ("x-plain", "hunter2")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            body: b"my hunter2".to_vec(),
            ..HttpRequest::default()
        }
    }

    #[test]
    fn a_request_is_kept_so_that_it_can_be_sent_again_without_what_lets_somebody_in() {
        let kept = Seen::Request(Arc::new(request())).kept(&Redactor::new(["hunter2"]));
        insta::assert_snapshot!(kept);
        let Ok(KeptInput::Request { path, body, .. }) = serde_json::from_str(&kept) else { panic!("{kept}") };
        let (path, query) = path.split_once('?').unwrap();
        assert_eq!((NormalPath::parse(path).unwrap().as_str(), query), ("/demo/a b/100%", "q=1&q=2"));
        assert_eq!(STANDARD.decode(body).unwrap(), b"my [redacted]");
    }

    #[test]
    fn an_event_is_kept_as_it_is() {
        let event = |json: &str| EventInput { json: json.as_bytes().to_vec() };
        let seen = |json: &str| Seen::Event(EventSeen::of(&event(json), "t".to_owned(), 2));
        let kept = seen(r#"{"id":"1","value":{"a":[1.0]}}"#).kept(&Redactor::default());
        assert_eq!(kept, r#"{"event":{"id":"1","value":{"a":[1.0]}}}"#);
        assert!(matches!(serde_json::from_str(&kept).unwrap(), KeptInput::Event(event) if event["id"] == "1"));
        assert_eq!(seen("{}").trigger_and_attempt(), ("t", 2));
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let kept = |bytes: usize| {
            let request = HttpRequest { body: vec![b'x'; bytes], ..request() };
            Seen::Request(Arc::new(request)).kept(&Redactor::default())
        };
        assert!(!kept(INPUT_BYTES_MAX / 2).is_empty());
        assert!(kept(INPUT_BYTES_MAX - 1).is_empty(), "base64 makes it larger");
        assert!(kept(INPUT_BYTES_MAX + 1).is_empty());
    }
}

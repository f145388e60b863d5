//! Loads and writes: requests of the app, sent with the client of the command line.

use crate::app::{Answer, Answered, Request};
use crate::client::{Ask, Client, Idles};
use crate::output::Output;
use crate::settings::Settings;
use http::header;
use std::rc::Rc;

/// Whom to ask, for tasks that outlive whoever started them.
#[derive(Clone)]
pub(super) struct Line {
    /// Where.
    pub(super) settings: Rc<Settings>,
    /// Prints nothing.
    pub(super) output: Rc<Output>,
    /// Connections that wait for the next load.
    pub(super) idles: Rc<Idles>,
}

impl Line {
    /// A client for one request.
    pub(super) fn client(&self) -> Client<'_> {
        Client::new(&self.settings, &self.output).reusing(&self.idles)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, request: Request) -> Answered {
        let sent = self.client().send(ask_of(request)).await;
        let answer = sent.map_err(|failure| failure.problem())?;
        let etag = answer.version().map(str::to_owned);
        Ok(Answer { status: answer.status.as_u16(), etag, body: answer.body })
    }
}

/// The request as the client takes it.
pub(super) fn ask_of(request: Request) -> Ask {
    let mut ask = Ask::new(request.method, request.path);
    if let Some(version) = request.if_match {
        ask = ask.header(header::IF_MATCH, format!("\"{version}\""));
    }
    for (name, value) in request.headers {
        ask = ask.header(header::HeaderName::from_static(name), value);
    }
    match request.content_type {
        Some(content_type) => ask.bytes(request.body, &content_type),
        None if request.body.is_empty() => ask,
        None => ask.body(request.body),
    }
}

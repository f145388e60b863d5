//! What was asked of the appliance, for `:log`: when, what, how it went, how long it took, and the command for it.

mod command;

use super::{Answered, Now, Owner, Request};
use crate::theme::Ink;
use crate::widgets::{reader::Reader, text};
use std::collections::VecDeque;

/// How many calls are kept.
const CALLS_MAX: usize = 500;

/// Which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallId {
    /// A load or stream.
    Read(Owner, u64),
    /// A change.
    Write(u64),
}

/// One call.
#[derive(Debug)]
struct Call {
    id: CallId,
    began: Now,
    method: String,
    path: String,
    command: Option<String>,
    ended: Option<(Now, Result<u16, String>)>,
}

/// The last calls.
#[derive(Debug, Default)]
pub(super) struct Calls(VecDeque<Call>);

impl Calls {
    /// A call is made.
    pub(super) fn begin(&mut self, now: Now, id: CallId, request: &Request) {
        if self.0.len() >= CALLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Call {
            id,
            began: now,
            method: request.method.to_string(),
            path: request.path.as_str().trim_start_matches("/api/v1").to_owned(),
            command: command::of(request),
            ended: None,
        });
    }

    /// It was answered.
    pub(super) fn end(&mut self, now: Now, id: &CallId, answered: &Answered) {
        let call = self.0.iter_mut().rev().find(|call| call.id == *id && call.ended.is_none());
        let Some(call) = call else { return };
        let result = match answered {
            Ok(answer) => Ok(answer.status),
            Err(problem) => Err(problem.code.as_str().to_owned()),
        };
        call.ended = Some((now, result));
    }

    /// All of them to read, newest first.
    pub(super) fn reader(&self, zone: &jiff::tz::TimeZone) -> Reader {
        let mut lines = Vec::new();
        for call in self.0.iter().rev() {
            let at = text::time_of_day(call.began.unix_ms, zone);
            let mut line =
                vec![(Ink::Faint, format!("{at}  ")), (Ink::Plain, format!("{} {}", call.method, call.path))];
            match &call.ended {
                None => line.push((Ink::Faint, "  under way".to_owned())),
                Some((ended, result)) => {
                    let took = text::duration(ended.mono_ms.saturating_sub(call.began.mono_ms) * 1000);
                    let (ink, told) = match result {
                        Ok(status) => (Ink::Plain, status.to_string()),
                        Err(code) => (Ink::Bad, code.clone()),
                    };
                    line.extend([(ink, format!("  {told}")), (Ink::Faint, format!("  {took}"))]);
                }
            }
            lines.push(line);
            if let Some(command) = &call.command {
                lines.push(vec![(Ink::Faint, format!("          {command}"))]);
            }
        }
        Reader::of("Calls to the appliance, newest first", lines)
    }
}

//! Whether a run that failed is worth another attempt.

use crate::error::{RunError, Stop};
use picloud_model::problem::Code;
use picloud_model::protocol::Verdict;

impl RunError {
    /// What whoever would try it again is told: [`Verdict::Failed`] where another attempt may go well.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Thrown { code, .. } => of_code(*code),
            Self::Source(failure) => of_code(failure.code),
            Self::Http { status, .. } if *status < 500 => Verdict::Terminal,
            Self::RetryAfter { seconds, .. } => Verdict::RetryAfter { seconds: *seconds },
            Self::Stopped { stop: Stop::Deadline(_), .. } | Self::Http { .. } | Self::Panic => Verdict::Failed,
            Self::Terminal { .. } | Self::Stopped { .. } | Self::Invalid(_) | Self::BadResponse(_) => Verdict::Terminal,
        }
    }
}

/// A port's failure that was not caught: what is so now and may not be later is worth another attempt.
fn of_code(code: Code) -> Verdict {
    match code {
        Code::Corrupted | Code::Loop | Code::BadScriptResponse | Code::NotFound => Verdict::Terminal,
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Timeout;
    use picloud_model::protocol::ServiceFailure;

    #[test]
    fn what_may_go_well_another_time_is_tried_again() {
        let thrown = |code| RunError::Thrown { message: String::new(), code, at: None };
        let http = |status| RunError::Http { status, message: String::new(), at: None };
        let stopped = |stop| RunError::Stopped { stop, at: None };
        let source = |code| RunError::Source(ServiceFailure { code, message: String::new() });
        for (error, verdict) in [
            (thrown(Code::ScriptError), Verdict::Failed),
            (thrown(Code::StorageFull), Verdict::Failed),
            (thrown(Code::NodeAway), Verdict::Failed),
            (thrown(Code::Corrupted), Verdict::Terminal),
            (http(404), Verdict::Terminal),
            (http(429), Verdict::Terminal),
            (http(503), Verdict::Failed),
            (stopped(Stop::Deadline(Timeout { limit: "timeout_ms", ms: 1 })), Verdict::Failed),
            (stopped(Stop::Limit { name: "kv_calls", value: 1 }), Verdict::Terminal),
            (stopped(Stop::Loop { chain: String::new(), value: 8 }), Verdict::Terminal),
            (RunError::Invalid(Vec::new()), Verdict::Terminal),
            (RunError::BadResponse(String::new()), Verdict::Terminal),
            (source(Code::NotFound), Verdict::Terminal),
            (source(Code::NodeAway), Verdict::Failed),
            (RunError::Panic, Verdict::Failed),
            (RunError::Terminal { message: String::new(), at: None }, Verdict::Terminal),
            (RunError::RetryAfter { seconds: 7, message: String::new(), at: None }, Verdict::RetryAfter { seconds: 7 }),
        ] {
            assert_eq!(error.verdict(), verdict, "{error:?}");
        }
    }
}

//! Following what an appliance tells: how its stream of events is opened, and whether to try again where it ends.

use super::{Ask, Client, Events};
use crate::failure::Failure;
use crate::path::ApiPath;
use http::{HeaderName, Method, header};

/// The header that says where to go on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl Client<'_> {
    /// Events from here on, or those after `last_id`.
    pub(crate) async fn events(&self, path: ApiPath, last_id: Option<&str>) -> Result<Events, Failure> {
        let mut ask = Ask::new(Method::GET, path).header(header::ACCEPT, "text/event-stream");
        if let Some(id) = last_id {
            ask = ask.header(LAST_EVENT_ID, id);
        }
        Ok(Events::of(self.stream(ask).await?))
    }
}

/// Whether a later attempt may do better: the appliance is away or starting, rather than saying no.
pub(crate) fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Answered(problem) => problem.status == 429 || problem.status >= 500,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::Problem;
    use picloud_model::problem::Code;

    #[test]
    fn what_says_no_is_not_asked_again() {
        let answered = |code: Code| Failure::Answered(Box::new(Problem::new(code, "")));
        for (failure, passes) in [
            (answered(Code::Forbidden), false),
            (answered(Code::NotFound), false),
            (answered(Code::Internal), true),
            (Failure::Unreachable { message: String::new(), hint: String::new() }, true),
            (Failure::usage("", ""), false),
        ] {
            assert_eq!(may_pass(&failure), passes, "{failure:?}");
        }
    }
}

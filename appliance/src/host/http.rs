//! Requests to somebody else's servers, as workers ask for them.

use super::StoreHost;
use picloud_model::http_call::HttpCall;
use picloud_model::problem::Code;
use picloud_model::protocol::{AppSnapshot, ServiceFailure, ServiceReply};
use std::time::Duration;

impl StoreHost {
    /// Sends it, as far as the app may, and answers with all of what came back.
    pub(super) async fn http(
        &self,
        app: &AppSnapshot,
        mut call: HttpCall,
        deadline: Duration,
    ) -> Result<ServiceReply, ServiceFailure> {
        call.body_bytes_max = call.body_bytes_max.min(app.limits.http_body_bytes);
        let sent = self.outbound.send(app.id, &app.http_allow, call, deadline).await;
        let word = match &sent {
            Ok(_answer) => "ok",
            Err(failure) if failure.code == Code::Forbidden => "refused",
            Err(_failure) => "failed",
        };
        self.metrics.http_called(&app.name, word);
        sent.map(ServiceReply::Http)
    }
}

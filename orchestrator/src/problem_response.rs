//! A problem as an HTTP answer, the same for everything the worker answers itself.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use picloud_model::{Code, Problem};

/// The media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// `problem` as an answer: its status, its JSON, and the headers that follow from it.
pub fn problem_response(problem: &Problem) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(problem).expect("a problem holds only text and numbers");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    // An error is true for one moment only.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.code == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// `problem` as the last bytes of a connection, where no HTTP server is left to send it.
pub fn problem_bytes(problem: &Problem, head_only: bool) -> Vec<u8> {
    let body = serde_json::to_vec(problem).expect("a problem holds only text and numbers");
    let reason = StatusCode::from_u16(problem.status).ok().and_then(|status| status.canonical_reason());
    let retry_after = problem.retry_after_s.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM_JSON}\r\n{retry_after}content-length: {}\r\nconnection: close\r\n\r\n",
        problem.status,
        reason.unwrap_or_default(),
        body.len()
    )
    .into_bytes();
    if !head_only {
        answer.extend_from_slice(&body);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_is_its_status_its_json_and_the_headers_that_follow() {
        let problem = Problem::new(Code::Overloaded, "8 scripts run already").hint("try again").retry_after_s(3);
        let response = problem_response(&problem);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "3");
        assert_eq!(response.headers()["content-type"], PROBLEM_JSON);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        insta::assert_snapshot!(String::from_utf8(body.to_vec()).unwrap(), @r#"{"code":"overloaded","status":503,"title":"overloaded","detail":"8 scripts run already","hint":"try again","retry_after_s":3}"#);
        assert_eq!(problem_response(&Problem::new(Code::Unauthenticated, "x")).headers()["www-authenticate"], "Bearer");
    }
}

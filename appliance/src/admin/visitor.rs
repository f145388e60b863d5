//! Who is at the other end: found out by the listener, before anything else is looked at.

use crate::appliance::Appliance;
use crate::keys::Unfit;
use crate::tasks::refusals::STRANGER;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use picloud_model::audit::RefusedAct;
use picloud_model::ids::KeyId;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::problem::{Code, Problem};
use picloud_model::scope::Grant;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

/// Of a path in the audit log.
const ACTION_CHARS_MAX: usize = 200;

/// Who is at the other end; in the extensions of every request.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// From where: `socket`, or an address.
    pub(super) from: String,
    /// Who it is.
    pub(super) identity: Identity,
}

/// Who somebody is.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// Somebody of this machine, who may do everything.
    Local(Principal),
    /// The holder of a key.
    Key {
        /// Its id.
        id: KeyId,
        /// The key.
        principal: Principal,
        /// What it may do.
        scopes: Arc<Vec<Grant>>,
    },
    /// Nobody we know, and why.
    Unknown(Box<Problem>),
}

impl Visitor {
    /// Somebody of this machine.
    pub(super) fn local(principal: Principal) -> Self {
        Self { from: "socket".to_owned(), identity: Identity::Local(principal) }
    }

    /// Whether they are somebody.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.identity, Identity::Unknown(_))
    }

    /// Somebody at `address`, who may show a key.
    pub(super) fn remote(appliance: &Appliance, address: IpAddr, headers: &HeaderMap) -> Self {
        let address = address.to_canonical();
        let identity = match shown(headers) {
            Shown::Nothing => Identity::Unknown(Box::new(no_key(appliance))),
            Shown::Key(key) => check(appliance, address, Some(key)),
            Shown::Unreadable => check(appliance, address, None),
        };
        Self { from: address.to_string(), identity }
    }
}

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown<'h> {
    Nothing,
    Key(&'h str),
    Unreadable,
}

fn shown(headers: &HeaderMap) -> Shown<'_> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Shown::Nothing };
    let key = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
    match key {
        // Which of two is meant is anybody's guess.
        _ if values.next().is_some() => Shown::Unreadable,
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Shown::Key(key.trim()),
        _other => Shown::Unreadable,
    }
}

/// A key that exists always passes; who tries others has to wait, longer each time.
fn check(appliance: &Appliance, address: IpAddr, key: Option<&str>) -> Identity {
    let checked = key.map(|key| appliance.keys.check(key, appliance.clock.now_ms()));
    let now = Instant::now();
    let mut backoff = appliance.backoff.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Ok(held)) = &checked {
        backoff.succeeded(address);
        let (id, principal, scopes) = (held.id, held.principal.clone(), Arc::clone(&held.scopes));
        return Identity::Key { id, principal, scopes };
    }
    if let Some(wait) = backoff.wait(address, now) {
        return Identity::Unknown(Box::new(too_often(wait.as_secs() + 1)));
    }
    backoff.failed(address, now);
    let problem = match checked {
        Some(Err(Unfit::Expired)) => unauthenticated("the API key has expired")
            .hint("make another on the appliance: picloud keys create NAME --scope SCOPE"),
        Some(_unknown) => unauthenticated("the API key is not known here")
            .hint("it may have been revoked; on the appliance: picloud keys list"),
        None => {
            unauthenticated("the `Authorization` header cannot be read").hint("send one: Authorization: Bearer KEY")
        }
    };
    Identity::Unknown(Box::new(problem))
}

fn no_key(appliance: &Appliance) -> Problem {
    if appliance.keys.count() == 0 {
        return unauthenticated("there is no API key yet: nothing but /api/v1/health answers over the network")
            .hint("make the first one on the appliance itself: picloud keys create NAME --scope SCOPE");
    }
    unauthenticated("no API key was sent").hint("send one: Authorization: Bearer KEY")
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(Code::Unauthenticated, detail)
}

fn too_often(seconds: u64) -> Problem {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    Problem::new(Code::RateLimited, format!("too many wrong API keys came from this address: wait {seconds} s"))
        .hint("a key that exists is let in at once")
        .retry_after_s(seconds)
}

/// Writes down that somebody who is not known was refused. What was shown as a key is not told to anybody.
pub(super) fn note_refused(appliance: &Appliance, visitor: &Visitor, problem: &Problem, action: &str) {
    let who = Principal { kind: PrincipalKind::Key, name: STRANGER.to_owned() };
    appliance.refused(RefusedAct {
        act: appliance.act(who, &visitor.from),
        action: action.chars().take(ACTION_CHARS_MAX).collect(),
        app: None,
        target: String::new(),
        reason: serde_json::json!({ "code": problem.code, "detail": problem.detail }),
    });
}

/// Writes down that somebody of this machine may not use the socket.
pub(super) fn note_stranger(appliance: &Appliance, problem: &Problem) {
    let who = Principal { kind: PrincipalKind::Person, name: STRANGER.to_owned() };
    appliance.refused(RefusedAct {
        act: appliance.act(who, "socket"),
        action: "socket".to_owned(),
        app: None,
        target: String::new(),
        reason: serde_json::json!({ "code": problem.code, "detail": problem.detail }),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_in_one_way_only() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            format!("{:?}", shown(&headers))
        };
        assert_eq!(read(&[]), "Nothing");
        for good in ["Bearer picloud_x", "bearer picloud_x", "BEARER  picloud_x "] {
            assert_eq!(read(&[good]), "Key(\"picloud_x\")", "{good}");
        }
        for bad in [&["Basic cGk6cGk="][..], &["picloud_x"], &["Bearer"], &["Bearer a", "Bearer a"]] {
            assert_eq!(read(bad), "Unreadable", "{bad:?}");
        }
    }
}

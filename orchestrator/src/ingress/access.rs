//! Who may have a script run: API keys on routes that ask for one, and on requests that name a version.
//!
//! Knowing a key costs a hash of a short text and a look-up. Keys that are not known cost their address a wait; one
//! that is known is never kept waiting, so nobody can lock its holder out.

use crate::counting::Counting;
use crate::keyring::{Keyring, RingKey};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use picloud_model::backoff::Backoff;
use picloud_model::clock::Clock;
use picloud_model::key::hash_of_key;
use picloud_model::principal::{Principal, PrincipalKind};
use picloud_model::protocol::{AppSnapshot, Refusal};
use picloud_model::scope::{Scope, allows};
use picloud_model::{Code, Problem};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// No key of ours is longer; what is longer is not hashed.
const KEY_BYTES_MAX: usize = 128;

/// What of a request needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: the route is public.
    Nothing,
    /// The route.
    Route,
    /// The version that it names.
    Version,
}

impl Needs {
    /// Any of these will do.
    fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Nothing | Self::Route => &[Scope::Invoke],
            Self::Version => &[Scope::Invoke, Scope::ScriptWrite],
        }
    }
}

/// What the script is to know of who asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Admitted {
    /// The key's name.
    pub(super) principal: Option<Principal>,
    /// Whether the header holds a key of ours, which is none of the script's business.
    pub(super) hide_authorization: bool,
}

/// One request that is to be let in.
pub(super) struct Entrance<'r> {
    pub(super) needs: Needs,
    pub(super) keys: &'r Keyring,
    pub(super) app: &'r AppSnapshot,
    /// The route's path, for the refusal.
    pub(super) route: &'r str,
    pub(super) headers: &'r HeaderMap,
    /// The client's address.
    pub(super) remote: &'r str,
}

/// Lets requests in.
pub(super) struct Access {
    clock: Arc<dyn Clock>,
    counting: Arc<Counting>,
    backoff: Mutex<Backoff>,
    /// Whether anybody failed lately: while nobody did, success looks no further.
    failures: AtomicBool,
}

impl Access {
    pub(super) fn new(clock: Arc<dyn Clock>, counting: Arc<Counting>) -> Self {
        Self { clock, counting, backoff: Mutex::default(), failures: AtomicBool::new(false) }
    }

    /// Lets the request in, or says why not.
    pub(super) fn admit(&self, entrance: &Entrance<'_>) -> Result<Admitted, Problem> {
        let shown = bearer(entrance.headers);
        let known = shown.filter(|key| key.len() <= KEY_BYTES_MAX).and_then(|key| entrance.keys.get(&hash_of_key(key)));
        let expired = known.is_some_and(|key| key.entry.expires_at.is_some_and(|at| at <= self.clock.now_ms()));
        let scopes = entrance.needs.scopes();
        let may =
            |key: &RingKey| scopes.iter().any(|scope| allows(&key.entry.scopes, *scope, Some(&entrance.app.name)));
        match known {
            Some(key) if !expired && may(key) => Ok(self.welcome(key, entrance.remote)),
            _ if entrance.needs == Needs::Nothing => {
                Ok(Admitted { principal: None, hide_authorization: known.is_some() })
            }
            Some(key) if !expired => {
                let name = &key.entry.name;
                Err(self.note(entrance, Some(name), lacks_scope(entrance, name)))
            }
            Some(key) => {
                let why = format!("the API key `{}` has expired", key.entry.name);
                Err(self.note(entrance, None, self.failed(entrance, &why)))
            }
            None if shown.is_some() => {
                let problem = self.failed(entrance, "the API key is not known, or has been revoked");
                Err(self.note(entrance, None, problem))
            }
            None => Err(self.note(entrance, None, needs_key(entrance))),
        }
    }

    /// Notes a refusal for the audit log. What was shown as a key is told to nobody.
    fn note(&self, entrance: &Entrance<'_>, key: Option<&str>, problem: Problem) -> Problem {
        self.counting.refused(Refusal {
            key: key.map(str::to_owned),
            from: entrance.remote.to_owned(),
            app: entrance.app.name.clone(),
            route: entrance.route.to_owned(),
            code: problem.code,
            detail: problem.detail.clone(),
            times: 1,
        });
        problem
    }

    fn welcome(&self, key: &Arc<RingKey>, remote: &str) -> Admitted {
        self.counting.key_used(key);
        if self.failures.load(Relaxed) {
            let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
            backoff.succeeded(address(remote));
            self.failures.store(!backoff.is_empty(), Relaxed);
        }
        let principal = Principal { kind: PrincipalKind::Key, name: key.entry.name.clone() };
        Admitted { principal: Some(principal), hide_authorization: true }
    }

    /// A key was shown that lets nobody in.
    fn failed(&self, entrance: &Entrance<'_>, why: &str) -> Problem {
        let (address, now) = (address(entrance.remote), Instant::now());
        let mut backoff = self.backoff.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = backoff.wait(address, now) {
            let seconds = u32::try_from(wait.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX);
            return Problem::new(Code::RateLimited, format!("{address} has shown too many keys that are not known"))
                .hint(format!("try again in {seconds} s, with a key that is known: that is let in at any time"))
                .retry_after_s(seconds);
        }
        backoff.failed(address, now);
        self.failures.store(true, Relaxed);
        Problem::new(Code::Unauthenticated, why).hint(how_to_get_in(entrance))
    }
}

/// The text after `Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Addresses are text here because scripts see them as text; it came from one.
fn address(remote: &str) -> IpAddr {
    remote.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn needs_key(entrance: &Entrance<'_>) -> Problem {
    let detail = match entrance.needs {
        Needs::Version => format!("a version of the script behind `{}` is run only for an API key", entrance.route),
        Needs::Nothing | Needs::Route => format!("`{}` needs an API key with the scope `invoke`", entrance.route),
    };
    Problem::new(Code::Unauthenticated, detail).hint(how_to_get_in(entrance))
}

fn how_to_get_in(entrance: &Entrance<'_>) -> String {
    let app = &entrance.app.name;
    format!("send `Authorization: Bearer KEY`; `picloud keys create NAME --scope invoke@{app}` makes a key")
}

fn lacks_scope(entrance: &Entrance<'_>, name: &str) -> Problem {
    let app = &entrance.app.name;
    let scopes = entrance.needs.scopes().iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" or ");
    Problem::new(Code::Forbidden, format!("key `{name}` lacks the scope {scopes} in app `{app}`"))
        .hint(format!("use a key with that scope: picloud keys create NAME --scope invoke@{app}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route_table::tests_support::app;
    use http::HeaderValue;
    use picloud_model::KeyId;
    use picloud_model::clock::ManualClock;
    use picloud_model::protocol::KeyEntry;

    /// When `late` expires.
    const LATE_MS: i64 = 1_000;

    fn keyring() -> Keyring {
        let key = |id: i64, name: &str, scopes: &[&str], expires_at: Option<i64>| KeyEntry {
            id: KeyId(id),
            name: name.to_owned(),
            hash: hash_of_key(&format!("picloud_{name}")),
            scopes: scopes.iter().map(|scope| scope.parse().unwrap()).collect(),
            expires_at,
        };
        Keyring::of(&[
            key(1, "all", &["invoke"], None),
            key(2, "here", &["invoke@kitchen,garden"], None),
            key(3, "there", &["invoke@garden"], None),
            key(4, "author", &["script:write@kitchen"], None),
            key(5, "late", &["invoke"], Some(LATE_MS)),
        ])
    }

    struct Gate {
        access: Access,
        clock: Arc<ManualClock>,
        keys: Keyring,
        app: AppSnapshot,
    }

    impl Gate {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(LATE_MS - 1));
            let access = Access::new(Arc::clone(&clock) as Arc<dyn Clock>, Arc::default());
            Self { access, clock, keys: keyring(), app: app(1, "kitchen", &[]) }
        }

        fn admit(&self, needs: Needs, authorization: &str, remote: &str) -> Result<Admitted, Problem> {
            let mut headers = HeaderMap::new();
            if !authorization.is_empty() {
                headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
            }
            let (keys, app, headers) = (&self.keys, &self.app, &headers);
            self.access.admit(&Entrance { needs, keys, app, route: "/x", headers, remote })
        }
    }

    fn shown(answer: Result<Admitted, Problem>) -> String {
        match answer {
            Ok(Admitted { principal, hide_authorization }) => {
                let who = principal.map_or("nobody".to_owned(), |who| format!("{} {}", who.kind.as_str(), who.name));
                format!("{who}{}", if hide_authorization { ", header hidden" } else { "" })
            }
            Err(problem) => format!("{} {}\n    {}", problem.status, problem.detail, problem.hint.unwrap_or_default()),
        }
    }

    #[test]
    fn every_key_on_every_kind_of_request() {
        let gate = Gate::new();
        let mut table = String::new();
        for needs in [Needs::Nothing, Needs::Route, Needs::Version] {
            for authorization in [
                "",
                "Basic dTpw",
                "Bearer",
                "Bearer picloud_all",
                "bEARER  picloud_here ",
                "Bearer picloud_there",
                "Bearer picloud_author",
                "Bearer picloud_late",
                "Bearer picloud_nobody",
            ] {
                // Each from an address of its own, so that none has to wait.
                let remote = format!("192.0.2.{}", table.len() % 256);
                let answer = shown(gate.admit(needs, authorization, &remote));
                table += &format!("{needs:?} [{authorization}]: {answer}\n");
            }
        }
        gate.clock.advance(1);
        table += &format!("expired: {}", shown(gate.admit(Needs::Route, "Bearer picloud_late", "198.51.100.1")));
        insta::assert_snapshot!(table);
    }

    #[test]
    fn who_was_refused_is_told_without_the_key() {
        let gate = Gate::new();
        for authorization in ["", "Bearer picloud_wrong", "Bearer picloud_there", "Bearer picloud_there"] {
            assert!(gate.admit(Needs::Route, authorization, "192.0.2.1").is_err());
        }
        assert!(gate.admit(Needs::Nothing, "Bearer picloud_wrong", "192.0.2.1").is_ok());
        let counts = gate.access.counting.take().unwrap();
        let told: Vec<_> = counts.refusals.iter().map(|one| (one.key.as_deref(), one.code, one.times)).collect();
        assert_eq!(told, [(Some("there"), Code::Forbidden, 2), (None, Code::Unauthenticated, 2)]);
        let one = &counts.refusals[0];
        assert_eq!((one.from.as_str(), one.app.as_str(), one.route.as_str()), ("192.0.2.1", "kitchen", "/x"));
        assert!(!format!("{counts:?}").contains("picloud_"), "{counts:?}");
    }

    #[test]
    fn an_address_that_shows_wrong_keys_waits_and_a_key_that_is_known_never_does() {
        let gate = Gate::new();
        let wrong = |remote: &str| gate.admit(Needs::Route, "Bearer picloud_wrong", remote).unwrap_err();
        let tries: Vec<u16> = (0..7).map(|_| wrong("192.0.2.1").status).collect();
        assert_eq!(tries, [401, 401, 401, 401, 401, 429, 429]);
        assert!(wrong("192.0.2.1").retry_after_s.is_some_and(|seconds| (1..=2).contains(&seconds)));
        assert_eq!(wrong("192.0.2.2").status, 401, "others do not wait for it");
        assert_eq!(gate.admit(Needs::Route, "", "192.0.2.1").unwrap_err().status, 401, "no key is no attempt");
        assert!(gate.admit(Needs::Route, "Bearer picloud_all", "192.0.2.1").is_ok());
        assert_eq!(wrong("192.0.2.1").status, 401, "and its holder starts anew");
        (0..9).for_each(|_| assert!(gate.admit(Needs::Route, "Bearer picloud_there", "192.0.2.3").is_err()));
        assert_eq!(wrong("192.0.2.3").status, 401, "a known key with too little scope is no attempt");
    }
}

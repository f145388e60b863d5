//! Connections to Postgres: how long each thing may take, with the reason for its value.

use crate::OpenError;
use sqlx::{Connection as _, PgPool};
use sqlx_postgres::{PgConnectOptions, PgPoolOptions};
use std::str::FromStr as _;
use std::time::Duration;

/// Connections that work at once. A verb takes a few milliseconds, so these serve thousands in a second; several
/// appliances stay below the hundred that a server takes by default.
const CONNECTIONS_MAX: u32 = 16;
/// How long a verb waits for a connection that answers: a request may take ten seconds, and is to hear of it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection is kept that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// A connection that answered so lately is not asked whether it is one still, which would be a round trip for each verb.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Statements kept ready per connection; more than there are in this folder.
const STATEMENTS_MAX: usize = 384;

/// What the server is told of each connection, so that it gives up what its client has given up already: no statement
/// outlives its verb, nobody waits long for a lock, and a client that vanished without a word frees its locks.
const SERVER_SETTINGS: &[(&str, &str)] = &[
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "20s"),
    ("tcp_user_timeout", "15s"),
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    // A statement here is done long before it would be compiled.
    ("jit", "off"),
    // What came in is compared as it was sent.
    ("standard_conforming_strings", "on"),
];

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Address {
    options: PgConnectOptions,
    /// As it may be shown: without the password.
    pub(crate) shown: String,
}

impl Address {
    /// Reads `postgres://…`.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let shown = masked(url);
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let parsed = PgConnectOptions::from_str(url).map_err(|source| Box::new(source) as Box<_>);
        let options = match parsed {
            Ok(options) if scheme => options,
            Ok(_other) => {
                return Err(OpenError::Address { shown, source: "it does not begin with `postgres://`".into() });
            }
            Err(source) => return Err(OpenError::Address { shown, source }),
        };
        let options = options
            .statement_cache_capacity(STATEMENTS_MAX)
            .application_name("picloud")
            .options(SERVER_SETTINGS.iter().copied());
        Ok(Self { options, shown })
    }

    /// It does not answer, or not as it should.
    pub(super) fn unreachable(&self, error: sqlx::Error) -> OpenError {
        OpenError::Unreachable { shown: self.shown.clone(), source: Box::new(error) }
    }

    /// For the one connection that changes the schema, for which no statement takes too long. Its name is not that of an
    /// appliance at work.
    pub(super) fn pool_to_migrate(&self) -> PgPool {
        let patient = [("statement_timeout", "0"), ("lock_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
        let options = self.options.clone().application_name("upgrade of picloud").options(patient);
        Self { options, shown: String::new() }.pool(1)
    }

    /// For the one connection that listens; whoever looks at the server's connections tells it by its name.
    pub(super) fn pool_to_listen(&self) -> PgPool {
        let options = self.options.clone().application_name("picloud listener");
        Self { options, shown: String::new() }.pool(1)
    }

    /// A pool of up to `connections_max`, with none yet.
    pub(super) fn pool(&self, connections_max: u32) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections_max)
            .min_connections(0)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(self.options.clone())
    }
}

/// The pool, once the database has answered.
pub(crate) async fn connect(address: &Address) -> Result<PgPool, OpenError> {
    let pool = address.pool(CONNECTIONS_MAX);
    match pool.acquire().await {
        Ok(_connection) => Ok(pool),
        Err(error) => Err(OpenError::Unreachable { shown: address.shown.clone(), source: Box::new(error) }),
    }
}

/// The URL with `***` where its password is.
pub(crate) fn masked(url: &str) -> String {
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else { return "***".to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // A password may hold an `@` that should have been escaped: what is before the last one is not shown.
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _password)) => format!("{user}:***@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    // Parameters may hold one too.
    let path = match path.split_once('?') {
        Some((path, parameters)) => {
            let hidden = parameters.split('&').map(|parameter| match parameter.split_once('=') {
                Some((name, _value)) if name.contains("password") => format!("{name}=***"),
                _ => parameter.to_owned(),
            });
            format!("{path}?{}", hidden.collect::<Vec<_>>().join("&"))
        }
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://ada:pass@db.local:5432/picloud", "postgres://ada:***@db.local:5432/picloud"),
            ("postgres://ada:p@ss:w@db/picloud", "postgres://ada:***@db/picloud"),
            ("postgres://ada@db/picloud", "postgres://ada@db/picloud"),
            ("postgres://db/x?host=/run&password=pass", "postgres://db/x?host=/run&password=***"),
            ("postgres://db?sslpassword=pass", "postgres://db?sslpassword=***"),
            ("ada:pass", "***"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        for url in ["mysql://ada:secretword@db/x", "nonsense secretword", "postgres://ada:secretword@db:port/x"] {
            let Err(error) = Address::parse(url) else { panic!("{url} was taken") };
            assert!(!format!("{error} {error:?}").contains("secretword"), "{error:?}");
        }
    }
}

//! Sends a request of a script, to addresses that were looked at, and follows redirects the same way.

use super::address::{of_this_machine, why_not_public};

use picloud_model::allowed_host::AllowedHost;
use picloud_model::http_call::{HttpAnswer, HttpCall};
use picloud_model::ids::AppId;
use picloud_model::problem::{Code, with_sources};
use picloud_model::protocol::ServiceFailure;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, PROXY_AUTHORIZATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Redirects that are followed; one more is a failure.
const REDIRECTS_MAX: u32 = 5;
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Servers whose connections are kept for a next request.
const CLIENTS_MAX: usize = 64;
/// How long a connection is kept for a next request.
const IDLE_MAX: Duration = Duration::from_secs(30);

type Fallible<T> = Result<T, ServiceFailure>;

/// Sends requests of scripts.
#[derive(Default)]
pub struct Outbound {
    /// Set up when the first script needs it: reading all authorities that the machine trusts takes a while.
    tls: OnceLock<Result<rustls::ClientConfig, String>>,
    clients: Mutex<VecDeque<(Server, Client)>>,
}

/// Whose connections may be used again: of one app, which has been allowed these addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    app: AppId,
    host: String,
    addresses: Vec<SocketAddr>,
}

/// What is sent; a redirect changes it.
struct Sent {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Outbound {
    /// Sends `call` for an app that may reach `allow` beside the public internet, and waits for all of its answer, at
    /// most `deadline`.
    ///
    /// # Errors
    /// `invalid` for what is no request, `forbidden` for where it may not go, `node-away` where nobody answers,
    /// `too-large` for a body above the caller's bound, `deadline` when the call's own time is up, or the run's.
    pub async fn send(
        self: &Arc<Self>,
        app: AppId,
        allow: &[String],
        call: HttpCall,
        deadline: Duration,
    ) -> Fallible<HttpAnswer> {
        let own = call.timeout_ms.map_or(deadline, Duration::from_millis);
        let (time, url) = (own.min(deadline), call.url.clone());
        let allow: Vec<AllowedHost> = allow.iter().filter_map(|entry| AllowedHost::parse(entry).ok()).collect();
        let answer = tokio::time::timeout(time, self.follow(app, &allow, call)).await;
        answer.unwrap_or_else(|_elapsed| {
            Err(failure(Code::Deadline, format!("`{url}` did not answer within {} ms", time.as_millis())))
        })
    }

    async fn follow(self: &Arc<Self>, app: AppId, allow: &[AllowedHost], call: HttpCall) -> Fallible<HttpAnswer> {
        let bytes_max = call.body_bytes_max;
        let mut sent = Sent::of(call)?;
        for _hop in 0..=REDIRECTS_MAX {
            let response = self.hop(app, allow, &sent).await?;
            match redirect_of(&response, &sent)? {
                None => return read(response, &sent.url, bytes_max).await,
                Some(next) => sent.redirect(next, response.status()),
            }
        }
        Err(failure(Code::NodeAway, format!("more than {REDIRECTS_MAX} redirects, the last one to `{}`", sent.url)))
    }

    /// One request to one server.
    async fn hop(self: &Arc<Self>, app: AppId, allow: &[AllowedHost], sent: &Sent) -> Fallible<Response> {
        let server = server_of(app, allow, &sent.url).await?;
        let client = self.client(&server).await?;
        let request = client.request(sent.method.clone(), sent.url.clone()).headers(sent.headers.clone());
        let request = if sent.body.is_empty() { request } else { request.body(sent.body.clone()) };
        request.send().await.map_err(|error| away(&sent.url, &error.without_url()))
    }

    /// A client that connects to the server's addresses and to no others.
    async fn client(self: &Arc<Self>, server: &Server) -> Fallible<Client> {
        let known = |(known, _client): &&(Server, Client)| known == server;
        if let Some((_server, client)) = self.lock().iter().find(known) {
            return Ok(client.clone());
        }
        let tls = self.tls().await?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(2)
            .user_agent(concat!("picloud/", env!("CARGO_PKG_VERSION")))
            .resolve_to_addrs(&server.host, &server.addresses)
            .build();
        let client =
            client.map_err(|error| failure(Code::Internal, format!("no HTTP client: {}", with_sources(&error))))?;
        let mut clients = self.lock();
        if clients.len() >= CLIENTS_MAX {
            clients.pop_front();
        }
        clients.push_back((server.clone(), client.clone()));
        Ok(client)
    }

    async fn tls(self: &Arc<Self>) -> Fallible<rustls::ClientConfig> {
        let shared = Arc::clone(self);
        // Reads files, once a process.
        let made = tokio::task::spawn_blocking(move || shared.tls.get_or_init(tls_config).clone()).await;
        let made = made.unwrap_or_else(|panicked| Err(panicked.to_string()));
        made.map_err(|error| failure(Code::Internal, format!("TLS cannot be set up: {error}")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Server, Client)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls_config() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (_added, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 || !found.errors.is_empty() {
        tracing::debug!(unusable, errors = ?found.errors, "some authorities of this machine could not be read");
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Where a URL leads to: resolved once, and every address allowed or public.
async fn server_of(app: AppId, allow: &[AllowedHost], url: &Url) -> Fallible<Server> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let found: Vec<IpAddr> = match bare.parse() {
        Ok(address) => vec![address],
        Err(_a_name) => {
            let found = tokio::net::lookup_host((bare, port)).await;
            let found = found.map_err(|error| failure(Code::NodeAway, format!("`{bare}` leads nowhere: {error}")))?;
            found.map(|address| address.ip()).collect()
        }
    };
    if found.is_empty() {
        return Err(failure(Code::NodeAway, format!("`{bare}` leads to no address")));
    }
    let own = of_this_machine();
    for address in &found {
        let allowed = || allow.iter().any(|entry| entry.allows(bare, *address, port));
        if let Some(why) = why_not_public(*address, &own)
            && !allowed()
        {
            return Err(refused(host, *address, port, why));
        }
    }
    // Sorted, so that an order that changes from look-up to look-up is no other server.
    let mut addresses: Vec<SocketAddr> = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Server { app, host: bare.to_owned(), addresses })
}

fn refused(host: &str, address: IpAddr, port: u16, why: &str) -> ServiceFailure {
    let leads = if host.trim_matches(['[', ']']) == address.to_string() {
        format!("{address} is {why}")
    } else {
        format!("`{host}` leads to {address}, which is {why}")
    };
    let line = format!("[http] allow = [\"{host}:{port}\"]");
    failure(Code::Forbidden, format!("{leads}; to allow it, write in app.toml: {line}"))
}

impl Sent {
    fn of(call: HttpCall) -> Fallible<Self> {
        let invalid = |message: String| failure(Code::Invalid, message);
        let url = Url::parse(&call.url).map_err(|error| invalid(format!("url: `{}` is no URL: {error}", call.url)))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(invalid(format!("url: `{url}` is no URL of a web server: it begins with http:// or https://")));
        }
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_no_method| invalid(format!("method: `{}` is no method", call.method)))?;
        if method == Method::CONNECT {
            return Err(invalid("method: CONNECT is for proxies".to_owned()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            let checked = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
            let (Ok(name), Ok(value)) = checked else {
                return Err(invalid(format!(
                    "headers: `{name}` is no header, or its value has a character none may have"
                )));
            };
            // These say where the body ends and whom it is for, which is known better here.
            if !matches!(
                name.as_str(),
                "host" | "content-length" | "transfer-encoding" | "connection" | "upgrade" | "te"
            ) {
                headers.append(name, value);
            }
        }
        Ok(Self { method, url, headers, body: call.body })
    }

    /// Goes on to `next`, as browsers do (Fetch, "HTTP-redirect fetch"): a POST becomes a GET where the status says so,
    /// and credentials stay with the server they were for.
    fn redirect(&mut self, next: Url, status: StatusCode) {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => !matches!(self.method, Method::GET | Method::HEAD),
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body.clear();
            for name in ["content-type", "content-encoding", "content-language"] {
                self.headers.remove(name);
            }
        }
        if next.origin() != self.url.origin() {
            for name in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION] {
                self.headers.remove(name);
            }
        }
        self.url = next;
    }
}

/// Where the answer sends us on to, if it does.
fn redirect_of(response: &Response, sent: &Sent) -> Fallible<Option<Url>> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_header| redirects) else { return Ok(None) };
    let next = location.to_str().ok().and_then(|location| sent.url.join(location).ok());
    match next.filter(|next| matches!(next.scheme(), "http" | "https") && next.host_str().is_some()) {
        Some(next) => Ok(Some(next)),
        None => Err(failure(Code::NodeAway, format!("`{}` redirects to where no web server can be", sent.url))),
    }
}

/// All of the answer, unless it is larger than its caller takes.
async fn read(mut response: Response, url: &Url, bytes_max: u64) -> Fallible<HttpAnswer> {
    let too_large = || {
        let detail =
            format!("the answer of `{url}` has more than http_body_bytes or the run's memory takes: {bytes_max} bytes");
        failure(Code::TooLarge, detail)
    };
    if response.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(url, &error.without_url()))? {
        if (body.len() + chunk.len()) as u64 > bytes_max {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Ok(HttpAnswer { status: response.status().as_u16(), headers, body })
}

fn away(url: &Url, error: &reqwest::Error) -> ServiceFailure {
    failure(Code::NodeAway, format!("`{url}` gave no answer: {}", with_sources(error)))
}

fn failure(code: Code, message: String) -> ServiceFailure {
    ServiceFailure { code, message }
}

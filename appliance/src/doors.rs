//! The two doors to the network, opened: the ingress for scripts' routes, and the admin API.

use crate::admin;
use crate::appliance::StartError;
use crate::config::Config;
use crate::host::StoreHost;
use picloud_orchestrator::ingress_sockets::when_free;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Connections that wait while the worker is restarted.
const INGRESS_BACKLOG: i32 = 1_024;

/// Opens the admin API to the network; in `dev` only where somebody said so.
pub(crate) async fn https(config: &Config, dev: bool, host: &StoreHost) -> Result<Option<admin::Https>, StartError> {
    let settings = &config.settings;
    let was_set = config.origins.contains_key("admin_addr");
    if dev && !was_set {
        return Ok(None);
    }
    let (cert, key) = (settings.tls_cert.as_deref(), settings.tls_key.as_deref());
    if settings.database_url.is_some() {
        crate::nodes::authority::share(host, &settings.data_dir.join("keys")).await?;
    }
    let tls = admin::Tls::open(&settings.data_dir.join("keys"), cert, key, &host.node, Arc::clone(&host.clock))
        .map_err(admin::HttpsError::Tls)?;
    match admin::Https::bind(settings.admin_addr, tls).await {
        Ok(https) => Ok(Some(https)),
        // Scripts are worth more than an address that nobody asked for.
        Err(error) if error.is_taken() && !was_set => {
            tracing::warn!("the admin API does not answer over the network: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where routes are answered: the sockets that systemd handed down, or else the address of the settings; the ports are the
/// real ones, also where 0 was asked for. Never empty.
pub(crate) fn ingress(
    wanted: SocketAddr,
    handed: Vec<TcpListener>,
) -> Result<Vec<(TcpListener, SocketAddr)>, StartError> {
    if handed.is_empty() {
        return Ok(vec![bind(wanted)?]);
    }
    let with_addr = |listener: TcpListener| {
        let addr = listener.local_addr().map_err(|source| StartError::HandedDown { source })?;
        Ok((listener, addr))
    };
    handed.into_iter().map(with_addr).collect()
}

fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refuse = |source: std::io::Error| {
        let hint = match source.kind() {
            std::io::ErrorKind::AddrInUse => {
                let other = SocketAddr::from(([127, 0, 0, 1], addr.port().checked_add(1).unwrap_or(0)));
                format!("another program listens there; end it, or choose another: --ingress-addr {other}")
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE; choose another: --ingress-addr 0.0.0.0:8080".to_owned()
            }
            _ => "choose an address of this machine: --ingress-addr 0.0.0.0:8080".to_owned(),
        };
        StartError::Ingress { addr, source, hint }
    };
    let listener = when_free(|| TcpListener::bind(addr)).map_err(refuse)?;
    let backlog = nix::sys::socket::Backlog::new(INGRESS_BACKLOG).expect("it is below the system's greatest");
    // The standard library's own backlog is too short for the connections of one restart.
    nix::sys::socket::listen(&listener, backlog).map_err(|error| refuse(error.into()))?;
    let addr = listener.local_addr().map_err(refuse)?;
    Ok((listener, addr))
}

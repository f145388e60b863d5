//! `picloud login` and `picloud logout`: which appliance is asked from here on, and with which key.

use super::Session;
use super::source::read_secret;
use crate::client::{Ask, Client};
use crate::config::Login as Remembered;
use crate::failure::Failure;
use crate::output::Output;
use crate::path::ApiPath;
use crate::place::Place;
use crate::settings::{check_key, config_dir};
use clap::Args;
use http::Method;
use serde_json::json;

/// Longest key that is read; an appliance's have 51 characters.
const KEY_BYTES_MAX: usize = 1024;

/// Remember an appliance and the key to show there
///
/// The appliance's CA is pinned at this first meeting: compare the fingerprint with what the appliance shows at its
/// start or in `picloud status`, or give it with --fingerprint. The key is asked for, or read from standard input.
/// Both are kept for you alone in $XDG_CONFIG_HOME/picloud, which is ~/.config/picloud by default.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  picloud login --url https://pi.local:8443\n  \
    ssh pi picloud keys create laptop --scope app:admin | picloud login --url https://pi.local:8443")]
pub(crate) struct Login {}

impl Login {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let Place::Url(url) = &session.settings.place else {
            let hint = "picloud login --url https://HOST:8443; the admin socket needs no login";
            return Err(Failure::usage("no appliance was named", hint));
        };
        if !url.tls && !url.is_loopback() {
            let hint = format!("use https://{}:8443", url.host);
            return Err(Failure::usage(format!("the key would be sent to {url} unencrypted"), hint));
        }
        let key = match &session.settings.key_given {
            Some(key) => key.clone(),
            None => check_key(read_secret(&format!("key for {url}: "), KEY_BYTES_MAX)?)?,
        };
        // Nothing is remembered that does not work.
        let settings = session.settings.with_key(key.clone());
        let client = Client::new(&settings, session.output);
        client.send(Ask::new(Method::GET, ApiPath::new(&["version"]))).await?;
        let login = Remembered { url: url.to_string(), key: Some(key) };
        let path = session.settings.config_dir.log_in(&login)?;
        let shown = path.display().to_string();
        session.done(&json!({ "url": login.url, "file": shown }), &format!("logged in to {url}; kept in {shown}"));
        Ok(())
    }
}

/// Forget the appliance and the key of `picloud login`; the key itself stays good until it is deleted
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud logout")]
pub(crate) struct Logout {}

impl Logout {
    /// Does it, also where the file is broken.
    pub(super) fn run(self, output: &Output) -> Result<(), Failure> {
        let was = config_dir().log_out()?;
        if output.json {
            output.value(&json!({ "logged_out": was }));
        } else {
            output.text(if was { "logged out" } else { "nobody was logged in" });
        }
        Ok(())
    }
}

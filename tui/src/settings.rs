//! Which appliance, which app, who asks: flags before environment before what the current folder says.
//! The only file that looks at the environment.

use crate::config::{ConfigDir, Login};
use crate::failure::Failure;
use crate::folder;
use crate::place::{Place, SYSTEM_SOCKET, Url, nearest_dev_socket};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use picloud_model::ContentHash;
use std::path::PathBuf;

/// Flags that every command takes.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// The admin API's address, such as `https://pi.local:8443` [default: the admin socket]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub(crate) url: Option<String>,
    /// The admin socket [default: the nearest .picloud/admin.sock, else where you are logged in, else
    /// /run/picloud/admin.sock]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_SOCKET",
        hide_env_values = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub(crate) socket: Option<PathBuf>,
    /// The API key to show; prefer the environment, which other users do not see
    #[arg(
        long,
        global = true,
        env = "PICLOUD_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Global options"
    )]
    pub(crate) key: Option<String>,
    /// The SHA-256 of the appliance's CA; without it, the CA met first is the one to trust
    #[arg(
        long,
        global = true,
        env = "PICLOUD_FINGERPRINT",
        hide_env_values = true,
        value_name = "HEX",
        help_heading = "Global options"
    )]
    pub(crate) fingerprint: Option<String>,
    /// The app [default: the name in ./app.toml]
    #[arg(
        long,
        global = true,
        env = "PICLOUD_APP",
        hide_env_values = true,
        value_name = "APP",
        help_heading = "Global options"
    )]
    pub(crate) app: Option<String>,
    /// Print what the appliance answered, as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

/// What holds for this command.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where to ask.
    pub(crate) place: Place,
    /// What to show.
    pub(crate) key: Option<String>,
    /// The same without what is remembered.
    pub(crate) key_given: Option<String>,
    /// The only CA to trust there, where the person named it.
    pub(crate) fingerprint: Option<ContentHash>,
    /// Where things are remembered.
    pub(crate) config_dir: ConfigDir,
    /// The app of `--app`, if it was on the command line itself.
    pub(crate) app_flag: Option<String>,
    app: Option<String>,
}

impl Settings {
    /// Puts flags, environment, current folder and login together.
    pub(crate) fn resolve(global: Global, matches: &ArgMatches) -> Result<Self, Failure> {
        let typed = |id: &str| typed(matches, id);
        if typed("url") && typed("socket") {
            return Err(Failure::usage("--url and --socket are two places", "give one of them"));
        }
        let config_dir = config_dir();
        let (place, login) = match (global.url, global.socket) {
            // A flag beats the environment's other way.
            (Some(_), Some(socket)) if typed("socket") => (Place::Socket(socket), None),
            (Some(url), _) => (Place::Url(Url::parse(&url)?), config_dir.login()?),
            (None, Some(socket)) => (Place::Socket(socket), None),
            (None, None) => default_place(&config_dir)?,
        };
        let key_given = global.key.map(check_key).transpose()?;
        let key = key_given.clone().or_else(|| key_of(&place, login));
        check_secrecy(&place, key.is_some())?;
        let app_flag = global.app.clone().filter(|_| typed("app"));
        let fingerprint = global.fingerprint.as_deref().map(fingerprint).transpose()?;
        Ok(Self { place, key, key_given, fingerprint, config_dir, app_flag, app: global.app })
    }

    /// The same with another key.
    pub(crate) fn with_key(&self, key: String) -> Self {
        Self { key: Some(key), ..self.clone() }
    }

    /// The app of `--app` or the environment; commands about all apps are narrowed by nothing else.
    pub(crate) fn named_app(&self) -> Option<&String> {
        self.app.as_ref()
    }

    /// The app a command is about.
    pub(crate) fn app(&self) -> Result<String, Failure> {
        if let Some(app) = &self.app {
            return Ok(app.clone());
        }
        folder::name_of_current().ok_or_else(|| {
            Failure::usage("no app was named", "give --app APP, set PICLOUD_APP, or go to a folder with an app.toml")
        })
    }
}

/// Whether the argument was on the command line, at whatever level.
fn typed(matches: &ArgMatches, id: &str) -> bool {
    let here =
        matches.try_contains_id(id).unwrap_or(false) && matches.value_source(id) == Some(ValueSource::CommandLine);
    here || matches.subcommand().is_some_and(|(_, below)| typed(below, id))
}

/// Where things are remembered.
pub(crate) fn config_dir() -> ConfigDir {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    ConfigDir::of(variable("XDG_CONFIG_HOME"), variable("HOME"))
}

/// Refuses what no header can carry.
pub(crate) fn check_key(key: String) -> Result<String, Failure> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "check --key, PICLOUD_KEY or what you typed; a key begins with `picloud_`";
        return Err(Failure::usage("the key is empty or has characters no key has", hint));
    }
    Ok(key)
}

/// The key of the login, where it is of this very place.
fn key_of(place: &Place, login: Option<Login>) -> Option<String> {
    let Place::Url(url) = place else { return None };
    let login = login?;
    let is_there = Url::parse(&login.url).is_ok_and(|logged_in| logged_in == *url);
    login.key.filter(|_| is_there)
}

/// A key must not travel where everybody on the way can read it.
fn check_secrecy(place: &Place, has_key: bool) -> Result<(), Failure> {
    match place {
        Place::Url(url) if has_key && !url.tls && !url.is_loopback() => Err(Failure::usage(
            format!("the key would be sent to {url}, where everybody on the way can read it"),
            format!("use https://{}:8443, or leave the key away", url.host),
        )),
        _ => Ok(()),
    }
}

/// Reads a fingerprint as people copy it: with or without `SHA256:`, colons and capitals.
fn fingerprint(text: &str) -> Result<ContentHash, Failure> {
    let digits = text.trim().to_ascii_lowercase().replace(':', "");
    let digits = digits.strip_prefix("sha256").unwrap_or(&digits).trim();
    digits.parse().map_err(|_no_hash| {
        Failure::usage(
            format!("`{text}` is no fingerprint: it has 64 hexadecimal digits"),
            "`picloud status` on the appliance shows it",
        )
    })
}

fn default_place(config_dir: &ConfigDir) -> Result<(Place, Option<Login>), Failure> {
    let current = std::env::current_dir().unwrap_or_default();
    if let Some(socket) = nearest_dev_socket(&current) {
        return Ok((Place::Socket(socket), None));
    }
    match config_dir.login()? {
        Some(login) => Ok((Place::Url(Url::parse(&login.url)?), Some(login))),
        None => Ok((Place::Socket(PathBuf::from(SYSTEM_SOCKET)), None)),
    }
}

/// What the environment says of the terminal and of the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// `TERM`.
    pub(crate) term: String,
    /// `COLORTERM`.
    pub(crate) colorterm: String,
    /// Whether colours are not wanted.
    pub(crate) no_color: bool,
    /// What decides about letters: `LC_ALL`, `LC_CTYPE` or `LANG`.
    pub(crate) locale: String,
    /// Whether the person is at the other end of an SSH connection.
    pub(crate) in_ssh: bool,
    /// What was to be run, where sshd runs this program instead (`ForceCommand`).
    pub(crate) original_command: Option<String>,
    /// `VISUAL` or `EDITOR`.
    pub(crate) editor: Option<String>,
    /// Where drafts are kept: `$XDG_STATE_HOME/picloud`, or `$HOME/.local/state/picloud`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// Where files are that are soon gone.
    pub(crate) temp_dir: PathBuf,
}

impl Surroundings {
    /// Looks around, once.
    pub(crate) fn read() -> Self {
        let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name: &str| said(name).map(|value| value.to_string_lossy().into_owned());
        let absolute = |name: &str| said(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let state = absolute("XDG_STATE_HOME").or_else(|| home.as_ref().map(|home| home.join(".local/state")));
        Self {
            term: text("TERM").unwrap_or_default(),
            colorterm: text("COLORTERM").unwrap_or_default(),
            no_color: no_color(),
            locale: ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| text(name)).unwrap_or_default(),
            in_ssh: said("SSH_CONNECTION").is_some(),
            original_command: text("SSH_ORIGINAL_COMMAND"),
            editor: text("VISUAL").or_else(|| text("EDITOR")),
            state_dir: state.map(|state| state.join("picloud")),
            home,
            temp_dir: std::env::temp_dir(),
        }
    }
}

/// Whether the person asked for text without colours (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_people_copy_it() {
        let plain = ContentHash::of(b"ca").to_string();
        let pairs: Vec<&str> = plain.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect();
        for text in
            [plain.clone(), pairs.join(":").to_uppercase(), format!("SHA256:{plain}"), format!("SHA256 {plain}")]
        {
            assert_eq!(fingerprint(&text).unwrap().to_string(), plain, "{text}");
        }
        for bad in ["", "abc", &plain[1..], "sha256:"] {
            assert_eq!(fingerprint(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn a_key_goes_only_to_its_own_appliance_and_never_unencrypted_over_a_network() {
        let place = |url: &str| Place::Url(Url::parse(url).unwrap());
        let login = || Some(Login { url: "https://pi".to_owned(), key: Some("k".to_owned()) });
        assert_eq!(key_of(&place("https://pi:8443"), login()), Some("k".to_owned()));
        for other in ["http://pi:8443", "https://pi:8444", "https://pi.example.org"] {
            assert_eq!(key_of(&place(other), login()), None, "{other}");
        }
        assert_eq!(key_of(&Place::Socket("x".into()), login()), None);
        assert_eq!(check_secrecy(&place("http://10.0.0.2"), true).unwrap_err().exit_code(), 2);
        for fine in ["https://10.0.0.2", "http://127.0.0.1:8080", "http://localhost"] {
            assert!(check_secrecy(&place(fine), true).is_ok(), "{fine}");
        }
        assert!(check_secrecy(&place("http://10.0.0.2"), false).is_ok());
    }
}

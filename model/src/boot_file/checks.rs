//! What each value must look like. A refusal says what is wrong with the value, and what to write instead.

use super::countries;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is wrong, and what to do about it.
pub(super) type Refusal = (String, String);

/// Longest host name, and its longest part, of RFC 1123.
const HOST_NAME_BYTES_MAX: usize = 63;
/// Longest name of a time zone.
const TIME_ZONE_BYTES_MAX: usize = 64;
/// Longest name of a wireless network.
const SSID_BYTES_MAX: usize = 32;
/// Digits of a wireless key.
const PSK_DIGITS: usize = 64;
/// Longest SSH key; one of RSA with 16384 bits has 2800.
const SSH_KEY_BYTES_MAX: usize = 8 * 1024;
/// What a private key of OpenSSH's own kind begins with (PROTOCOL.key), and what follows where it has no passphrase.
const OPENSSH_KEY: &[u8] = b"openssh-key-v1\0";
const NO_CIPHER: &[u8] = b"\0\0\0\x04none";
/// Kinds of SSH keys.
const SSH_KINDS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// Accounts that belong to the system or to us.
const TAKEN_USERS: &[&str] =
    &["root", "daemon", "bin", "sys", "man", "mail", "www-data", "nobody", "sshd", "messagebus", "avahi", "picloud"];

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err((message.into(), hint.into()))
}

/// One part of a name by RFC 1123, in lower case.
pub(super) fn host_name(text: &str) -> Result<String, Refusal> {
    if let Some(bare) = text.strip_suffix(".local") {
        return refuse("it ends in `.local`, which machines add by themselves", format!("write {bare:?}"));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if let Some(odd) = text.chars().find(|c| !fits(*c)) {
        return refuse(format!("it has {odd:?}"), "use a to z, 0 to 9 and `-`, such as \"garage-pi\"");
    }
    if text.is_empty() || text.len() > HOST_NAME_BYTES_MAX {
        return refuse(format!("it has {} letters", text.len()), format!("use 1 to {HOST_NAME_BYTES_MAX}"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return refuse("it begins or ends with `-`", "begin and end with a letter or a digit");
    }
    Ok(text.to_ascii_lowercase())
}

/// A name of the time zone database, by its shape: which there are, the machine knows.
pub(super) fn time_zone(text: &str) -> Result<String, Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    let has_shape = text.split('/').all(|part| !part.is_empty() && part.chars().all(fits));
    if !has_shape || text.len() > TIME_ZONE_BYTES_MAX {
        return refuse("it is no name of a time zone", "write a city such as \"Europe/Berlin\", or \"UTC\"");
    }
    Ok(text.to_owned())
}

/// The name of a network.
pub(super) fn ssid(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > SSID_BYTES_MAX {
        return refuse(format!("it has {} bytes", text.len()), format!("a network's name has 1 to {SSID_BYTES_MAX}"));
    }
    if text.chars().any(char::is_control) {
        return refuse("it has a control character", "write the name as your phone shows it");
    }
    Ok(text.to_owned())
}

/// A passphrase of WPA.
pub(super) fn wifi_password(text: &str) -> Result<String, Refusal> {
    if !(8..=63).contains(&text.len()) {
        return refuse(
            format!("it has {} characters", text.len()),
            "a Wi-Fi password has 8 to 63; for a network without one write: open = true",
        );
    }
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return refuse(
            "it has characters beyond ASCII",
            "write psk = \"…\" in its place, as `wpa_passphrase` prints it",
        );
    }
    Ok(text.to_owned())
}

/// A key of WPA.
pub(super) fn psk(text: &str) -> Result<String, Refusal> {
    if text.len() != PSK_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return refuse(
            "it is no key of a network",
            format!(
                "it has {PSK_DIGITS} digits from 0 to f, as `wpa_passphrase SSID` prints them; a password goes into `password`"
            ),
        );
    }
    Ok(text.to_ascii_lowercase())
}

/// A country's code.
pub(super) fn country(text: &str) -> Result<String, Refusal> {
    if countries::is_code(text) {
        return Ok(text.to_owned());
    }
    let hint = countries::meant(text).map_or_else(
        || "write the two letters of ISO 3166, such as \"DE\", \"GB\" or \"US\"".to_owned(),
        |code| format!("write {code:?}"),
    );
    refuse("it is no country", hint)
}

/// The name of an account.
pub(super) fn user(text: &str) -> Result<String, Refusal> {
    if TAKEN_USERS.contains(&text) || text.starts_with("systemd-") || text.starts_with("picloud-") {
        return refuse("it belongs to the system", "choose a name of your own, such as \"pi\"");
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if !(1..=32).contains(&text.len()) || !text.as_bytes()[0].is_ascii_lowercase() || !text.bytes().all(fits) {
        return refuse("it is no name of an account", "1 to 32 of a-z, 0-9, `_` and `-`, and a letter first");
    }
    Ok(text.to_owned())
}

/// A line of `authorized_keys` without options.
pub(super) fn ssh_key(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.contains("PRIVATE KEY") {
        return refuse("it is a private key, which stays at home", "write the line of the file that ends in .pub");
    }
    if text.len() > SSH_KEY_BYTES_MAX || text.chars().any(char::is_control) {
        return refuse("it is no line of one public key", "write the one line of the file that ends in .pub");
    }
    let mut words = text.split_ascii_whitespace();
    let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !SSH_KINDS.contains(&kind) {
        let begins = format!("a key begins with {}", SSH_KINDS[..2].join(", ") + " or ssh-rsa");
        return refuse("it is no public SSH key", format!("{begins}: write the line of the file that ends in .pub"));
    }
    if !STANDARD.decode(key).is_ok_and(|bytes| is_whole_key(kind, &bytes)) {
        return refuse("its digits are cut off or changed", "copy the whole line of the file that ends in .pub");
    }
    Ok(text.to_owned())
}

/// A host's public key; `ssh-keyscan` prints the host before it, which is left out.
pub(super) fn host_key(text: &str) -> Result<String, Refusal> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let has_host = words.get(1).is_some_and(|word| SSH_KINDS.contains(word));
    ssh_key(&words.into_iter().skip(usize::from(has_host)).take(2).collect::<Vec<_>>().join(" "))
}

/// A private key as `ssh-keygen` writes it, with the line end that ssh asks for.
pub(super) fn private_key(text: &str) -> Result<String, Refusal> {
    const EXAMPLE: &str =
        "copy the whole file that has no .pub at its end, from -----BEGIN to KEY-----, between \"\"\"";
    let text = text.trim();
    let (first, last) = (text.lines().next().unwrap_or_default(), text.lines().last().unwrap_or_default());
    let is_edge = |line: &str, edge: &str| line.starts_with(edge) && line.ends_with("PRIVATE KEY-----");
    if text.len() > SSH_KEY_BYTES_MAX || !is_edge(first, "-----BEGIN ") || !is_edge(last, "-----END ") {
        return refuse("it is no private SSH key", EXAMPLE);
    }
    let digits: String = text.lines().filter(|line| !line.starts_with("-----") && !line.contains(':')).collect();
    let Ok(bytes) = STANDARD.decode(digits.trim()) else {
        return refuse("its digits are cut off or changed", EXAMPLE);
    };
    if text.contains("ENCRYPTED") || bytes.strip_prefix(OPENSSH_KEY).is_some_and(|rest| !rest.starts_with(NO_CIPHER)) {
        return refuse(
            "it has a passphrase, which nobody is there to type",
            "make one without: ssh-keygen -p -N '' -f FILE",
        );
    }
    Ok(format!("{text}\n"))
}

/// Whether these are a key's bytes: fields that each begin with their length, of which the first is its kind.
fn is_whole_key(kind: &str, bytes: &[u8]) -> bool {
    let (mut rest, mut fields) = (bytes, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, after)) = after.split_at_checked(length) else { return false };
        fields.push(field);
        rest = after;
    }
    rest.is_empty() && fields.len() >= 2 && fields[0] == kind.as_bytes()
}

/// `HOST` or `HOST:PORT`.
pub(super) fn appliance(text: &str) -> Result<String, Refusal> {
    const EXAMPLE: &str = "write \"pi.local\" or \"192.168.1.2:8443\"";
    let bare = text.trim_start_matches("https://").trim_end_matches('/');
    let is_v6 = bare.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    if is_v6 || bare.parse::<std::net::SocketAddr>().is_ok_and(|addr| addr.port() != 0) {
        return Ok(bare.to_owned());
    }
    let (host, port) = bare.split_once(':').map_or((bare, None), |(host, port)| (host, Some(port)));
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
        return refuse("it is no address", EXAMPLE);
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        return refuse("its port is no number from 1 to 65535", EXAMPLE);
    }
    Ok(bare.to_owned())
}

/// A folder, another machine, or a bucket. What an address must be beyond that, the machine says.
pub(super) fn repository(text: &str) -> Result<String, Refusal> {
    const EXAMPLE: &str = "write \"/boot/firmware/backup\", \"sftp:USER@HOST:/FOLDER\" or \"s3:https://HOST/BUCKET\"";
    if text.chars().any(char::is_control) || !["/", "sftp:", "s3:"].iter().any(|begin| text.starts_with(begin)) {
        return refuse("it is neither a whole path nor another machine nor a bucket", EXAMPLE);
    }
    Ok(text.to_owned())
}

/// A backup's id, short or whole.
pub(super) fn snapshot(text: &str) -> Result<String, Refusal> {
    let is_id = (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return refuse(
            "it is no id of a backup",
            "picloud-appliance repository list shows them; without it: the newest",
        );
    }
    Ok(text.to_ascii_lowercase())
}

/// One line without blanks around it, as secrets and their names are.
pub(super) fn word(text: &str) -> Result<String, Refusal> {
    const WORD_BYTES_MAX: usize = 1024;
    if text.is_empty() || text.trim() != text || text.len() > WORD_BYTES_MAX || text.chars().any(char::is_control) {
        return refuse("it is no line of 1 to 1024 characters without blanks around it", "copy it again, whole");
    }
    Ok(text.to_owned())
}

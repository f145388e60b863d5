//! Paths and host names as the route table sees them: normalised once, at the edge, and never again.
//!
//! The rules: percent-decoded once into UTF-8; repeated `/` become one; `.` segments go; `..` (also
//! encoded), NUL, `\`, an encoded `/` and bad encodings are refused. A trailing `/` is significant.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use picloud_model::{Code, Problem};
use std::borrow::Cow;

/// What stays as it is when a decoded path is written as a URL again.
const NOT_IN_A_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// A path after normalisation: it begins with `/`, and every other `/` stands between segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a>(Cow<'a, str>);

impl<'a> NormalPath<'a> {
    /// Normalises `raw`, the path of a request without its query.
    pub fn parse(raw: &'a str) -> Result<Self, Problem> {
        if !raw.starts_with('/') {
            return Err(refused(raw, "does not begin with `/`"));
        }
        if is_normal(raw) { Ok(Self(Cow::Borrowed(raw))) } else { normalise(raw).map(|path| Self(Cow::Owned(path))) }
    }

    /// A path that is normal already.
    pub(crate) fn from_decoded(path: &'a str) -> Self {
        Self(Cow::Borrowed(path))
    }

    /// The path, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as a URL has it.
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, NOT_IN_A_PATH).to_string()
    }
}

/// Whether nothing has to be done; the case of nearly every request, so it looks at each byte once.
fn is_normal(raw: &str) -> bool {
    let mut before = 0;
    for &byte in raw.as_bytes() {
        match byte {
            b'%' | b'\\' | 0 => return false,
            // `//` and any segment that begins with a dot; the slow way tells `.well-known` from `..`.
            b'/' | b'.' if before == b'/' => return false,
            _ => before = byte,
        }
    }
    true
}

fn normalise(raw: &str) -> Result<String, Problem> {
    let mut path = String::with_capacity(raw.len());
    let mut parts = raw.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let segment = decode(raw, part)?;
        match &*segment {
            ".." => return Err(refused(raw, "has a `..` segment")),
            // An empty or `.` segment is nothing, but at the end it still is the trailing `/`.
            "" | "." if parts.peek().is_some() => {}
            "" | "." => path.push('/'),
            segment => {
                path.push('/');
                path.push_str(segment);
            }
        }
    }
    Ok(path)
}

fn decode<'p>(raw: &str, part: &'p str) -> Result<Cow<'p, str>, Problem> {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let digits = [(); 2].map(|()| if byte == b'%' { bytes.next() } else { Some(b'0') });
        if !digits.iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())) {
            return Err(refused(raw, "has a `%` without two hexadecimal digits after it"));
        }
    }
    let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
    let decoded = decoded.map_err(|_not_utf8| refused(raw, "is not UTF-8 after decoding"))?;
    match decoded.bytes().find(|byte| matches!(byte, 0 | b'/' | b'\\')) {
        None => Ok(decoded),
        Some(0) => Err(refused(raw, "has a NUL")),
        Some(b'/') => Err(refused(raw, "has an encoded `/`")),
        Some(_backslash) => Err(refused(raw, "has a `\\`")),
    }
}

fn refused(raw: &str, why: &str) -> Problem {
    /// Enough of a path to recognise it in an error.
    const SHOWN_CHARS_MAX: usize = 200;
    let shown: String = raw.chars().take(SHOWN_CHARS_MAX).collect();
    Problem::new(Code::Malformed, format!("the path `{}` {why}", shown.escape_debug()))
        .hint("a path is `/` and segments, percent-encoded once, without `..`, NUL, `\\` and `%2F`")
}

/// The host a `Host` header or URL authority names: without port and trailing dot, in lower case.
pub fn host_name(authority: &str) -> Cow<'_, str> {
    let without_user = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
    let end = if without_user.starts_with('[') {
        without_user.find(']').map_or(without_user.len(), |bracket| bracket + 1)
    } else {
        without_user.find(':').unwrap_or(without_user.len())
    };
    let host = &without_user[..end];
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(raw: &str) -> String {
        NormalPath::parse(raw).map_or_else(|problem| problem.detail, |path| path.as_str().to_owned())
    }

    #[test]
    fn a_path_is_normalised_once() {
        for (raw, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//", "/"),
            ("///a//b///", "/a/b/"),
            ("/./a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/%2e/a", "/a"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/caf%C3%A9", "/café"),
            ("/a%20b", "/a b"),
            ("/a+b", "/a+b"),
            ("/%2525", "/%25"),
            ("/%7Bx%7D", "/{x}"),
        ] {
            assert_eq!(normal(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_clean_path_is_borrowed() {
        assert!(matches!(NormalPath::parse("/kitchen/rooms/1.html").unwrap().0, Cow::Borrowed(_)));
    }

    #[test]
    fn hostile_paths_are_refused_saying_why() {
        let all = [
            "",
            "a",
            "*",
            "/..",
            "/a/../b",
            "/%2e%2E/x",
            "/.%2e",
            "/a%00b",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/%c3",
            "/%ff",
            "/%C0%AF",
        ];
        let refused: Vec<String> = all
            .iter()
            .map(|raw| {
                let problem = NormalPath::parse(raw).unwrap_err();
                assert_eq!((problem.code, problem.status), (Code::Malformed, 400), "{raw}");
                problem.detail
            })
            .collect();
        insta::assert_snapshot!(refused.join("\n"), @r"
    the path `` does not begin with `/`
    the path `a` does not begin with `/`
    the path `*` does not begin with `/`
    the path `/..` has a `..` segment
    the path `/a/../b` has a `..` segment
    the path `/%2e%2E/x` has a `..` segment
    the path `/.%2e` has a `..` segment
    the path `/a%00b` has a NUL
    the path `/a%2Fb` has an encoded `/`
    the path `/a%5cb` has a `\`
    the path `/a\\b` has a `\`
    the path `/%` has a `%` without two hexadecimal digits after it
    the path `/%4` has a `%` without two hexadecimal digits after it
    the path `/%zz` has a `%` without two hexadecimal digits after it
    the path `/%+1` has a `%` without two hexadecimal digits after it
    the path `/%c3` is not UTF-8 after decoding
    the path `/%ff` is not UTF-8 after decoding
    the path `/%C0%AF` is not UTF-8 after decoding
");
    }

    #[test]
    fn a_path_as_a_url_is_the_same_path_again() {
        for raw in ["/a%20b", "/caf%C3%A9", "/%2525", "/a?b", "//x//"] {
            let path = NormalPath::parse(raw).unwrap();
            assert_eq!(NormalPath::parse(&path.encoded()).unwrap(), path, "{raw}");
        }
    }

    #[test]
    fn a_host_has_no_port_no_dot_at_the_end_and_no_capitals() {
        for (authority, host) in [
            ("example.org", "example.org"),
            ("Example.ORG:8080", "example.org"),
            ("example.org.", "example.org"),
            ("example.org.:80", "example.org"),
            ("[::1]:8080", "[::1]"),
            ("[FE80::1]", "[fe80::1]"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("user@example.org", "example.org"),
            ("[::1", "[::1"),
            ("", ""),
        ] {
            assert_eq!(host_name(authority), host, "{authority}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_out_has_no_dots_no_doubled_slash_and_is_stable(raw in "(/|%2e|%2F|%00|\\.|a|é|%C3%A9|%|\\\\|//){0,12}") {
            if let Ok(path) = NormalPath::parse(&raw) {
                let text = path.as_str();
                proptest::prop_assert!(text.starts_with('/') && !text.contains("//") && !text.contains('\0'));
                proptest::prop_assert!(text.split('/').all(|s| s != "." && s != ".."));
                let again = path.encoded();
                proptest::prop_assert_eq!(normal(&again), text);
            }
        }
    }
}

//! Routes: method, host and path that lead to an endpoint.

use crate::ids::RouteId;
use crate::script::Diagnostic;
use serde::{Deserialize, Serialize};

/// Who may call a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteAuth {
    /// Everybody.
    #[default]
    Public,
    /// Whoever shows an API key with the scope `invoke`.
    Key,
}

/// A route as the app folder and the admin API write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// Upper-case methods, sorted; empty means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// `/rooms/{room}/{*rest}`: `{name}` is one segment, `{*name}` the rest.
    #[schema(pattern = "^/", max_length = 1024)]
    pub path: String,
    /// The endpoint it leads to.
    #[schema(pattern = "^[a-z][a-z0-9_]{0,62}$")]
    pub script: String,
    /// Who may call it.
    #[serde(default)]
    pub auth: RouteAuth,
}

impl RouteSpec {
    /// `GET,POST /rooms/{room}`, for messages and differences.
    pub fn title(&self) -> String {
        if self.methods.is_empty() {
            format!("* {}", self.path)
        } else {
            format!("{} {}", self.methods.join(","), self.path)
        }
    }
}

/// A stored route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// What it says.
    #[serde(flatten)]
    pub spec: RouteSpec,
}

/// A route with who answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServedRoute {
    /// The route.
    #[serde(flatten)]
    pub route: Route,
    /// The machines that answer it themselves, with the version that is live, sorted; other nodes forward it to one of
    /// them.
    pub served_by: Vec<String>,
}

/// One segment of a route's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this text (decoded).
    Literal(String),
    /// Any one segment that is not empty.
    Param(String),
    /// Everything from here on, including nothing.
    Rest(String),
}

/// Reads `/rooms/{room}/{*rest}`.
///
/// Refuses: no leading `/`, an empty or doubled segment (but a lone trailing `/` is the empty last
/// segment), `{}` inside a segment, a name that is no identifier or stands twice, `{*rest}` that is not
/// last, `.` and `..`, and the reserved `/.picloud/`.
pub fn parse_path(path: &str) -> Result<Vec<Segment>, Diagnostic> {
    let refuse = |column: usize, message: String, hint: &str| Diagnostic {
        file: None,
        line: 0,
        column,
        message: format!("path `{path}`: {message}"),
        hint: Some(hint.to_owned()),
    };
    let Some(rest) = path.strip_prefix('/') else {
        return Err(refuse(1, "it does not begin with `/`".to_owned(), "write `/rooms/{room}`"));
    };
    if path.len() > 1024 {
        return Err(refuse(1, "it has more than 1024 bytes".to_owned(), "write a shorter path"));
    }
    let mut segments: Vec<Segment> = Vec::new();
    let parts: Vec<&str> = rest.split('/').collect();
    let mut column = 2;
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let segment = parse_segment(part, last).map_err(|(message, hint)| refuse(column, message, hint))?;
        if let Segment::Param(name) | Segment::Rest(name) = &segment {
            let twice = segments.iter().any(|s| matches!(s, Segment::Param(n) | Segment::Rest(n) if n == name));
            if twice {
                return Err(refuse(column, format!("`{{{name}}}` stands twice"), "give each segment its own name"));
            }
        }
        if index == 0 && *part == ".picloud" {
            return Err(refuse(column, "`/.picloud/` is reserved".to_owned(), "choose another first segment"));
        }
        segments.push(segment);
        column += part.chars().count() + 1;
    }
    Ok(segments)
}

fn parse_segment(part: &str, last: bool) -> Result<Segment, (String, &'static str)> {
    let identifier = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if let Some(name) = part.strip_prefix("{*").and_then(|p| p.strip_suffix('}')) {
        return match (identifier(name), last) {
            (false, _) => Err((format!("`{part}` has no valid name"), "write `{*rest}`: letters, digits and `_`")),
            (true, false) => Err((
                format!("`{part}` is not the last segment"),
                "`{*name}` takes everything that follows, so it stands last",
            )),
            (true, true) => Ok(Segment::Rest(name.to_owned())),
        };
    }
    if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        return if identifier(name) {
            Ok(Segment::Param(name.to_owned()))
        } else {
            Err((format!("`{part}` has no valid name"), "write `{room}`: letters, digits and `_`"))
        };
    }
    match part {
        "" if !last => Err(("it has an empty segment".to_owned(), "write one `/` between segments")),
        "." | ".." => Err((format!("`{part}` is no segment"), "requests never keep `.` or `..` in their path")),
        _ if part.contains(['{', '}']) => {
            Err((format!("`{part}` mixes text and a parameter"), "a parameter is a whole segment: `{room}`"))
        }
        _ if part.contains(['?', '#', '%', '\\', '\0']) || part.chars().any(char::is_control) => Err((
            format!("`{part}` has a character that no path segment has"),
            "write the text as it is after decoding, without `?`, `#`, `%` and `\\`",
        )),
        _ => Ok(Segment::Literal(part.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_literals_parameters_and_a_rest() {
        let expected = vec![
            Segment::Literal("rooms".to_owned()),
            Segment::Param("room".to_owned()),
            Segment::Rest("rest".to_owned()),
        ];
        assert_eq!(parse_path("/rooms/{room}/{*rest}").unwrap(), expected);
        assert_eq!(parse_path("/").unwrap(), vec![Segment::Literal(String::new())]);
        assert_eq!(parse_path("/a/").unwrap(), vec![Segment::Literal("a".to_owned()), Segment::Literal(String::new())]);
    }

    #[test]
    fn bad_paths_are_refused_with_column_and_hint() {
        for (path, column) in [
            ("rooms", 1),
            ("/a//b", 4),
            ("/a{b}", 2),
            ("/{}", 2),
            ("/{*r}/a", 2),
            ("/a/{x}/{x}", 8),
            ("/..", 2),
            ("/.picloud/x", 2),
            ("/a?b", 2),
            ("/{1x}", 2),
        ] {
            let refused = parse_path(path).unwrap_err();
            assert_eq!(refused.column, column, "{path}: {}", refused.message);
            assert!(refused.hint.is_some());
        }
    }
}

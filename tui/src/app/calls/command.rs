//! The command that does the same as a call: so that what was done here once can be done by a program next time.

use crate::app::Request;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Method and path of a call, and its command. `{name}` is a segment, `{=name}` a field of the body; words in capitals
/// are the person's to fill in.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("GET", "apps", "apps list"),
    ("POST", "apps", "apps create {=name}"),
    ("GET", "apps/{app}", "apps get {app}"),
    ("DELETE", "apps/{app}", "apps delete {app}"),
    ("POST", "apps/{app}/deploy", "deploy DIR --app {app}"),
    ("GET", "apps/{app}/export", "export {app} DIR"),
    ("GET", "apps/{app}/scripts", "scripts list --app {app}"),
    ("GET", "apps/{app}/scripts/{name}", "scripts get {name} --app {app}"),
    ("PUT", "apps/{app}/scripts/{name}", "scripts put {name} FILE --app {app}"),
    ("DELETE", "apps/{app}/scripts/{name}", "scripts delete {name} --app {app}"),
    ("GET", "apps/{app}/scripts/{name}/versions", "scripts versions {name} --app {app}"),
    ("GET", "apps/{app}/scripts/{name}/imports", "scripts imports {name} --app {app}"),
    ("GET", "apps/{app}/scripts/{name}/importers", "scripts importers {name} --app {app}"),
    ("POST", "apps/{app}/scripts/{name}/rollback", "scripts rollback {name} {=version} --app {app}"),
    ("POST", "apps/{app}/scripts/{name}/release", "scripts release {name} --app {app}"),
    ("POST", "apps/{app}/scripts/{name}/check", "scripts check {name} FILE --app {app}"),
    ("POST", "apps/{app}/scripts/{name}/run", "scripts run {name} --app {app}"),
    ("GET", "apps/{app}/routes", "routes list --app {app}"),
    ("GET", "apps/{app}/routes/{id}", "routes get {id} --app {app}"),
    ("POST", "apps/{app}/routes", "routes create {=path} {=script} --app {app}"),
    ("DELETE", "apps/{app}/routes/{id}", "routes delete {id} --app {app}"),
    ("GET", "apps/{app}/kv", "kv collections --app {app}"),
    ("GET", "apps/{app}/kv/{collection}", "kv list {collection} --app {app}"),
    ("GET", "apps/{app}/kv/{collection}/{key}", "kv get {collection} {key} --app {app}"),
    ("PUT", "apps/{app}/kv/{collection}/{key}", "kv put {collection} {key} VALUE --app {app}"),
    ("DELETE", "apps/{app}/kv/{collection}/{key}", "kv delete {collection} {key} --app {app}"),
    ("GET", "apps/{app}/files", "files collections --app {app}"),
    ("GET", "apps/{app}/files/{collection}", "files list {collection} --app {app}"),
    ("POST", "apps/{app}/files/{collection}", "files put {collection} FILE --app {app}"),
    ("GET", "apps/{app}/files/{collection}/{id}", "files get {collection} {id} --app {app}"),
    ("DELETE", "apps/{app}/files/{collection}/{id}", "files delete {collection} {id} --app {app}"),
    ("POST", "files/sweep", "files sweep"),
    ("GET", "apps/{app}/env", "env list --app {app}"),
    ("DELETE", "apps/{app}/env/{name}", "env delete {name} --app {app}"),
    ("GET", "apps/{app}/secrets", "secrets list --app {app}"),
    ("PUT", "apps/{app}/secrets/{name}", "secrets set {name} --app {app}"),
    ("DELETE", "apps/{app}/secrets/{name}", "secrets delete {name} --app {app}"),
    ("GET", "apps/{app}/triggers", "triggers list --app {app}"),
    ("POST", "apps/{app}/triggers", "triggers put FILE --app {app}"),
    ("GET", "apps/{app}/triggers/{name}", "triggers get {name} --app {app}"),
    ("DELETE", "apps/{app}/triggers/{name}", "triggers delete {name} --app {app}"),
    ("POST", "apps/{app}/triggers/{name}/fire", "triggers fire {name} --app {app}"),
    ("POST", "apps/{app}/triggers/{name}/pause", "triggers pause {name} --app {app}"),
    ("POST", "apps/{app}/triggers/{name}/resume", "triggers resume {name} --app {app}"),
    ("GET", "apps/{app}/triggers/{name}/next", "triggers next {name} --app {app}"),
    ("POST", "apps/{app}/publish", "publish {=topic} VALUE --app {app}"),
    ("GET", "apps/{app}/timers", "timers list --app {app}"),
    ("DELETE", "apps/{app}/timers/{id}", "timers cancel {id} --app {app}"),
    ("GET", "apps/{app}/dead-letters", "dead-letters list --app {app}"),
    ("GET", "apps/{app}/dead-letters/{id}", "dead-letters get {id} --app {app}"),
    ("DELETE", "apps/{app}/dead-letters/{id}", "dead-letters discard {id} --app {app}"),
    ("POST", "apps/{app}/dead-letters/{id}/retry", "dead-letters retry {id} --app {app}"),
    ("GET", "apps/{app}/executions", "executions list --app {app}"),
    ("GET", "apps/{app}/executions/{id}", "executions get {id} --app {app}"),
    ("POST", "apps/{app}/executions/{id}/replay", "executions replay {id} --app {app}"),
    ("GET", "logs", "logs"),
    ("GET", "watch", "watch"),
    ("GET", "nodes", "nodes list"),
    ("GET", "nodes/{node}", "nodes get {node}"),
    ("POST", "nodes/{node}/approve", "nodes approve {node}"),
    ("POST", "nodes/{node}/drain", "nodes drain {node}"),
    ("POST", "nodes/{node}/resume", "nodes resume {node}"),
    ("POST", "nodes/{node}/replace", "nodes replace {node} {=by}"),
    ("DELETE", "nodes/{node}", "nodes delete {node}"),
    ("GET", "join-tokens", "join-tokens list"),
    ("POST", "join-tokens", "join-tokens create"),
    ("DELETE", "join-tokens/{id}", "join-tokens delete {id}"),
    ("GET", "cluster", "cluster status"),
    ("GET", "keys", "keys list"),
    ("DELETE", "keys/{id}", "keys delete {id}"),
    ("GET", "audit", "audit list"),
    ("GET", "audit/verify", "audit verify"),
    ("POST", "backup", "backup FILE"),
    ("GET", "status", "status"),
    ("GET", "metrics", "metrics"),
    ("GET", "sdk/docs", "sdk docs"),
    ("GET", "limits", "limits"),
    ("GET", "version", "version"),
];

/// The command for a request, where there is one.
pub(super) fn of(request: &Request) -> Option<String> {
    let path = request.path.as_str().trim_start_matches("/api/v1/");
    let path = path.split('?').next().unwrap_or(path);
    let segments: Vec<String> =
        path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    COMMANDS
        .iter()
        .filter(|(method, ..)| request.method.as_str() == *method)
        .find_map(|(_, pattern, command)| filled(command, &names(pattern, &segments)?, &request.body))
}

/// What the names of a pattern stand for; none where the path is another one.
fn names<'a>(pattern: &'a str, segments: &'a [String]) -> Option<Vec<(&'a str, &'a str)>> {
    let parts: Vec<&str> = pattern.split('/').collect();
    if parts.len() != segments.len() {
        return None;
    }
    let mut names = Vec::new();
    for (part, segment) in parts.into_iter().zip(segments) {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => names.push((name, segment.as_str())),
            None if part == segment => {}
            None => return None,
        }
    }
    Some(names)
}

fn filled(command: &str, names: &[(&str, &str)], body: &[u8]) -> Option<String> {
    let mut body_value = None;
    let mut words = vec!["picloud".to_owned()];
    for word in command.split(' ') {
        let Some(name) = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) else {
            words.push(word.to_owned());
            continue;
        };
        words.push(match name.strip_prefix('=') {
            None => quoted(names.iter().find(|(named, _)| *named == name)?.1),
            Some(field) => {
                let value = body_value.get_or_insert_with(|| serde_json::from_slice(body).unwrap_or(Value::Null));
                match value.get(field)? {
                    Value::String(text) => quoted(text),
                    other => quoted(&other.to_string()),
                }
            }
        });
    }
    Some(words.join(" "))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::ApiPath;
    use clap::Parser;
    use http::Method;
    use serde_json::json;

    #[test]
    fn every_command_is_one_that_the_command_line_takes() {
        let body = json!({"name": "x", "version": 3, "path": "/x", "script": "x", "topic": "x", "by": "x"});
        let mut wrong = Vec::new();
        for (method, pattern, _) in COMMANDS {
            let segments: Vec<&str> =
                pattern.split('/').map(|part| if part.starts_with('{') { "01" } else { part }).collect();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = Request { body: body.to_string().into(), ..Request::new(method, ApiPath::new(&segments)) };
            let command = of(&request).unwrap_or_else(|| panic!("{pattern} has no command"));
            if let Err(error) = crate::cli::Cli::try_parse_from(command.split(' ')) {
                wrong.push(format!("{command}: {error}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn names_are_decoded_and_quoted() {
        let path = ApiPath::of_app("kitchen", &["kv", "notes", "it's a/b"]).query("limit", Some(1));
        let command = of(&Request::get(path)).unwrap();
        assert_eq!(command, "picloud kv get notes 'it'\\''s a/b' --app kitchen");
        assert_eq!(of(&Request::get(ApiPath::new(&["whatever"]))), None);
        assert_eq!(of(&Request::post(ApiPath::new(&["apps"]), &json!({}))), None, "its name is not known");
    }
}

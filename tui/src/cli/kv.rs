//! `picloud kv`: the values that an app's scripts keep.

use super::show::size;
use super::source::read_argument;
use super::{PageArgs, Session};
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::{Method, header};
use picloud_model::kv::KvCollection;
use picloud_model::page::Page;
use serde_json::{Value, json};

/// Look at and change the values an app stores
#[derive(Args, Debug)]
pub(crate) struct Kv {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's collections
    #[command(after_help = "Example:\n  picloud kv collections --app kitchen")]
    Collections(PageArgs),
    /// List a collection's keys and values
    #[command(after_help = "Example:\n  picloud kv list counters --prefix visits/ --limit 20")]
    List(List),
    /// Print the value of a key, as JSON
    #[command(after_help = "Example:\n  picloud kv get counters visits")]
    Get {
        /// The collection
        collection: String,
        /// The key
        #[arg(id = "kv_key", value_name = "KEY")]
        key: String,
    },
    /// Store a value under a key
    #[command(
        visible_alias = "set",
        after_help = "Examples:\n  picloud kv put rooms kitchen '{\"lamp\": true}'\n  picloud kv put notes today --string 'buy bread'"
    )]
    Put(Put),
    /// Delete a key, or with --all a whole collection
    #[command(after_help = "Example:\n  picloud kv delete counters visits")]
    Delete {
        /// The collection
        collection: String,
        /// The key
        #[arg(id = "kv_key", value_name = "KEY", required_unless_present = "all", conflicts_with = "all")]
        key: Option<String>,
        /// All keys of the collection
        #[arg(long)]
        all: bool,
        /// Only if the key is at this version now
        #[arg(long, value_name = "N", conflicts_with = "all")]
        if_version: Option<i64>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
struct List {
    /// The collection
    collection: String,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// From the last key to the first
    #[arg(long)]
    reverse: bool,
    /// Without values
    #[arg(long)]
    keys_only: bool,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args, Debug)]
struct Put {
    /// The collection
    collection: String,
    // Not `key`: that is the id of the flag that shows an API key.
    /// The key
    #[arg(id = "kv_key", value_name = "KEY")]
    key: String,
    /// The value as JSON; @FILE is a file's content, `-` standard input
    value: String,
    /// The value is text, not JSON
    #[arg(long)]
    string: bool,
    /// Forget it after so many milliseconds
    #[arg(long, value_name = "MS")]
    ttl_ms: Option<u64>,
    /// Only if the key is at this version now
    #[arg(long, value_name = "N", conflicts_with = "if_absent")]
    if_version: Option<i64>,
    /// Only if the key is not there
    #[arg(long)]
    if_absent: bool,
}

impl Kv {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let app = session.settings.app()?;
        match self.verb {
            Verb::Collections(page) => {
                let row = |collection: &KvCollection| {
                    vec![collection.name.clone(), collection.keys.to_string(), size(collection.size_bytes)]
                };
                let path = ApiPath::of_app(&app, &["kv"]);
                session.list(path, &page, &["collection", "keys", "size"], row, "the app stores nothing").await
            }
            Verb::List(list) => list_keys(session, &app, &list).await,
            Verb::Get { collection, key } => {
                let ask = Ask::new(Method::GET, ApiPath::of_app(&app, &["kv", &collection, &key]));
                let answer = session.client.send(ask).await?;
                session.output.text(&String::from_utf8_lossy(&answer.body));
                Ok(())
            }
            Verb::Put(put) => store(session, &app, &put).await,
            Verb::Delete { collection, key: Some(key), if_version, .. } => {
                let path = ApiPath::of_app(&app, &["kv", &collection, &key]);
                session.client.send(Ask::new(Method::DELETE, path).if_match(if_version)).await?;
                session.done(&json!({ "deleted": key }), &format!("{key} is deleted from {collection}"));
                Ok(())
            }
            Verb::Delete { collection, key: None, yes, .. } => {
                if !yes {
                    session.output.confirm(&format!("Delete all keys of {collection}?"))?;
                }
                let path = ApiPath::of_app(&app, &["kv", &collection]);
                let answer = session.client.send(Ask::new(Method::DELETE, path)).await?;
                let value: Value = answer.value()?;
                let value = if value.is_null() { json!({ "deleted": collection }) } else { value };
                session.done(&value, &format!("collection {collection} is deleted"));
                Ok(())
            }
        }
    }
}

async fn list_keys(session: &Session<'_>, app: &str, list: &List) -> Result<(), Failure> {
    let path = ApiPath::of_app(app, &["kv", &list.collection])
        .query("prefix", list.prefix.as_ref())
        .flag("reverse", list.reverse)
        .flag("keys_only", list.keys_only)
        .query("limit", list.page.limit)
        .query("cursor", list.page.cursor.as_ref());
    if session.output.json {
        return session.print(path).await;
    }
    let page: Page<Value> = session.client.get(path).await?;
    let row = |entry: &Value| {
        let mut row = vec![entry["key"].as_str().unwrap_or_default().to_owned(), entry["version"].to_string()];
        if !list.keys_only {
            row.push(shortened(&entry["value"].to_string()));
        }
        row
    };
    let rows: Vec<Vec<String>> = page.items.iter().map(row).collect();
    let headings: &[&str] = if list.keys_only { &["key", "version"] } else { &["key", "version", "value"] };
    session.output.table(headings, &rows, "there are no such keys");
    session.more(page.cursor.as_deref());
    Ok(())
}

/// A value short enough for a line; `picloud kv get` prints all of it.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

async fn store(session: &Session<'_>, app: &str, put: &Put) -> Result<(), Failure> {
    let value = read_argument(&put.value)?;
    let value = if put.string {
        let text = String::from_utf8(value).map_err(|_no_text| Failure::other("the value is not UTF-8 text", None))?;
        Value::from(text).to_string().into_bytes()
    } else if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&value) {
        let hint = "write text as '\"text\"', or give --string";
        return Err(Failure::usage(format!("the value is no JSON: {error}"), hint));
    } else {
        value
    };
    let path = ApiPath::of_app(app, &["kv", &put.collection, &put.key]).query("ttl_ms", put.ttl_ms);
    let mut ask = Ask::new(Method::PUT, path).if_match(put.if_version).body(value);
    if put.if_absent {
        ask = ask.header(header::IF_NONE_MATCH, "*");
    }
    let answer = session.client.send(ask).await?;
    let key = &put.key;
    let version = answer.version().unwrap_or("?").to_owned();
    let value: Value = answer.value()?;
    let value = if value.is_null() { json!({ "version": version.parse::<i64>().ok() }) } else { value };
    session.done(&value, &format!("{key} is stored in {} as version {version}", put.collection));
    Ok(())
}

//! `picloud sdk`: what scripts can call, for people and for editors.

use super::Session;
use crate::client::Ask;
use crate::failure::Failure;
use crate::folder::cannot;
use crate::path::ApiPath;
use clap::{Args, Subcommand};
use http::{Method, header};
use picloud_model::page::Page;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How the names of all definition files end.
const DEFINITIONS: &str = ".d.rhai";

/// Show what scripts can call, or write definition files for editors
#[derive(Args, Debug)]
pub(crate) struct Sdk {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Print what scripts can call, as Markdown
    #[command(after_help = "Example:\n  picloud sdk docs | less")]
    Docs,
    /// Write Rhai definition files, which teach editors what scripts can call
    #[command(after_help = "Examples:\n  picloud sdk definitions definitions/\n  picloud sdk definitions -")]
    Definitions {
        /// The folder to write them to; `-` prints them
        #[arg(value_name = "DIR", default_value = "definitions")]
        folder: PathBuf,
    },
}

#[derive(Deserialize)]
struct Definition {
    file: String,
    text: String,
}

impl Sdk {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        match self.verb {
            Verb::Docs => {
                let text = text_of(session, "docs").await?;
                session.done(&json!({ "markdown": text }), &text);
                Ok(())
            }
            Verb::Definitions { folder } if folder == Path::new("-") && !session.output.json => {
                session.output.text(&text_of(session, "definitions").await?);
                Ok(())
            }
            Verb::Definitions { folder } => {
                let ask = Ask::new(Method::GET, ApiPath::new(&["sdk", "definitions"]));
                let answer = session.client.send(ask.header(header::ACCEPT, "application/json")).await?;
                if folder == Path::new("-") {
                    session.output.value(&answer.value::<Value>()?);
                    return Ok(());
                }
                let files = answer.value::<Page<Definition>>()?.items;
                write(&folder, &files)?;
                let (shown, count) = (folder.display().to_string(), files.len());
                let sentence = format!("{count} definition files are written to {shown}");
                session.done(&json!({ "folder": shown, "files": count }), &sentence);
                Ok(())
            }
        }
    }
}

async fn text_of(session: &Session<'_>, what: &str) -> Result<String, Failure> {
    let answer = session.client.send(Ask::new(Method::GET, ApiPath::new(&["sdk", what]))).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Writes the files. An appliance that is not to be trusted must not write outside the folder.
fn write(folder: &Path, files: &[Definition]) -> Result<(), Failure> {
    let is_name = |name: &str| {
        let stem = name.strip_suffix(DEFINITIONS).unwrap_or_default();
        !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if let Some(other) = files.iter().find(|definition| !is_name(&definition.file)) {
        let message = format!("the definitions are refused: `{}` is no name of a definition file", other.file);
        return Err(Failure::other(message, None));
    }
    std::fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
    for definition in files {
        let path = folder.join(&definition.file);
        std::fs::write(&path, &definition.text).map_err(|error| cannot("write", &path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_written_into_the_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let definition = |file: &str| Definition { file: file.to_owned(), text: "module kv;".to_owned() };
        for bad in ["../kv.d.rhai", "/tmp/kv.d.rhai", ".d.rhai", "kv.rhai", "KV.d.rhai", ""] {
            assert!(write(folder.path(), &[definition("kv.d.rhai"), definition(bad)]).is_err(), "{bad}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "all are looked at before one is written");
        write(&folder.path().join("new"), &[definition("__static__.d.rhai")]).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("new/__static__.d.rhai")).unwrap(), "module kv;");
    }
}

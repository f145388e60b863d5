//! App folders of the machine the program runs on: read before a deploy, written from an app.

use super::transfer::Transfer;
use crate::app::{Answer, Answered};
use crate::folder;
use picloud_model::bundle::Bundle;
use picloud_model::problem::{Code, Problem};
use serde_json::{Value, json};

impl Transfer {
    /// Reads an app folder; the answer is its bundle.
    pub(super) async fn read_folder(self, folder: String) {
        let path = self.path_of(&folder);
        let read = match path {
            Ok(path) => {
                apart(move || folder::read(&path).map(|bundle| json!(bundle)).map_err(|failure| failure.problem()))
                    .await
            }
            Err(problem) => Err(problem),
        };
        self.tell(read).await;
    }

    /// Makes a folder the app folder of a bundle; the answer says how many `files` it has.
    pub(super) async fn write_folder(self, folder: String, bundle: String) {
        let path = self.path_of(&folder);
        let written = match path {
            Ok(path) => {
                apart(move || {
                    let bundle: Bundle = serde_json::from_str(&bundle)
                        .map_err(|error| Problem::new(Code::Internal, format!("the app cannot be read: {error}")))?;
                    let files = folder::write(&path, &bundle).map_err(|failure| failure.problem())?;
                    Ok(json!({ "files": files }))
                })
                .await
            }
            Err(problem) => Err(problem),
        };
        self.tell(written).await;
    }
}

/// On a thread of its own: a card in a small machine takes its time.
async fn apart(work: impl FnOnce() -> Result<Value, Problem> + Send + 'static) -> Answered {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|error| Err(Problem::new(Code::Internal, format!("it was not done: {error}"))));
    done.map(|value| Answer { status: 200, etag: None, body: value.to_string().into() })
}

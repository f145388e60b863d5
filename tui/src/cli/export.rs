//! `picloud export`: writes an app as the folder that would deploy it.

use super::Session;
use crate::failure::Failure;
use crate::folder;
use crate::path::ApiPath;
use clap::Args;
use picloud_model::bundle::Bundle;
use serde_json::json;
use std::path::PathBuf;

/// Write an app as a folder; deploying that folder is no change
///
/// The folder must be new, empty, or an app folder. In an app folder, app.toml, scripts/, modules/ and static/
/// become exactly what the app is; other files stay as they are. Stored values are not part of it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  picloud export kitchen ./kitchen")]
pub(crate) struct Export {
    /// The app
    #[arg(value_name = "APP")]
    name: String,
    /// The folder to write
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Export {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let bundle: Bundle = session.client.get(ApiPath::of_app(&self.name, &["export"])).await?;
        let files = folder::write(&self.folder, &bundle)?;
        let shown = self.folder.display();
        let name = &self.name;
        session.done(
            &json!({ "app": name, "folder": shown.to_string(), "files": files }),
            &format!("{name} is written to {shown}: {files} files"),
        );
        Ok(())
    }
}

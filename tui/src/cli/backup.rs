//! `picloud backup`: an archive of everything an appliance keeps, taken while it works.

use super::Session;
use super::show::size;
use crate::client::{Ask, Streamed};
use crate::config::{finish_private, private_file};
use crate::failure::Failure;
use crate::folder::cannot;
use crate::path::ApiPath;
use clap::Args;
use http::Method;
use serde_json::json;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Take a backup of everything: apps, stored values, history, keys
///
/// It is consistent, and taken while the appliance works. `picloud-appliance restore` brings it up on an empty
/// machine. Whoever has the archive has all secrets: keep it as safe as the appliance.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  picloud backup monday.tar\n  picloud backup | ssh vault 'cat > monday.tar'")]
pub(crate) struct Backup {
    /// The file to write; replaced only once the archive is whole [default: standard output]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Backup {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let file = self.file.filter(|file| file != Path::new("-"));
        if file.is_none() && std::io::stdout().is_terminal() {
            let hint = "picloud backup FILE, or lead it into a program or file";
            return Err(Failure::usage("an archive is nothing for a terminal", hint));
        }
        let mut archive = session.client.stream(Ask::new(Method::POST, ApiPath::new(&["backup"]))).await?;
        let Some(path) = file else {
            while let Some(chunk) = archive.chunk().await? {
                session.output.bytes(&chunk);
            }
            return Ok(());
        };
        let (temporary, mut to) = private_file(&path).map_err(|error| cannot("write", &path, &error))?;
        let written = tokio::select! {
            written = write(&mut archive, &mut to, &path) => written,
            // Whoever ends it leaves no half archive behind.
            _signal = tokio::signal::ctrl_c() => Err(Failure::other("no backup was taken: it was interrupted", None)),
        };
        let written = match written {
            Ok(bytes) => {
                finish_private(&path, &temporary, &to).map(|()| bytes).map_err(|error| cannot("write", &path, &error))
            }
            Err(failure) => Err(failure),
        };
        if written.is_err() {
            // Why it failed is what counts; half an archive is none.
            let _gone = fs::remove_file(&temporary);
        }
        let bytes = written?;
        let shown = path.display().to_string();
        let told = size(i64::try_from(bytes).unwrap_or(i64::MAX));
        session.done(&json!({ "file": shown, "bytes": bytes }), &format!("the backup is in {shown}: {told}"));
        Ok(())
    }
}

async fn write(archive: &mut Streamed, to: &mut fs::File, path: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(chunk) = archive.chunk().await? {
        to.write_all(&chunk).map_err(|error| cannot("write", path, &error))?;
        bytes += chunk.len() as u64;
    }
    if bytes == 0 {
        return Err(Failure::other("the appliance answered an empty archive", Some("look into the appliance's log")));
    }
    Ok(bytes)
}

//! A backup through the appliance that has the data in use: it copies while it goes on, and sends the archive.

use super::Stopped;
use crate::backup::local::{Local, accepted, request};
use crate::config::Config;
use bytes::Bytes;
use http_body_util::BodyExt;
use std::io::Write;

/// Asks for a backup and writes it to `out`.
pub(super) async fn take(config: &Config, out: &mut impl Write) -> Result<(), Stopped> {
    let mut appliance = Local::find(&config.settings).await?;
    let response = appliance.send(request("POST", "/api/v1/backup", Bytes::new())).await?;
    let mut response = accepted(response).await.map_err(|reason| Stopped(format!("no backup is taken: {reason}")))?;
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame
            .map_err(|error| Stopped(format!("the appliance broke off the backup: {error}\nhint: its log says why")))?;
        if let Ok(bytes) = frame.into_data() {
            out.write_all(&bytes).map_err(|error| format!("write the backup: {error}"))?;
        }
    }
    out.flush().map_err(|error| format!("write the backup: {error}"))?;
    Ok(())
}

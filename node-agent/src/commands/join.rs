//! `join`: says where the appliance is and with which token; the agent that runs, or the next one, goes by it.

use super::{Stopped, runtime, terminal};
use crate::config::Settings;
use crate::identity::{Belonging, IdentityFiles, Told, token_in};
use crate::status::ask;
use picloud_cluster::identity::fingerprint_groups;
use picloud_model::join_token::TokenParts;

/// Writes it down and tells the agent.
pub(super) fn run(settings: &Settings, token: Option<&str>) -> Result<(), Stopped> {
    let token = match (token, &settings.join_token, &settings.join_token_file) {
        (Some(text), _, _) => Some(text.parse::<TokenParts>()?.text()),
        (None, Some(text), _) => Some(text.clone()),
        (None, None, Some(file)) => Some(token_in(file)?.text()),
        (None, None, None) => None,
    };
    if token.is_none() && settings.appliance.is_empty() {
        return Err(Stopped(
            "nothing is said that the agent would not do by itself\n\
             hint: give a join token, or the address of the appliance: --appliance HOST[:PORT]"
                .to_owned(),
        ));
    }
    let files = IdentityFiles::of(&settings.data_dir);
    match files.belonging()? {
        Belonging::Nobody => {}
        Belonging::Member(member) => {
            let ca = member.ca_fingerprint().map(|ca| fingerprint_groups(&ca)).unwrap_or_default();
            return Err(Stopped(format!(
                "this node is `{}` of the appliance with the CA {ca} already\n\
                 hint: `picloud-node reset` makes it a new node, which can join another",
                member.name
            )));
        }
        Belonging::Retired { .. } => {
            return Err(Stopped(
                "this node was removed from its appliance\nhint: `picloud-node reset` makes it a new node".to_owned(),
            ));
        }
    }
    let fingerprint = files.key_if_made()?.map(|key| fingerprint_groups(&key.fingerprint()));
    let with_token = token.is_some();
    files.set_told(Some(&Told { appliance: settings.appliance.clone(), token }))?;
    let running = runtime()?.block_on(ask(&settings.data_dir, "join"))?;
    let who = if running.is_some() { "the agent asks" } else { "the agent will ask, once it runs," };
    terminal::say(&format!("{who} to be let in; see: picloud-node status"));
    if let Some(fingerprint) = fingerprint.filter(|_fingerprint| !with_token) {
        terminal::say(&format!(
            "fingerprint: {fingerprint}\ncompare it with what `picloud nodes` shows on the appliance"
        ));
    }
    Ok(())
}

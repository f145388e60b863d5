//! Joining: asks every appliance that is found or was typed to be let in, until one does. With a token it talks only to
//! the appliance that the token names.
//!
//! Whoever lets it in is trusted from then on, and nobody else: what a person compares is this node's fingerprint, which
//! its console shows, with what the appliance shows.

use crate::appliance::{AskError, DialError, dial, resolve};
use crate::candidates::{At, Candidate, candidates};
use crate::context::{Asked, Context, jitter};
use crate::discover::Discovery;
use crate::identity::Member;
use futures_util::stream::{FuturesUnordered, StreamExt};
use picloud_cluster::identity::{ClientTls, IdentityError, Trust, fingerprint_groups};
use picloud_model::hash::ContentHash;
use picloud_model::join_token::TokenParts;
use picloud_model::problem::Code;
use picloud_model::protocol::node::Enrolled;
use rustls::pki_types::CertificateDer;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Pause before an appliance that is not there is asked again; doubles from there, a random part of it each time.
const AWAY_PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest such pause.
const AWAY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The same for one that said no.
const REFUSED_PAUSE_MIN: Duration = Duration::from_secs(20);
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Longest pause before one that waits for a person is asked again.
const WAITING_PAUSE: Duration = Duration::from_secs(3);

/// Why one appliance did not let this node in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It was not reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It said no, or nothing.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The node's own key or TLS.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It gave another CA than the one that answered.
    #[error("it names another CA than the one that it showed, so it is not trusted")]
    OtherCa,
}

/// Asks until somebody lets this node in. Ends with the membership, which is not written down yet.
pub async fn join(context: &Arc<Context>, discovery: &mut Discovery) -> Member {
    discovery.look();
    context.asked().clear();
    let mut asking = FuturesUnordered::new();
    let mut under_way: HashSet<Candidate> = HashSet::new();
    let mut last_trouble = String::new();
    let (mut addresses, mut token) = told(context, &mut last_trouble);
    loop {
        let ca = token.as_ref().map(|token| token.ca.clone());
        for candidate in candidates(&addresses, &discovery.appliances(ca.as_deref())) {
            if under_way.insert(candidate.clone()) {
                asking.push(keep_asking(Arc::clone(context), candidate, token.clone()));
            }
        }
        tokio::select! {
            Some(member) = asking.next(), if !asking.is_empty() => return member,
            _found = discovery.next() => {}
            () = context.told.notified() => {
                // Whoever was asked without the token is asked anew.
                (addresses, token) = told(context, &mut last_trouble);
                asking = FuturesUnordered::new();
                under_way.clear();
                context.asked().clear();
            }
        }
    }
}

fn told(context: &Context, last_trouble: &mut String) -> (Vec<String>, Option<TokenParts>) {
    match context.told() {
        Ok(told) => told,
        Err(error) => {
            let trouble = error.to_string();
            if *last_trouble != trouble {
                tracing::error!("the join token cannot be read: {trouble}");
                *last_trouble = trouble;
            }
            (context.settings.appliance.clone(), None)
        }
    }
}

/// Asks one appliance until it lets this node in.
async fn keep_asking(context: Arc<Context>, candidate: Candidate, token: Option<TokenParts>) -> Member {
    let mut failures: u32 = 0;
    let mut last = String::new();
    loop {
        let error = match ask(&context, &candidate, token.as_ref()).await {
            Ok(member) => return member,
            Err(error) => error,
        };
        let (min, max) = match &error {
            JoinError::Ask(AskError::Refused(problem)) if problem.code == Code::RequestTimeout => {
                failures = 0;
                (WAITING_PAUSE, WAITING_PAUSE)
            }
            JoinError::Dial(DialError::Tls { .. }) | JoinError::Ask(_) | JoinError::OtherCa => {
                (REFUSED_PAUSE_MIN, REFUSED_PAUSE_MAX)
            }
            JoinError::Dial(_) | JoinError::Identity(_) => (AWAY_PAUSE_MIN, AWAY_PAUSE_MAX),
        };
        let says = error.to_string();
        if says != last {
            tracing::warn!(appliance = %candidate.label, "this node is not let in yet: {says}");
            last.clone_from(&says);
        }
        context.asked().entry(candidate.label.clone()).or_default().says = says;
        tokio::time::sleep(jitter(min.saturating_mul(1 << failures.min(16)).min(max))).await;
        failures += 1;
    }
}

/// Asks once.
async fn ask(context: &Context, candidate: &Candidate, token: Option<&TokenParts>) -> Result<Member, JoinError> {
    let addresses = match &candidate.at {
        At::Name(name) => resolve(name).await?,
        At::Addresses(addresses) => addresses.clone(),
    };
    let trust = || token.map_or(Trust::FirstSeen, |token| Trust::ByToken(token.ca.clone()));
    let tls = || ClientTls::new(trust(), None).map_err(|error| error.to_string());
    let mut connection = dial(&addresses, tls).await?;
    let seen = connection.seen.clone().ok_or(JoinError::OtherCa)?;
    let ca = fingerprint_groups(&seen.fingerprint);
    let says = if token.is_some() { "asked with the join token" } else { "waits until somebody approves it there" };
    let asked = Asked { ca: ca.clone(), says: says.to_owned() };
    if context.asked().insert(candidate.label.clone(), asked.clone()) != Some(asked) {
        tracing::info!(appliance = %candidate.label, address = %connection.address, ca, "asks to be let in: {says}");
    }
    let enrolled = connection.enrol(&context.enrol(token)?).await?;
    let member = member(context, enrolled, &seen.certificate)?;
    let mut member = Member { appliances: Vec::new(), ..member };
    let typed = match &candidate.at {
        At::Name(name) => vec![name.clone()],
        At::Addresses(_) => Vec::new(),
    };
    member.remember(&connection.address.to_string(), &typed);
    Ok(member)
}

/// What an appliance gave, if it is what this node asked for.
pub fn member(context: &Context, enrolled: Enrolled, trusted: &CertificateDer<'_>) -> Result<Member, JoinError> {
    let Enrolled { certificate, ca, name } = enrolled;
    let member = Member { certificate, ca, name, appliances: Vec::new() };
    if member.ca_fingerprint() != Some(ContentHash::of(trusted)) {
        return Err(JoinError::OtherCa);
    }
    // It must be for this key, or no connection would ever come about.
    ClientTls::new(Trust::Pinned(member.ca_der()?), Some((&member.certificate, &context.key)))?;
    Ok(member)
}

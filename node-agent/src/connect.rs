//! Keeps a link to an appliance: joins first, dials whoever may be there, and again whenever the link ends.

use crate::agent::Event;
use crate::appliance::{AskError, Connection, DialError, Frames, Link, dial, resolve, why_lost};
use crate::candidates::{At, candidates};
use crate::context::{Context, jitter};
use crate::discover::Discovery;
use crate::identity::{Belonging, Member};
use crate::join::{self, JoinError};
use futures_util::future::join_all;
use picloud_cluster::identity::{ClientTls, IdentityError, Trust};
use picloud_model::problem::{Code, Problem};
use picloud_model::protocol::node::ToNode;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Longest pause before the first try after a link has ended; doubles from there, a random part of it each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Shortest pause where one end is to be updated first, and the most that is added to it. One that shows itself on the
/// network, as an appliance does when it starts, is dialled at once all the same.
const UPDATE_PAUSE: Duration = Duration::from_secs(15);
/// A link that lasted for so long was a good one: the next try begins without the pauses of before.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// A certificate is renewed when it holds for less than this.
const RENEW_BEFORE_MS: i64 = 60 * 24 * 60 * 60 * 1000;
/// Up to so much sooner, each node at another time.
const RENEW_SPREAD: Duration = Duration::from_secs(6 * 24 * 60 * 60);
/// How often it is looked at whether the certificate is to be renewed.
const RENEW_LOOK: Duration = Duration::from_secs(6 * 60 * 60);

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Retired(Problem),
    #[error("the agent stops")]
    Stopping,
}

impl ConnectError {
    /// Whether the two ends have no protocol in common.
    fn is_about_protocol(&self) -> bool {
        matches!(self, Self::Ask(AskError::Protocol(_)))
    }

    /// Whether the appliance does not know this node by its certificate: with its key it may still be let in.
    fn is_about_certificate(&self) -> bool {
        match self {
            Self::Dial(DialError::Tls { certificate_refused, .. }) => *certificate_refused,
            Self::Ask(AskError::Certificate(_)) => true,
            Self::Ask(error) => matches!(error.code(), Some(Code::Unauthenticated | Code::Forbidden)),
            _other => false,
        }
    }
}

/// Joins and connects until the node is retired or the agent ends.
pub(crate) async fn keep(context: Arc<Context>, mut discovery: Discovery, events: mpsc::Sender<Event>) {
    let spread = i64::try_from(jitter(RENEW_SPREAD).as_millis()).unwrap_or(0);
    let mut failures: u32 = 0;
    let mut last = String::new();
    loop {
        let Some(member) = context.member() else {
            let member = join::join(&context, &mut discovery).await;
            tracing::info!(name = member.name, ca = ca_of(&member), "this node was let in");
            if events.send(Event::Joined(member)).await.is_err() {
                return;
            }
            let mut belonging = context.belonging.subscribe();
            // An error means that the agent ends.
            drop(belonging.wait_for(|belonging| *belonging != Belonging::Nobody).await);
            continue;
        };
        let mut is_too_old = false;
        let why = match connect(&context, &member, &discovery, &events).await {
            Ok((link, frames)) => {
                discovery.rest();
                last.clear();
                let why = serve(&context, &link, frames, &events, spread).await;
                if link.is_leaving() {
                    return;
                }
                if link.age() >= GOOD_AFTER {
                    failures = 0;
                }
                why
            }
            Err(ConnectError::Stopping) => return,
            Err(ConnectError::Retired(problem)) => {
                let _agent_gone = events.send(Event::Retired(problem.to_string())).await;
                return;
            }
            Err(error) => {
                is_too_old = error.is_about_protocol();
                error.to_string()
            }
        };
        if why != last {
            let what = if is_too_old { "the appliance answers, but" } else { "no appliance answers:" };
            tracing::warn!("{what} {why}");
            last.clone_from(&why);
        }
        if events.send(Event::Down(why)).await.is_err() {
            return;
        }
        discovery.look();
        let pause = if is_too_old {
            UPDATE_PAUSE + jitter(UPDATE_PAUSE)
        } else {
            jitter(PAUSE_MIN.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX))
        };
        failures += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // One that shows itself is dialled at once.
            _found = discovery.next() => {}
            () = context.told.notified() => {}
        }
    }
}

/// A link to whoever of the node's appliances answers first.
async fn connect(
    context: &Arc<Context>,
    member: &Member,
    discovery: &Discovery,
    events: &mpsc::Sender<Event>,
) -> Result<(Link, Frames), ConnectError> {
    let ca = member.ca_der()?;
    let addresses = addresses(context, member, discovery).await?;
    let is_over = member.expires_at().is_some_and(|at| at <= context.clock.now_ms());
    let tried = if is_over { None } else { Some(open(context, member, &ca, &addresses, events).await) };
    match tried {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(ConnectError::Ask(AskError::Refused(problem)))) if problem.code == Code::Gone => {
            Err(ConnectError::Retired(problem))
        }
        Some(Err(error)) if !error.is_about_certificate() => Err(error),
        refused => {
            let why = refused.and_then(Result::err).map_or_else(|| "it has ended".to_owned(), |why| why.to_string());
            tracing::info!("asks for another certificate: {why}");
            let member = enrol_again(context, member, &ca, &addresses).await?;
            let expected = member.clone();
            events.send(Event::Joined(member.clone())).await.map_err(|_gone| ConnectError::Stopping)?;
            let mut belonging = context.belonging.subscribe();
            drop(belonging.wait_for(|now| *now == Belonging::Member(expected.clone())).await);
            open(context, &member, &ca, &addresses, events).await
        }
    }
}

/// Where its appliances may be: what answered last goes first.
async fn addresses(context: &Context, member: &Member, discovery: &Discovery) -> Result<Vec<SocketAddr>, ConnectError> {
    let digits = member.ca_fingerprint().map(|ca| ca.to_string());
    let names = member.appliances.iter().chain(&context.settings.appliance);
    let all = candidates(names, &discovery.appliances(digits.as_deref()));
    let resolved = join_all(all.into_iter().map(|candidate| async move {
        match candidate.at {
            At::Name(name) => resolve(&name).await,
            At::Addresses(addresses) => Ok(addresses),
        }
    }));
    let mut addresses = Vec::new();
    let mut failed = DialError::NoAddress;
    for resolved in resolved.await {
        match resolved {
            Ok(more) => more.into_iter().for_each(|address| {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }),
            Err(error) => failed = error,
        }
    }
    if addresses.is_empty() { Err(failed.into()) } else { Ok(addresses) }
}

async fn dial_as(
    context: &Context,
    member: Option<&Member>,
    ca: &CertificateDer<'static>,
    addresses: &[SocketAddr],
) -> Result<Connection, DialError> {
    let identity = || member.map(|member| (member.certificate.as_str(), &context.key));
    dial(addresses, || ClientTls::new(Trust::Pinned(ca.clone()), identity()).map_err(|error| error.to_string())).await
}

async fn open(
    context: &Arc<Context>,
    member: &Member,
    ca: &CertificateDer<'static>,
    addresses: &[SocketAddr],
    events: &mpsc::Sender<Event>,
) -> Result<(Link, Frames), ConnectError> {
    let connection = dial_as(context, Some(member), ca, addresses).await?;
    // What it holds is said as it is at this moment; nothing new can come while there is no link.
    let (asked, hello) = oneshot::channel();
    events.send(Event::HelloAsked(asked)).await.map_err(|_gone| ConnectError::Stopping)?;
    let hello = hello.await.map_err(|_gone| ConnectError::Stopping)?;
    Ok(Link::open(connection, hello, Arc::clone(&context.doubt)).await?)
}

/// With the same key the appliance knows the node, and gives it another certificate.
async fn enrol_again(
    context: &Context,
    member: &Member,
    ca: &CertificateDer<'static>,
    addresses: &[SocketAddr],
) -> Result<Member, ConnectError> {
    let mut connection = dial_as(context, None, ca, addresses).await?;
    let enrolled = match connection.enrol(&context.enrol(None)?).await {
        Err(AskError::Refused(problem)) if problem.code == Code::Gone => return Err(ConnectError::Retired(problem)),
        enrolled => enrolled?,
    };
    let again = join::member(context, enrolled, ca)?;
    Ok(Member { appliances: member.appliances.clone(), ..again })
}

/// Hands on what comes over the link until it is over; answers why it is.
async fn serve(
    context: &Arc<Context>,
    link: &Link,
    mut frames: Frames,
    events: &mpsc::Sender<Event>,
    spread: i64,
) -> String {
    if events.send(Event::Up(link.clone())).await.is_err() {
        return String::new();
    }
    let mut look = tokio::time::interval(RENEW_LOOK);
    loop {
        tokio::select! {
            frame = frames.next::<ToNode>() => match frame {
                Ok(Some(frame)) => {
                    if events.send(Event::Said(frame)).await.is_err() {
                        return String::new();
                    }
                }
                Ok(None) => link.end("the appliance hung up"),
                Err(error) => link.end(&why_lost(&error)),
            },
            why = link.over() => return why,
            _now = look.tick() => {
                tokio::spawn(renew_if_due(Arc::clone(context), link.clone(), events.clone(), spread));
            }
        }
    }
}

/// Gets the next certificate long before this one ends.
async fn renew_if_due(context: Arc<Context>, link: Link, events: mpsc::Sender<Event>, spread: i64) {
    let Some(member) = context.member() else { return };
    let due = member.expires_at().is_some_and(|at| at - RENEW_BEFORE_MS - spread <= context.clock.now_ms());
    if !due {
        return;
    }
    match renew(&context, &member, link.address()).await {
        Ok(member) => {
            tracing::info!("this node has its next certificate");
            let _agent_gone = events.send(Event::Joined(member)).await;
        }
        Err(error) => tracing::warn!("the certificate is not renewed yet: {error}"),
    }
}

async fn renew(context: &Context, member: &Member, address: SocketAddr) -> Result<Member, ConnectError> {
    let ca = member.ca_der()?;
    let mut connection = dial_as(context, Some(member), &ca, &[address]).await?;
    let enrolled = connection.renew(&context.enrol(None)?).await?;
    let next = join::member(context, enrolled, &ca)?;
    // The appliance may have said meanwhile where else it is.
    let appliances = context.member().map_or_else(|| member.appliances.clone(), |now| now.appliances);
    Ok(Member { appliances, ..next })
}

fn ca_of(member: &Member) -> String {
    member.ca_fingerprint().map(|ca| picloud_cluster::identity::fingerprint_groups(&ca)).unwrap_or_default()
}

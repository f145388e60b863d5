//! Answers in the worker's place while none starts: 503, rather than connections that wait for nobody.
//!
//! A worker that dies is back at once, and its connections wait that long. Only when one start after the other fails
//! does the parent accept them itself, until a worker is ready or there will be none. It reads no more of a request
//! than its head, and believes nothing of it.

use super::{BACKOFF_MAX, Shared, State};
use crate::problem_response::problem_bytes;
use futures_util::future::select_all;
use picloud_model::limits::REQUEST_HEAD_BYTES_MAX;
use picloud_model::{Code, Problem};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Clients that are answered at once; more wait in the backlog.
const CLIENTS_MAX: usize = 64;
/// Longest time for a client to send its head and take its answer.
const CLIENT_MAX: Duration = Duration::from_secs(2);
/// Longest wait before a socket that accepts nothing is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Read and thrown away at most of what a client still sends.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// Answers until the state is another than starting.
pub(super) async fn answer(shared: Arc<Shared>) {
    let mut state = shared.state.subscribe();
    let started = async move {
        // An error means that there is nobody left to stand in for.
        let _other = state.wait_for(|state| !matches!(state, State::Starting)).await;
    };
    answer_until(started, &shared.config.ingress, &problem()).await;
}

/// Answers every client with `problem` until `until` is over; those that come then wait for whoever answers next.
pub async fn answer_until(until: impl Future<Output = ()>, ingress: &[TcpListener], problem: &Problem) {
    let answers = [true, false].map(|head_only| problem_bytes(problem, head_only).into());
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    let all = ingress.iter().map(|listener| accept(listener, answers.clone(), Arc::clone(&places)));
    tokio::select! {
        () = until => {}
        (failed, _which, _others) = select_all(all.map(Box::pin)) => {
            tracing::warn!("no worker starts, and its clients cannot be told: {failed}");
        }
    }
}

/// An answer to HEAD, and one to all others.
type Answers = [Arc<[u8]>; 2];

/// Never ends well.
async fn accept(listener: &TcpListener, answers: Answers, places: Arc<Semaphore>) -> io::Error {
    let listener = listener.try_clone().and_then(|listener| {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    });
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes it");
        match listener.accept().await {
            Ok((client, _address)) => {
                let answers = answers.clone();
                tokio::spawn(async move {
                    let told = tokio::time::timeout(CLIENT_MAX, tell(client, &answers)).await;
                    if let Ok(Err(error)) = told {
                        tracing::debug!("a client could not be told that no worker starts: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn tell(mut client: TcpStream, [to_head, to_others]: &Answers) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > REQUEST_HEAD_BYTES_MAX || client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    client.write_all(if head.starts_with(b"HEAD ") { to_head } else { to_others }).await?;
    client.shutdown().await?;
    // Closing a socket with unread bytes would reset it, and the answer with it.
    tokio::io::copy(&mut client.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

fn problem() -> Problem {
    let seconds = u32::try_from(BACKOFF_MAX.as_secs()).expect("a few seconds");
    Problem::new(Code::NodeAway, "no worker process starts on this node, so no script runs")
        .hint("it is tried again all the time; the appliance's log says why: journalctl -u picloud-appliance")
        .retry_after_s(seconds)
}

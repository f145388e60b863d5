//! Answers the clients whose runs were under way when the worker died: 502, and the connection is over.
//!
//! Only what the dead worker had named as under way is answered, so that nobody is answered twice. The connections come
//! from the worker, so nothing is trusted of them, and nobody waits for them longer than a bound.

use crate::inflight::LostRun;
use crate::parking::ParkedClient;
use crate::problem_response::problem_bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use picloud_model::{Code, Problem};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest time for a client to take its answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Read and thrown away at most of what a client still sends.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;

/// One client, and what it is to be told.
pub(super) struct Due {
    client: ParkedClient,
    answer: Vec<u8>,
}

/// The clients whose runs are among `lost`; the other connections are closed.
pub(super) fn due(lost: &[LostRun], clients: Vec<ParkedClient>) -> Vec<Due> {
    let of = |client: ParkedClient| {
        let run = lost.iter().find(|run| run.execution_id == client.execution_id)?;
        let answer = problem_bytes(&problem(run), client.head_only);
        Some(Due { client, answer })
    };
    clients.into_iter().filter_map(of).collect()
}

/// Tells them, all at once.
pub(super) async fn give(due: Vec<Due>) {
    let mut all: FuturesUnordered<_> =
        due.into_iter().map(|due| tokio::time::timeout(ANSWER_MAX, tell(due.client, due.answer))).collect();
    while let Some(told) = all.next().await {
        match told {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("a client could not be told that its run is lost: {error}"),
            Err(_elapsed) => tracing::debug!("a client that was to be told that its run is lost took too long"),
        }
    }
}

async fn tell(client: ParkedClient, answer: Vec<u8>) -> io::Result<()> {
    let stream = std::net::TcpStream::from(client.connection);
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream)?;
    stream.write_all(&answer).await?;
    stream.shutdown().await?;
    // Closing a socket with unread bytes would reset it, and the answer with it.
    tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

fn problem(run: &LostRun) -> Problem {
    let (script, version) = (&run.script, run.version);
    let detail = format!("the worker process died while script `{script}` version {version} ran");
    let mut problem = Problem::new(Code::WorkerLost, detail)
        .hint("what it did before may have taken effect; a version that does this repeatedly is quarantined");
    problem.execution_id = Some(run.execution_id);
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::{AppId, ExecutionId};
    use std::io::Read;

    #[tokio::test]
    async fn a_client_whose_run_is_not_named_is_told_nothing_and_what_is_no_connection_holds_nobody_up() {
        let run = |execution_id| LostRun {
            app: AppId(1),
            script: "spin".to_owned(),
            version: 7,
            execution_id,
            cause: "GET /".to_owned(),
            started_at: 0,
            root_execution_id: execution_id,
            trigger_depth: 0,
            trigger: String::new(),
            attempt: 0,
        };
        let (named, over, odd) = (ExecutionId::new(), ExecutionId::new(), ExecutionId::new());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0.into())
        };
        let ((mut told, one), (mut closed, two)) = (connect(), connect());
        let file = tempfile::tempfile().unwrap().into();
        let parked = |execution_id, connection| ParkedClient { execution_id, head_only: false, connection };
        let clients = vec![parked(odd, file), parked(named, one), parked(over, two)];
        let telling = tokio::spawn(give(due(&[run(named), run(odd)], clients)));
        let heard = tokio::task::spawn_blocking(move || {
            let (mut first, mut second) = (String::new(), String::new());
            told.read_to_string(&mut first).unwrap();
            closed.read_to_string(&mut second).unwrap();
            (first, second)
        });
        let (first, second) = heard.await.unwrap();
        telling.await.unwrap();
        assert!(first.contains("`spin` version 7") && first.contains(&named.to_string()), "{first}");
        assert_eq!(second, "");
    }
}

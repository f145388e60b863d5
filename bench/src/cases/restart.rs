//! Starting the appliance anew under load, its socket held by whoever starts it: who is refused, and for how long nobody is
//! answered.

use crate::report::Row;
use crate::server::{data_folder, handed_down};
use crate::{Setup, load};
use anyhow::{Context, Result, ensure};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Clients, each of which asks again as soon as it is answered; every second keeps its connection.
const CLIENTS: usize = 16;
/// Restarts.
const RESTARTS: usize = 8;
/// Load before each restart, and after the last.
const BETWEEN: Duration = Duration::from_millis(700);
/// What is asked for: as little work as can be, since the time is what is measured.
const PATH: &str = "/.picloud/health";
/// Answers that wait to be noted.
const NOTED_MAX: usize = 4_096;

/// What one client saw.
enum Saw {
    /// An answer.
    Answer(Instant),
    /// A connection that was kept was over; it asked again on another.
    Over,
    /// What nobody should see.
    Refused(String),
}

pub(crate) fn run(setup: &Setup) -> Result<Vec<Row>> {
    let data = data_folder()?;
    let socket = TcpListener::bind(("127.0.0.1", 0)).context("bind a socket")?;
    let address = socket.local_addr()?;
    let start = || handed_down(&setup.appliance, data.path(), socket.try_clone()?);
    let mut server = Some(start()?);
    let request = load::request("GET", PATH, b"");
    let answered = load::once(address, &request)?;
    ensure!(!answered.is_empty(), "the appliance does not answer");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the clients")?;
    let (over, is_over) = watch::channel(false);
    let (saw, mut seen) = mpsc::channel(NOTED_MAX);
    let clients = std::thread::spawn(move || {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for index in 0..CLIENTS {
                tasks.spawn(drive(address, index.is_multiple_of(2), saw.clone(), is_over.clone()));
            }
            tasks.join_all().await;
        });
    });
    let noting = std::thread::spawn(move || {
        let mut all = Vec::new();
        while let Some(saw) = seen.blocking_recv() {
            all.push(saw);
        }
        all
    });
    for _restart in 0..RESTARTS {
        std::thread::sleep(BETWEEN);
        // At once, as systemd does.
        server.take().context("it runs")?.stop()?;
        server = Some(start()?);
    }
    std::thread::sleep(BETWEEN);
    over.send_replace(true);
    let ended = clients.join().and_then(|()| noting.join());
    Ok(rows(&ended.ok().context("the clients panicked")?))
}

fn rows(seen: &[Saw]) -> Vec<Row> {
    let mut answers: Vec<Instant> =
        seen.iter().filter_map(|saw| if let Saw::Answer(at) = saw { Some(*at) } else { None }).collect();
    answers.sort_unstable();
    let gaps = answers.windows(2).map(|two| (two[1] - two[0]).as_secs_f64() * 1e3);
    let mut gaps: Vec<f64> = gaps.collect();
    gaps.sort_by(|one, other| other.total_cmp(one));
    let refused: Vec<&String> =
        seen.iter().filter_map(|saw| if let Saw::Refused(how) = saw { Some(how) } else { None }).collect();
    for how in &refused {
        println!("refused: {how}");
    }
    let over = seen.iter().filter(|saw| matches!(saw, Saw::Over)).count();
    let of_restarts = &gaps[..RESTARTS.min(gaps.len())];
    vec![
        Row::at_most("restart: clients refused, of 16 over 8 restarts", refused.len() as f64, 0.0),
        Row::at_most("restart: longest ms without any answer", gaps.first().copied().unwrap_or(f64::NAN), 300.0),
        Row::shown("restart: the same, mean of the 8 longest", None, of_restarts.iter().sum::<f64>() / RESTARTS as f64),
        Row::shown("restart: answers", None, answers.len() as f64),
        Row::shown("restart: kept connections that were over when they were used", None, over as f64),
    ]
}

async fn drive(address: std::net::SocketAddr, keeps: bool, saw: mpsc::Sender<Saw>, over: watch::Receiver<bool>) {
    let close = if keeps { "" } else { "connection: close\r\n" };
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\n{close}\r\n");
    let mut kept: Option<TcpStream> = None;
    while !*over.borrow() {
        let was_kept = kept.is_some();
        let connected = match kept.take() {
            Some(stream) => Ok(stream),
            None => TcpStream::connect(address).await,
        };
        let asked = match connected {
            Ok(mut stream) => ask(&mut stream, request.as_bytes()).await.map(|head| (stream, head)),
            Err(error) => Err(error),
        };
        let now = match asked {
            Ok((stream, head)) if head.starts_with("HTTP/1.1 200") => {
                kept = (keeps && !head.to_ascii_lowercase().contains("connection: close")).then_some(stream);
                Saw::Answer(Instant::now())
            }
            Ok(_) | Err(_) if was_kept => Saw::Over,
            Ok((_stream, head)) => Saw::Refused(format!("answered with {head:?}")),
            Err(error) => Saw::Refused(error.to_string()),
        };
        if saw.send(now).await.is_err() {
            return;
        }
    }
}

/// The head of the answer and what came with it; empty where the other side closed first.
async fn ask(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(512);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

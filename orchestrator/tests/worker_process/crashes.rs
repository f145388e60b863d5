//! Workers that die, lie or are left alone.

use crate::asked::{event_of, run_of};
use crate::client::{connect, get, read_answer, try_get, until};
use crate::fake_host::{FakeHost, serve, supervise};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use picloud_model::Code;
use picloud_model::limits::Limits;
use picloud_orchestrator::supervisor::Supervisor;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A worker that is back within this is back at once, also on a busy machine; what is promised is measured elsewhere.
const BACK_AT_ONCE: Duration = Duration::from_secs(2);

/// Calls the host, which never answers: under way until the worker dies.
const STALLS: &str = r#"kv::collection("c").has("k")"#;

/// Calls the host, so it runs on the pool.
const COUNTS: &str = r#"kv::collection("c").incr("n", 1)"#;

/// What comes until the connection ends; a reset is an end too.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    let _closed_or_reset = read.expect("the connection ends");
    String::from_utf8(bytes).unwrap()
}

pub(crate) fn kill_worker(supervisor: &Supervisor) -> u32 {
    let pid = supervisor.worker_pid().expect("there is a worker");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    pid
}

pub(crate) async fn a_killed_worker_is_back_and_no_connection_is_refused() {
    let (_host, supervisor, address) = serve(Limits::default(), &[("hello", "1")]).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        assert_eq!(get(address, "/demo/hello").await.body, "1");
        let killed = kill_worker(&supervisor);
        let began = Instant::now();
        // A connection that the dying worker accepted may break; none may be refused, and the next is answered.
        loop {
            match try_get(address, "/demo/hello").await {
                Ok(answer) if answer.status == 200 => break,
                Ok(answer) => panic!("{answer:?}"),
                Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused),
            }
        }
        slowest = slowest.max(began.elapsed());
        assert_ne!(supervisor.worker_pid(), Some(killed));
    }
    crate::print(&format!("slowest return of a killed worker: {slowest:?}\n"));
    assert!(slowest < BACK_AT_ONCE, "{slowest:?}");
    supervisor.stop().await;
}

pub(crate) async fn the_runs_under_way_are_named_when_the_worker_dies() {
    let (host, supervisor, address) = serve(Limits::default(), &[("stalls", STALLS), ("hello", "1")]).await;
    let under_way = tokio::spawn(async move { get(address, "/demo/stalls").await });
    assert_eq!(get(address, "/demo/hello").await.status, 200);
    until(&host.stalled, |count| *count == 1).await;
    kill_worker(&supervisor);
    let lost = until(&host.lost, |lost| !lost.is_empty()).await;
    assert_eq!(lost.len(), 1, "the run that had ended is not blamed: {lost:?}");
    assert_eq!((lost[0].script.as_str(), lost[0].cause.as_str()), ("stalls", "GET /demo/stalls"));
    let answer = under_way.await.unwrap();
    let problem = answer.json();
    assert_eq!((answer.status, problem["code"].as_str()), (502, Some("worker-lost")), "{answer:?}");
    assert!(answer.head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer:?}");
    for header in ["content-type: application/problem+json", "connection: close"] {
        assert!(answer.head.contains(header), "{answer:?}");
    }
    assert!(problem["detail"].as_str().unwrap().contains("`stalls` version 4"), "{problem}");
    assert_eq!(problem["execution_id"], lost[0].execution_id.to_string());
    supervisor.stop().await;
}

pub(crate) async fn of_a_dead_workers_clients_only_those_with_a_run_under_way_get_an_answer() {
    let (host, supervisor, address) = serve(Limits::default(), &[("stalls", STALLS), ("count", COUNTS)]).await;
    let mut finished = connect(address).await;
    finished.write_all(b"GET /demo/count HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut finished).await.ends_with("\r\n\r\n1"), "a run on the pool, answered");
    let mut silent = connect(address).await;
    // Both on one connection, the second sent before the first is answered.
    let mut pipelined = connect(address).await;
    let two =
        b"GET /demo/count HTTP/1.1\r\nhost: localhost\r\n\r\nGET /demo/stalls HTTP/1.1\r\nhost: localhost\r\n\r\n";
    pipelined.write_all(two).await.unwrap();
    let mut head = connect(address).await;
    head.write_all(b"HEAD /demo/stalls HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&host.stalled, |count| *count == 2).await;
    kill_worker(&supervisor);
    assert_eq!(read_to_end(&mut finished).await, "", "no second answer");
    assert_eq!(read_to_end(&mut silent).await, "");
    let both = read_to_end(&mut pipelined).await;
    assert!(both.starts_with("HTTP/1.1 200 OK") && both.matches("HTTP/1.1 ").count() == 2, "{both}");
    assert!(both.contains("HTTP/1.1 502 Bad Gateway") && both.ends_with('}'), "{both}");
    let no_body = read_to_end(&mut head).await;
    assert!(no_body.starts_with("HTTP/1.1 502 Bad Gateway") && no_body.ends_with("\r\n\r\n"), "{no_body}");
    supervisor.stop().await;
}

pub(crate) async fn the_client_of_an_inline_run_that_turned_long_is_answered_too() {
    let long = r#"if "long" in ctx.request.query { kv::collection("c").has("k") } else { 1 }"#;
    let (host, supervisor, address) = serve(Limits::default(), &[("sometimes", long)]).await;
    for _ in 0..20 {
        assert_eq!(get(address, "/demo/sometimes").await.status, 200);
    }
    let under_way = tokio::spawn(async move { get(address, "/demo/sometimes?long").await });
    until(&host.stalled, |count| *count == 1).await;
    kill_worker(&supervisor);
    let answer = under_way.await.unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (502, Some("worker-lost")), "{answer:?}");
    supervisor.stop().await;
}

pub(crate) async fn after_a_death_that_no_run_is_named_for_inline_runs_are_named_too() {
    let (host, supervisor, address) = serve(Limits::default(), &[("hello", "1")]).await;
    let command_line = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!command_line(supervisor.worker_pid().unwrap()).contains("--announce-inline"));
    kill_worker(&supervisor);
    while !matches!(try_get(address, "/demo/hello").await, Ok(answer) if answer.status == 200) {}
    assert!(command_line(supervisor.worker_pid().unwrap()).contains("--announce-inline"));
    assert!(host.lost.borrow().is_empty());
    supervisor.stop().await;
}

pub(crate) async fn a_run_asked_for_fails_as_worker_lost_when_the_worker_dies() {
    let (host, supervisor, _address) = serve(Limits::default(), &[("stalls", STALLS)]).await;
    let asking = supervisor.clone();
    let run = run_of("stalls", event_of("on-x", 3));
    let id = run.execution_id;
    let asked = tokio::spawn(async move { asking.run(run, Duration::from_secs(20)).await });
    until(&host.stalled, |count| *count == 1).await;
    kill_worker(&supervisor);
    let problem = asked.await.unwrap().unwrap_err();
    assert_eq!(problem.code, Code::WorkerLost);
    assert!(problem.detail.contains("`stalls`"), "{problem}");
    let lost = until(&host.lost, |lost| !lost.is_empty()).await;
    assert_eq!((lost[0].execution_id, lost[0].trigger.as_str(), lost[0].attempt), (id, "on-x", 3));
    assert_eq!((lost[0].root_execution_id == id, lost[0].trigger_depth), (false, 2));
    supervisor.stop().await;
}

/// A worker that is this shell script.
async fn refused(script: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (supervisor, _address) = supervise(&FakeHost::new(), path).await;
    supervisor.err().expect("no worker comes of it").to_string()
}

pub(crate) async fn a_worker_that_speaks_garbage_is_given_up_with_its_reason() {
    let too_long = refused(r"printf '\377\377\377\377garbage' >&0; exec sleep 60").await;
    assert!(too_long.contains("claims 4294967295 bytes") && too_long.contains("tried 3 times"), "{too_long}");
    let no_frame = refused(r"printf '\003\000\000\000\377\377\377' >&0; exec sleep 60").await;
    assert!(no_frame.contains("a frame of 3 bytes cannot be read"), "{no_frame}");
}

pub(crate) async fn a_worker_that_ends_at_once_is_given_up_with_its_reason() {
    let ended = refused("exit 7").await;
    assert!(ended.contains("exit code 7"), "{ended}");
    let cut = refused(r"printf '\003\000' >&0; exit 0").await;
    assert!(cut.contains("in the middle of a frame") || cut.contains("exit code 0"), "{cut}");
    let (missing, _address) = supervise(&FakeHost::new(), "/nowhere/picloud".into()).await;
    assert!(missing.err().unwrap().to_string().contains("/nowhere/picloud"));
}

pub(crate) async fn while_no_worker_starts_clients_are_told_and_when_one_does_they_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (path, broken) = (folder.path().join("worker"), folder.path().join("broken"));
    let program = std::env::current_exe().unwrap();
    let script = format!("#!/bin/sh\n[ -e {} ] && exit 7\nexec {} \"$@\"\n", broken.display(), program.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let host = FakeHost::new();
    host.put(Limits::default(), &[("hello", "1")], &[]);
    let (supervisor, address) = supervise(&host, path).await;
    let supervisor = supervisor.unwrap();
    assert_eq!(get(address, "/demo/hello").await.status, 200);
    std::fs::write(&broken, "").unwrap();
    kill_worker(&supervisor);
    let refused = loop {
        // A request on its way when the worker is killed has no answer.
        if let Ok(refused) = try_get(address, "/demo/hello").await {
            break refused;
        }
    };
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("node-away")), "{refused:?}");
    assert!(refused.head.contains("\r\nretry-after: 5"), "{refused:?}");
    std::fs::remove_file(&broken).unwrap();
    while get(address, "/demo/hello").await.status != 200 {}
    for _ in 0..20 {
        assert_eq!(get(address, "/demo/hello").await.status, 200, "nobody stands in any more");
    }
    supervisor.stop().await;
}

pub(crate) async fn a_worker_whose_parent_is_gone_ends() {
    use command_fds::{CommandFdExt, FdMapping};
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let ingress = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let in_flight = picloud_orchestrator::inflight::InFlight::create(1).unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.arg("worker").stdin(std::os::fd::OwnedFd::from(theirs)).stdout(std::os::fd::OwnedFd::from(ingress));
    command.fd_mappings(vec![FdMapping { parent_fd: in_flight.file().unwrap().into(), child_fd: 3 }]).unwrap();
    let mut worker = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    drop(ours);
    let status = tokio::time::timeout(Duration::from_secs(20), worker.wait()).await.unwrap().unwrap();
    assert!(!status.success());
}

pub(crate) async fn stopping_lets_a_run_under_way_end() {
    let slow = "let n = 0; while n < 1500000 { n += 1 } n";
    let (host, supervisor, address) = serve(Limits::default(), &[("slow", slow), ("stalls", STALLS)]).await;
    // Its record says that the run has begun and ended; the stop comes in between, or at worst after.
    let answer = tokio::spawn(async move { get(address, "/demo/slow").await });
    let stalls = tokio::spawn(async move { try_get(address, "/demo/stalls").await });
    until(&host.stalled, |count| *count == 1).await;
    stalls.abort();
    supervisor.stop().await;
    assert_eq!(answer.await.unwrap().body, "1500000");
    assert_eq!(supervisor.worker_pid(), None);
}

pub(crate) async fn a_run_asked_for_ends_when_the_worker_stops_and_one_that_does_not_was_not_run() {
    let slow = r#"kv::collection("c").incr("n", 1); let n = 0; while n < 1500000 { n += 1 } n"#;
    let (host, supervisor, _address) = serve(Limits::default(), &[("slow", slow)]).await;
    let ask = |supervisor: &Supervisor| {
        let supervisor = supervisor.clone();
        tokio::spawn(async move { supervisor.run(run_of("slow", event_of("t", 1)), Duration::from_secs(20)).await })
    };
    let under_way = ask(&supervisor);
    until(&host.counted, |count| *count == 1).await;
    supervisor.stop().await;
    assert_eq!(under_way.await.unwrap().unwrap().execution.result_json, "1500000");
    assert_eq!(ask(&supervisor).await.unwrap().unwrap_err().code, Code::NodeAway);
}

//! throwaway
use picloud_model::clock::SystemClock;
use picloud_model::kv::*;
use std::sync::Arc;
use std::time::Instant;
fn io() -> (u64, u64) {
    let t = std::fs::read_to_string("/proc/self/io").unwrap();
    let g = |k: &str| t.lines().find(|l| l.starts_with(k)).unwrap().split(": ").nth(1).unwrap().parse().unwrap();
    (g("wchar"), g("write_bytes"))
}
fn main() {
    let page: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let keys: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let callers: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let total: u64 = std::env::args().nth(4).unwrap().parse().unwrap();
    let dir = tempfile::tempdir_in("/work/main/target").unwrap();
    {
        let c = rusqlite::Connection::open(dir.path().join("picloud.db")).unwrap();
        c.execute_batch(&format!("PRAGMA page_size={page}; CREATE TABLE x(a); DROP TABLE x;")).unwrap();
    }
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    rt.block_on(async {
        let store =
            picloud_store::open(picloud_store::OpenSettings::new(dir.path()), Arc::new(SystemClock)).await.unwrap();
        let app = store
            .create_app(&picloud_model::app::NewApp { name: "bench".into(), ..Default::default() }, 1)
            .await
            .unwrap()
            .id;
        let mut js = tokio::task::JoinSet::new();
        for k in 0..keys {
            let s = store.clone();
            js.spawn(async move {
                s.kv(app, KvRequest::Incr { collection: "counters".into(), key: format!("key-{k:06}"), by: 1 }, 1)
                    .await
                    .unwrap();
            });
            if js.len() >= 200 {
                js.join_next().await;
            }
        }
        while js.join_next().await.is_some() {}
        let (w0, b0) = io();
        let t = Instant::now();
        let mut js = tokio::task::JoinSet::new();
        for c in 0..callers {
            let s = store.clone();
            js.spawn(async move {
                let mut x = c * 7919 + 1;
                for _ in 0..total / callers {
                    x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let k = (x >> 33) % keys;
                    s.kv(
                        app,
                        KvRequest::Incr { collection: "counters".into(), key: format!("key-{k:06}"), by: 1 },
                        1_700_000_000_000,
                    )
                    .await
                    .unwrap();
                }
            });
        }
        while js.join_next().await.is_some() {}
        let el = t.elapsed();
        let (w1, b1) = io();
        let wal = std::fs::metadata(dir.path().join("picloud.db-wal")).unwrap().len();
        println!(
            "page {page} keys {keys} callers {callers}: {:.0} ops/s, wchar/op {:.0}, write_bytes/op {:.0}, wal {wal}",
            total as f64 / el.as_secs_f64(),
            (w1 - w0) as f64 / total as f64,
            (b1 - b0) as f64 / total as f64
        );
        drop(store);
    });
}

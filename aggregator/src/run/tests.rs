//! The whole aggregator, started and stopped: what is there afterwards, and what a second start makes of it.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use quorate_quorum::Vote;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::config::{Environment, parse};

fn options(folder: &Path, more: &str) -> Options {
    let text = format!(
        "[server]\ndata = \"data\"\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n[defaults]\ninterval = \"1s\"\n{more}"
    );
    let file = folder.join("quorate.toml");
    let loaded = parse(&text, &file.to_string_lossy(), &Environment::of_process()).unwrap();
    Options { config: Arc::new(loaded.config), watched: None }
}

async fn get(address: SocketAddr, path: &str, token: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Polls until it is so.
async fn wait_until(mut is_so: impl FnMut() -> bool) {
    let polled = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), polled).await.expect("in time");
}

#[tokio::test]
async fn a_start_makes_what_is_missing_and_a_second_one_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), "");
    let first = Aggregator::start(options.clone()).await.unwrap();
    let key = first.aggregator_key;
    let token = std::fs::read_to_string(&first.admin_token_file).unwrap();
    assert!(get(first.http_addr, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get(first.http_addr, "/api/v1/agents", "").await.starts_with("HTTP/1.1 401"));
    assert!(get(first.http_addr, "/api/v1/agents", token.trim()).await.starts_with("HTTP/1.1 200"));
    assert!(get(first.http_addr, "/metrics", token.trim()).await.contains("quorate_ingest_connections 0"));
    first.stop().await;

    let data = folder.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }

    let second = Aggregator::start(options).await.unwrap();
    assert_eq!(second.aggregator_key, key);
    assert_eq!(std::fs::read_to_string(&second.admin_token_file).unwrap(), token);
    assert!(get(second.http_addr, "/api/v1/agents", token.trim()).await.starts_with("HTTP/1.1 200"));
    second.stop().await;
}

#[tokio::test]
async fn what_cannot_start_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let running = Aggregator::start(options(folder.path(), "")).await.unwrap();
    let again = Aggregator::start(options(folder.path(), "")).await;
    assert!(matches!(again, Err(StartError::Store(OpenError::InUse { .. }))));

    let other = tempfile::tempdir().unwrap();
    let mut taken = options(other.path(), "");
    let mut config = Config::clone(&taken.config);
    config.server.http = running.http_addr;
    taken.config = Arc::new(config);
    assert!(matches!(Aggregator::start(taken).await, Err(StartError::Http { .. })));
    // The folder is free again, since nothing of the failed start runs.
    let free = Aggregator::start(options(other.path(), "")).await.unwrap();
    free.stop().await;

    std::fs::remove_file(other.path().join("data/aggregator.key")).unwrap();
    let keyless = Aggregator::start(options(other.path(), "")).await;
    assert!(matches!(keyless, Err(StartError::Key(KeyFileError::Gone { .. }))));
    running.stop().await;
}

#[tokio::test]
async fn local_agents_join_once_and_watch() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens there once the listener is dropped: both regions must see that.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let monitor =
        format!("[local]\nregions = [\"a\", \"b\"]\n[[monitors]]\nid = \"m\"\nurl = \"ws://{closed}/\"\n");
    let options = options(folder.path(), &monitor);
    let agents_folder = folder.path().join("agents");
    let regions = options.config.local_regions.clone();
    let mut keys = Vec::new();
    for _start in 0..2 {
        let running = Aggregator::start(options.clone()).await.unwrap();
        let agents = LocalAgents::start(&running, &regions, &agents_folder).await.unwrap();
        wait_until(|| {
            let snapshot = running.snapshot.load();
            let votes = snapshot.monitors.iter().flat_map(|monitor| &monitor.regions);
            votes.filter(|region| region.vote == Vote::Fail).count() == 2
        })
        .await;
        let snapshot = running.snapshot.load_full();
        assert_eq!(
            snapshot.agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(),
            ["local-a", "local-b"]
        );
        keys.push(snapshot.agents.iter().map(|agent| agent.key).collect::<Vec<_>>());
        agents.stop().await;
        running.stop().await;
    }
    assert_eq!(keys[0], keys[1], "agents keep their keys and find the aggregator on another port");
}

#[tokio::test]
async fn a_changed_configuration_comes_into_force() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quorate.toml");
    let server = "[server]\nhttp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\n";
    let monitor = |id: &str| format!("[[monitors]]\nid = \"{id}\"\nurl = \"wss://example.org/\"\n");
    std::fs::write(&file, format!("{server}{}", monitor("one"))).unwrap();
    let config = Config::load(&file, &Environment::of_process()).unwrap().config;
    let running =
        Aggregator::start(Options { config: Arc::new(config), watched: Some(file.clone()) }).await.unwrap();
    let ids = || {
        let snapshot = running.snapshot.load_full();
        snapshot.monitors.iter().map(|monitor| monitor.id.to_string()).collect::<Vec<_>>()
    };
    wait_until(|| ids() == ["one"]).await;
    std::fs::write(&file, format!("{server}{}{}", monitor("one"), monitor("two"))).unwrap();
    wait_until(|| ids() == ["one", "two"]).await;
    running.stop().await;
}

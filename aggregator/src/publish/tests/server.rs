//! The server over real sockets: slow peers, many requests on one connection, the end.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{House, TOKEN, sample};
use crate::publish::{Options, run};

struct Server {
    address: SocketAddr,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    _house: House,
}

async fn serve() -> Server {
    let house = House::new(sample::calm()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(run(Options { listener }, house.sources.clone(), cancel.clone()));
    Server { address, cancel, task, _house: house }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

async fn until(stream: &mut TcpStream, mark: &str) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if text.contains(mark) || count == 0 {
            return text;
        }
    }
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let server = serve().await;
    let mut stream = server.connect().await;
    for (path, mark) in
        [("/healthz", "ok\n"), ("/status.json", "\"incidents\":[]}"), ("/api/v1/agents", "\"next\":null}")]
    {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = until(&mut stream, mark).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(mark), "{answer}");
    }
}

// With the clock paused, time moves on as soon as nothing else can: a server without the deadline would hang here.
#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_or_half_is_let_go() {
    let server = serve().await;
    for said in ["", "GET / HTTP/1.1\r\nhost:"] {
        let mut stream = server.connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let answer = until(&mut stream, "never said").await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = serve().await;
    let mut stream = server.connect().await;
    let first = format!("GET /api/v1/agents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(first.as_bytes()).await.unwrap();
    until(&mut stream, "\"next\":null}").await;
    // The token is remembered from here on, so that the store's threads have no part in the paused time below.
    tokio::time::pause();
    let head = format!(
        "POST /api/v1/agents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "}}").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_take_its_answer_is_cut() {
    let mut house = House::new(sample::calm()).await;
    let mut large = sample::calm();
    let view = large.monitors[0].clone();
    large.monitors = vec![view; 16_000];
    house.sources.snapshot = std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(large));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(run(Options { listener }, house.sources.clone(), CancellationToken::new()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /status.json HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let life = crate::limits::HTTP_CONNECTION_LIFE_MAX + 2 * crate::limits::HTTP_DRAIN_MAX;
    tokio::time::sleep(life).await;
    let mut answer = Vec::new();
    // The answer was larger than any socket's buffer; what comes is a part of it, and then the end.
    let _ = stream.read_to_end(&mut answer).await;
    let head = String::from_utf8_lossy(&answer[..400]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(answer.len() < length.parse().unwrap(), "{} of {length}", answer.len());
}

#[tokio::test]
async fn a_head_above_the_bound_is_refused() {
    let server = serve().await;
    let mut stream = server.connect().await;
    let long = "x".repeat(crate::limits::HTTP_HEAD_BYTES_MAX);
    let request = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n");
    // The server may close before all is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn the_end_is_bounded_and_frees_the_port() {
    let server = serve().await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut idle, "ok\n").await;
    server.cancel.cancel();
    server.task.await.unwrap();
    assert_eq!(until(&mut idle, "never said").await, "");
    TcpListener::bind(server.address).await.unwrap();
}

#[tokio::test]
async fn a_panic_is_answered_and_ends_nothing() {
    let mut house = House::new(sample::calm()).await;
    house.sources.further_metrics = Arc::new(|| panic!("a defect"));
    let shared = crate::publish::Shared::new(house.sources.clone(), String::new());
    house.router = crate::publish::router(Arc::new(shared));
    let (status, code, _) = house.ask("/metrics").await.error();
    assert_eq!((status, code.as_str()), (500, "internal"));
    assert_eq!(house.get("/healthz").await.status, 200);
}

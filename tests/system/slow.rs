//! A server that answers, and slowly: what is promised of round trips, from the path's delay to what people are told.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, SECRET},
    receiver::{Behaviour, Receiver},
    requirement::{Requirement, available},
    servers,
};
use serde_json::Value;

/// A way to a server on which everything that the server says comes late, by as many milliseconds as stand here.
fn delayed_way(upstream: u16) -> Result<(u16, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let delay = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&delay);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
            let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { continue };
            let delay = Arc::clone(&shared);
            thread::spawn(move || carry(from_client, to_server, &AtomicU64::new(0)));
            thread::spawn(move || carry(server, client, &delay));
        }
    });
    Ok((port, delay))
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: &AtomicU64) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        thread::sleep(Duration::from_millis(delay.load(Ordering::Relaxed)));
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            break;
        }
    }
    // Who was to hear it may be gone.
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn slow_round_trips_are_degraded_and_no_outage() -> Result<()> {
    if !available("slow_round_trips_are_degraded", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let upstream = servers::free_port()?;
    let _server = servers::node_lifecycle(folder.path(), upstream, 1001)?;
    let (port, delay) = delayed_way(upstream)?;
    // Three checks of five regions in the window.
    let tables = format!(
        "[[channels]]\nid = \"hook\"\ntype = \"webhook\"\nurl = {:?}\nsecret = {SECRET:?}\ndegraded = true\n\
         [[monitors]]\nid = \"chat\"\nurl = \"ws://127.0.0.1:{port}/\"\ninterval = \"4s\"\ntimeout = \"4s\"\n\
         latency = {{ p95 = \"300ms\", over = \"12s\", min_samples = 10 }}\n",
        receiver.url(),
    );
    let cluster = Cluster::start(&Plan { tables, ..Plan::default() })?;
    cluster.wait_until_up("chat", 60.0);
    let monitor = || cluster.json("/api/v1/monitors/chat");
    clock::wait_for("ten round trips", 60.0, || {
        (monitor().ok()?.pointer("/round_trips/count")?.as_u64()? >= 10).then_some(())
    });

    delay.store(500, Ordering::Relaxed);
    let fault = Stopwatch::start();
    let degraded = receiver.wait_for("degraded", 60.0, |hit| hit.event() == "monitor.degraded");
    println!(
        "MEASURED round trips of 500 ms, 300 ms over 12 s promised: told after {:.1} s",
        fault.seconds_until(&degraded.at)
    );
    let told = |pointer: &str| degraded.body.pointer(&format!("/data/degradation{pointer}")).cloned();
    assert_eq!(told("/reasons/0/kind"), Some(Value::from("latency")), "{:#}", degraded.body);
    assert!(told("/round_trips/p95_ms").and_then(|p95| p95.as_f64()) > Some(490.0), "{:#}", degraded.body);
    // The picture is painted a moment after the message is sent.
    clock::wait_for("the API to say so", 10.0, || {
        (monitor().ok()?.pointer("/degraded/0/kind")? == "latency").then_some(())
    });
    assert_eq!(monitor()?.pointer("/status"), Some(&Value::from("up")));

    delay.store(0, Ordering::Relaxed);
    let mend = Stopwatch::start();
    let recovered = receiver.wait_for("recovered", 90.0, |hit| hit.event() == "monitor.recovered");
    println!("MEASURED and quick again: told after {:.1} s", mend.seconds_until(&recovered.at));
    assert_eq!(recovered.body.pointer("/data/degradation/id").cloned(), told("/id"));
    let others = receiver.hits().iter().filter(|hit| hit.event().starts_with("incident")).count();
    assert_eq!(others, 0, "nobody is paged for it");
    Ok(())
}

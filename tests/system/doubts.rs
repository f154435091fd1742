//! Agents in trouble of their own: each says what it is and abstains, nobody is paged for it, and outages are found all the
//! same.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan, REGIONS, monitor, webhook},
    network::Namespace,
    process::{Process, binary},
    receiver::{Behaviour, Hit, Receiver},
    requirement::{Requirement, available},
    servers,
    watched::Watched,
};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// The doubts of a region's agent, as the API has them.
fn doubts(cluster: &Cluster, region: &str) -> Option<Vec<String>> {
    let agents = cluster.json("/api/v1/agents").ok()?;
    let agent = agents["items"].as_array()?.iter().find(|agent| agent["region"] == region)?.clone();
    let name = |doubt: &Value| doubt["doubt"].as_str().map(str::to_owned);
    agent["doubts"].as_array()?.iter().map(name).collect()
}

/// Waits until a region's agent has this doubt, and its vote abstains for it.
fn wait_for_doubt(cluster: &Cluster, region: &str, doubt: &str, seconds: f64) {
    clock::wait_for(format!("{region} to doubt itself: {doubt}"), seconds, || {
        doubts(cluster, region)?.iter().any(|one| one == doubt).then_some(())
    });
    clock::wait_for(format!("the vote of {region} to abstain"), 5.0, || {
        let monitors = cluster.json("/api/v1/monitors").ok()?;
        let regions = monitors["items"][0]["regions"].as_array()?.clone();
        let vote = regions.iter().find(|vote| vote["region"] == region)?.clone();
        (vote["vote"] == "abstain" && vote["abstention"] == "sick").then_some(())
    });
}

/// Failures of a region's checks, by name.
fn failures(cluster: &Cluster, region: &str) -> Result<Vec<String>> {
    let results = cluster.json(&format!("/api/v1/monitors/chat/results?limit=500&region={region}"))?;
    let failures = results["items"].as_array().context("results")?.iter();
    Ok(failures.filter_map(|item| item["failure"].as_str().map(str::to_owned)).collect())
}

/// Takes nine tenths of the CPU time from a process for as long as this lives, as the quota of a control group does: it runs
/// for a tenth of each second, and stands still for the rest.
struct Starvation {
    is_over: Arc<AtomicBool>,
    throttle: Option<JoinHandle<()>>,
}

impl Starvation {
    fn of(process: &Process) -> Result<Self> {
        let (pid, is_over) = (process.pid()?, Arc::new(AtomicBool::new(false)));
        let seen = Arc::clone(&is_over);
        let throttle = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for (signal, millis) in [(Signal::STOP, 900), (Signal::CONT, 100)] {
                    let _ = kill_process(pid, signal);
                    thread::sleep(Duration::from_millis(millis));
                }
            }
        });
        Ok(Self { is_over, throttle: Some(throttle) })
    }
}

impl Drop for Starvation {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(throttle) = self.throttle.take() {
            drop(throttle.join());
        }
    }
}

fn run(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("a command")?;
    let output = Command::new(program).args(arguments).stdout(Stdio::null()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn with_one_starved_agent_of_five_nobody_is_paged_and_an_outage_is_found() -> Result<()> {
    if !available("with_one_starved_agent", &[Requirement::NodeWs]) {
        return Ok(());
    }
    let mut scene = Watched::start("5s", "1s")?;

    let begun = Stopwatch::start();
    let starvation = Starvation::of(&scene.cluster.agents[0])?;
    clock::wait_for("the starved agent to doubt itself, or to fall silent", 60.0, || {
        (scene.cluster.votes("chat", "abstain")? >= 1).then_some(())
    });
    println!("MEASURED a starved agent: from the starvation to its abstention {:.1} s", begun.seconds());
    clock::holds_for("nobody is paged for a starved agent", 30.0, || !is_paged(&scene.receiver));

    let fault = Stopwatch::start();
    scene.server.kill()?;
    let opened = scene.receiver.incident("incident.opened", "chat", 60.0);
    println!(
        "MEASURED one agent of five starved, SIGKILL, T=5 s: fault to webhook {:.1} s",
        fault.seconds_until(&opened.at)
    );
    assert_eq!(opened.incident("/verdict"), "down");
    scene.mend()?;
    scene.receiver.incident("incident.resolved", "chat", 60.0);
    drop(starvation);
    Ok(())
}

#[test]
fn an_agent_that_was_stopped_says_so_and_its_timeouts_do_not_count() -> Result<()> {
    if !available("an_agent_that_was_stopped", &[Requirement::NodeWs]) {
        return Ok(());
    }
    // With checks this frequent, one is under way at any stop.
    let scene = Watched::start_with("1s", "1s", |url| {
        let load = |number: u32| monitor(&format!("load-{number}"), url, "1s", "1s");
        Plan { tables: (0..8).map(load).collect(), ..Plan::default() }
    })?;

    for seconds in [3, 4, 6] {
        scene.cluster.agents[1].signal(Signal::STOP)?;
        thread::sleep(Duration::from_secs(seconds));
        scene.cluster.agents[1].signal(Signal::CONT)?;
        wait_for_doubt(&scene.cluster, REGIONS[1], "event_loop_late", 30.0);
    }
    let listed = scene.cluster.quorate(&["agents", "list"])?;
    assert!(listed.contains("in doubt") && listed.contains("event_loop_late"), "{listed}");
    let failures = failures(&scene.cluster, REGIONS[1])?;
    println!("MEASURED an agent stopped three times: failures of its checks {failures:?}");
    assert!(failures.iter().all(|failure| failure == "agent_fault"), "{failures:?}");
    let recovering = Stopwatch::start();
    clock::wait_for("the agent to trust itself again", 60.0, || {
        doubts(&scene.cluster, REGIONS[1])?.is_empty().then_some(())
    });
    println!("MEASURED from the last stop to the end of the doubt {:.1} s", recovering.seconds());
    assert!(!is_paged(&scene.receiver), "{:#?}", scene.receiver.hits());
    Ok(())
}

/// Whether anybody was told that something is down. That nobody watches is something else, and may be true on a machine that
/// is busy with other tests.
fn is_paged(receiver: &Receiver) -> bool {
    let is_down = |hit: &Hit| hit.event().starts_with("incident") && hit.incident("/verdict") == "down";
    receiver.hits().iter().any(is_down)
}

#[test]
fn agents_name_what_is_wrong_with_their_disk_descriptors_and_network() -> Result<()> {
    let wanted = [Requirement::NodeWs, Requirement::NetworkNamespaces, Requirement::Tmpfs];
    if !available("agents_name_what_is_wrong", &wanted) {
        return Ok(());
    }
    let namespace = Namespace::make(7)?;
    let receiver = Receiver::start(Behaviour::Take)?;
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let _server = servers::node_ws_on(folder.path(), namespace.host(), port)?;
    // Controls that answer: anybody who listens.
    let listeners = [0; 3].map(|port| TcpListener::bind((namespace.host(), port)));
    let mut ports = Vec::new();
    for listener in &listeners {
        let listener = listener.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
        ports.push(listener.local_addr()?.port());
    }
    let target = |port: &u16| format!("\"tcp://{}:{port}\"", namespace.host());
    let targets = ports.iter().map(target).collect::<Vec<_>>().join(", ");
    let tables = format!("[controls]\ntargets = [{targets}]\nevery = \"5s\"\n")
        + &webhook("hook", &receiver.url())
        + &monitor("chat", &format!("ws://{}:{port}/", namespace.host()), "5s", "3s");
    let plan = Plan { tables, host: namespace.host().to_owned(), ..Plan::default() };
    let mut cluster = Cluster::start_with(&plan, &|region| (region == "sa-east").then_some(&namespace))?;
    cluster.wait_until_up("chat", 60.0);

    // Descriptors: as many as it has, and four.
    let pid = cluster.agents[0].pid()?.as_raw_nonzero();
    let limit = fs::read_dir(format!("/proc/{pid}/fd"))?.count() + 4;
    run(&["prlimit", "--pid", &pid.to_string(), &format!("--nofile={limit}:{limit}")])?;
    wait_for_doubt(&cluster, REGIONS[0], "descriptors_short", 30.0);

    // Network: what it is to look at is out of its reach, and the aggregator is not.
    for port in &ports {
        namespace.set_blocked(*port, true)?;
    }
    let blocked = Stopwatch::start();
    wait_for_doubt(&cluster, "sa-east", "controls_failing", 60.0);
    println!("MEASURED controls out of reach: from the block to the doubt {:.1} s", blocked.seconds());
    for port in &ports {
        namespace.set_blocked(*port, false)?;
    }

    // Disk: a spool that is needed, because the aggregator is away, and has no room.
    cluster.agents[1].stop()?;
    let state = cluster.agent_state(REGIONS[1]);
    let copy = folder.path().join("state");
    run(&["cp", "-a", &state.display().to_string(), &copy.display().to_string()])?;
    let script = "mount -t tmpfs -o size=256k none \"$1\" && cp -a \"$2\"/. \"$1\"/ && \
                  { dd if=/dev/zero of=\"$1/ballast\" bs=1k 2>/dev/null; exec \"$0\" run --egress private --state \"$1\"; }";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(binary("quorate-agent")?).args([&state, &copy]);
    cluster.agents[1] = Process::start("agent-full", cluster.folder(), &mut command)?;
    clock::wait_for("the agent with the full disk to be back", 60.0, || {
        (cluster.votes("chat", "ok")? >= 2).then_some(())
    });
    cluster.aggregator.signal(Signal::STOP)?;
    thread::sleep(Duration::from_secs(8));
    cluster.aggregator.signal(Signal::CONT)?;
    wait_for_doubt(&cluster, REGIONS[1], "spool_failing", 90.0);
    let listed = cluster.quorate(&["agents", "list"])?;
    for words in ["Make room on the disk", "Raise its limit of open files"] {
        assert!(listed.contains(words), "{listed}");
    }
    assert!(!is_paged(&receiver), "{:#?}", receiver.hits());
    Ok(())
}

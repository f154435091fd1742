//! Enrolling and revoking, as an operator does it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use anyhow::Result;
use quorate_tests::{
    clock::{self, Stopwatch},
    cluster::{Cluster, Plan},
    http,
    process::binary,
};
use serde_json::Value;

#[test]
fn agents_join_once_and_are_gone_within_a_second_of_being_revoked() -> Result<()> {
    let mut cluster = Cluster::start(&Plan::default())?;
    let connected = |cluster: &Cluster, name: &str| {
        let agents = cluster.json("/api/v1/agents").ok()?;
        let agent = agents["items"].as_array()?.iter().find(|agent| agent["name"] == name)?.clone();
        agent["connected"].as_bool()
    };
    for agent in ["agent-eu-west", "agent-us-east"] {
        clock::wait_for(format!("{agent} to connect"), 30.0, || connected(&cluster, agent).filter(|is| *is));
    }
    let key = fs::metadata(cluster.agent_state("eu-west").join("agent.key"))?.permissions().mode();
    assert_eq!(key & 0o777, 0o600, "the agent's key is its own");
    let token = fs::metadata(cluster.data.join("admin.token"))?.permissions().mode();
    assert_eq!(token & 0o777, 0o600, "the admin token is the operator's own");
    let list = cluster.quorate(&["agents", "list"])?;
    assert!(list.contains("agent-eu-west") && list.contains("eu-west"), "{list}");

    // A join string works once.
    let join = cluster.join_string("second", "eu-west")?;
    let mut first = cluster.start_agent("second", Some(&join), None)?;
    clock::wait_for("the second agent", 30.0, || connected(&cluster, "second").filter(|is| *is));
    let refused = Command::new(binary("quorate-agent")?)
        .args(["run", "--join", &join, "--state"])
        .arg(cluster.folder().join("third"))
        .output()?;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("quorate agents add"), "the error says what to do: {said}");

    // Enrolled, it runs without the string.
    first.stop()?;
    clock::wait_for("the second agent to be gone", 30.0, || connected(&cluster, "second").filter(|is| !*is));
    let mut again = cluster.start_agent("second", None, None)?;
    clock::wait_for("the second agent, without the string", 30.0, || {
        connected(&cluster, "second").filter(|is| *is)
    });

    let revoked = Stopwatch::start();
    cluster.quorate(&["agents", "revoke", "second"])?;
    let status = again.wait(10.0);
    println!("MEASURED revoke to the agent's end {:.2} s", revoked.seconds());
    assert!(!status.success());
    assert!(again.log().contains("revoked"), "{}", again.log());
    // Its key is worth nothing now.
    let mut back = cluster.start_agent("second", None, None)?;
    assert!(!back.wait(15.0).success());
    assert!(
        cluster.agents.iter_mut().all(quorate_tests::process::Process::is_running),
        "the others are untouched"
    );

    let unknown = cluster.quorate(&["agents", "add", "x", "--region", "mars"]);
    let said = unknown.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("mars") && said.contains("eu-west"), "names what is known: {said}");
    Ok(())
}

#[test]
fn only_the_public_pages_are_public() -> Result<()> {
    let cluster = Cluster::start(&Plan::default())?;
    for path in ["/", "/status.json", "/api/v2/summary.json", "/api/v2/status.json", "/healthz", "/readyz"] {
        assert_eq!(http::get(cluster.http, path, None)?.status, 200, "{path}");
    }
    for path in ["/metrics", "/api/v1/monitors", "/api/v1/incidents", "/api/v1/agents", "/api/v1/deliveries"]
    {
        assert_eq!(http::get(cluster.http, path, None)?.status, 401, "{path}");
        assert_eq!(http::get(cluster.http, path, Some("qat_wrong"))?.status, 401, "{path}");
        assert_eq!(http::get(cluster.http, path, Some(&cluster.token()))?.status, 200, "{path}");
    }
    let public = http::get(cluster.http, "/status.json", None)?.json()?;
    assert!(public.get("monitors").is_some_and(Value::is_array));
    Ok(())
}

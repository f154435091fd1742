//! Presets against servers that we did not write: each passes, and each is broken and the right failure seen.
//!
//! A server that this machine lacks is named, and its test skipped. Where no such server can be had from Debian, npm or PyPI
//! the preset is held against a dialogue out of the protocol's documentation, and the output says so.

#[path = "presets/bench.rs"]
mod bench;
#[path = "presets/recorded.rs"]
mod recorded;

use std::process::Command;

use anyhow::{Result, ensure};
use quorate_tests::{
    process,
    requirement::Requirement::{
        ActionCable, Anvil, GraphqlWs, Mosquitto, RabbitMq, SignalR, SocketIo, StompBroker,
    },
    servers,
};

use self::{bench::Bench, recorded::Turn};

#[test]
fn socketio_on_npm_socket_io() -> Result<()> {
    let Some(bench) = Bench::new("socketio", SocketIo)? else { return Ok(()) };
    let server = servers::node(bench.folder(), "socketio", bench.port, &[])?;
    bench.passes("", "")?;
    bench.passes("", "samples = 5")?;
    bench.passes("/socket.io/?EIO=4&transport=websocket", "")?;
    bench.passes("", r#"preset_options = { namespace = "/closed", auth = '{"token":"open"}' }"#)?;
    bench.fails(
        "",
        r#"preset_options = { namespace = "/closed", auth = '{"token":"shut"}' }"#,
        "reply_timeout",
    )?;
    bench.fails("", r#"preset_options = { namespace = "/nobody" }"#, "reply_timeout")?;
    bench.fails("/chat/", "", "dropped")?;
    bench.is_silent_when_stopped("", &server)
}

#[test]
fn a_server_that_pings_gets_its_pongs() -> Result<()> {
    let Some(bench) = Bench::new("socketio", SocketIo)? else { return Ok(()) };
    // A ping every 300 ms, and the end 300 ms after one that is not answered: after five of them it says so.
    let _server = servers::node(bench.folder(), "socketio", bench.port, &["300"])?;
    let late = r#"steps = [{ expect = { contains = "late" } }]"#;
    bench.passes("", late)?;
    bench.fails("", &format!("{late}\nreplies = []"), "closed 1005")?;
    Ok(())
}

#[test]
fn graphql_on_npm_graphql_ws() -> Result<()> {
    let Some(bench) = Bench::new("graphql", GraphqlWs)? else { return Ok(()) };
    let server = servers::node(bench.folder(), "graphql_ws", bench.port, &[])?;
    bench.passes("/graphql", "samples = 5")?;
    bench.passes("/graphql", r#"preset_options = { query = "" }"#)?;
    bench.passes("/graphql", r#"preset_options = { query = "{ hello }", payload = '{"token":"right"}' }"#)?;
    bench.fails("/graphql", r#"preset_options = { payload = '{"token":"wrong"}' }"#, "closed 4403")?;
    // A query that the schema does not have is answered by an error, and never by what was waited for.
    bench.fails("/graphql", r#"preset_options = { query = "{ bye }" }"#, "reply_timeout")?;
    bench.fails("/graphql", r#"subprotocols = ["graphql-ws"]"#, "closed 4406")?;
    bench.fails("/graph", "", "upgrade_status 400")?;
    bench.is_silent_when_stopped("/graphql", &server)
}

#[test]
fn stomp_on_npm_stomp_broker_js() -> Result<()> {
    let Some(bench) = Bench::new("stomp", StompBroker)? else { return Ok(()) };
    let server = servers::node(bench.folder(), "stomp", bench.port, &[])?;
    bench.passes("/stomp", "")?;
    bench.passes("/stomp", r#"preset_options = { login = "a", passcode = "b", host = "broker" }"#)?;
    bench.fails("/wrong", "", "upgrade_status 400")?;
    bench.is_silent_when_stopped("/stomp", &server)
}

#[test]
fn stomp_on_rabbitmq() -> Result<()> {
    let Some(bench) = Bench::new("stomp", RabbitMq)? else { return Ok(()) };
    let broker = servers::rabbitmq(bench.folder(), bench.port)?;
    let login = |more: &str| format!("preset_options = {{ login = \"guest\", passcode = \"guest\"{more} }}");
    bench.passes("/ws", &login(""))?;
    bench.passes("/ws", &format!("samples = 5\n{}", login(", destination = \"/topic/quorate\"")))?;
    bench.passes("/ws", &format!("samples = 5\n{}", login(", destination = \"/queue/quorate\"")))?;
    bench.fails("/ws", &login(", host = \"nowhere\""), "reply_timeout")?;
    bench.fails("/ws", r#"preset_options = { login = "guest", passcode = "wrong" }"#, "reply_timeout")?;
    bench.fails("/wrong", &login(""), "upgrade_status 404")?;
    bench.is_silent_when_stopped("/ws", &broker.server)
}

#[test]
fn mqtt_on_mosquitto() -> Result<()> {
    let Some(bench) = Bench::new("mqtt", Mosquitto)? else { return Ok(()) };
    let server = servers::mosquitto(bench.folder(), bench.port, None)?;
    bench.passes("", "samples = 5")?;
    bench.passes("/", r#"preset_options = { client_id = "quorate" }"#)?;
    bench.fails("", r#"subprotocols = ["stomp"]"#, "dropped")?;
    bench.is_silent_when_stopped("", &server)
}

#[test]
fn mqtt_on_mosquitto_with_a_login() -> Result<()> {
    let Some(bench) = Bench::new("mqtt", Mosquitto)? else { return Ok(()) };
    let _server = servers::mosquitto(bench.folder(), bench.port, Some(("o'hara", "p<a]ss")))?;
    bench.passes("", r#"preset_options = { username = "o'hara", password = "p<a]ss" }"#)?;
    bench.fails("", r#"preset_options = { username = "o'hara", password = "pass" }"#, "dropped")?;
    bench.fails("", "", "dropped")?;
    Ok(())
}

#[test]
fn signalr_on_pypi_aiosignalr() -> Result<()> {
    let Some(bench) = Bench::new("signalr", SignalR)? else { return Ok(()) };
    let server = servers::signalr(bench.folder(), bench.port)?;
    bench.passes("/hub", "samples = 5")?;
    bench.fails("/wrong", "", "upgrade_status 404")?;
    bench.is_silent_when_stopped("/hub", &server)
}

#[test]
fn actioncable_on_rails() -> Result<()> {
    let Some(bench) = Bench::new("actioncable", ActionCable)? else { return Ok(()) };
    let server = servers::action_cable(bench.folder(), bench.port)?;
    // The server's ping comes every 3 s.
    let timeout = "timeout = \"9s\"";
    bench.passes("", timeout)?;
    bench.passes("", &format!("{timeout}\npreset_options = {{ channel = \"ChatChannel\" }}"))?;
    bench.fails("", r#"preset_options = { channel = "NoChannel" }"#, "reply_timeout")?;
    bench.fails("", r#"origin = "https://elsewhere.example""#, "upgrade_status 404")?;
    bench.fails(
        "",
        r#"steps = [{ expect_every = "500ms", expect = { json = "/type", equals = "ping" } }]"#,
        "stream_stale",
    )?;
    bench.is_silent_when_stopped("", &server)
}

#[test]
fn jsonrpc_on_an_ethereum_node() -> Result<()> {
    let Some(bench) = Bench::new("jsonrpc", Anvil)? else { return Ok(()) };
    let server = servers::anvil(bench.folder(), bench.port, Some(1))?;
    bench.passes("", "samples = 5")?;
    bench.passes("", r#"preset_options = { method = "eth_chainId", grow_within = "" }"#)?;
    bench.fails("", r#"preset_options = { method = "eth_noSuchMethod" }"#, "reply_timeout")?;
    bench.is_silent_when_stopped("", &server)
}

#[test]
fn a_chain_that_stands_still_is_seen() -> Result<()> {
    let Some(bench) = Bench::new("jsonrpc", Anvil)? else { return Ok(()) };
    let _server = servers::anvil(bench.folder(), bench.port, None)?;
    // Nobody makes a block: the number is the same in the second round trip.
    bench.fails("", "samples = 2\npreset_options = { grow_within = \"0s\" }", "content not_growing")?;
    Ok(())
}

/// The messages of `Phoenix.Socket.V2.JSONSerializer`, as "Writing a Channels Client" in Phoenix' documentation lists them.
const PHOENIX: &[Turn] = &[
    Turn {
        said: r#"["1","join","room:lobby","phx_join",{}]"#,
        answers: &[r#"["1","join","room:lobby","phx_reply",{"response":{},"status":"ok"}]"#],
    },
    Turn {
        said: r#"["1","join","room:nobody","phx_join",{}]"#,
        answers: &[
            r#"["1","join","room:nobody","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]"#,
        ],
    },
    Turn {
        said: r#"[null,"<…>","phoenix","heartbeat",{}]"#,
        answers: &[r#"[null,"<…>","phoenix","phx_reply",{"response":{},"status":"ok"}]"#],
    },
];

#[test]
fn phoenix_as_documented() -> Result<()> {
    println!(
        "NO REAL SERVER for the preset phoenix: Debian, npm and PyPI have none; a documented dialogue is played"
    );
    let bench = Bench::of("phoenix")?;
    recorded::play(bench.port, PHOENIX)?;
    bench.passes("", "samples = 5")?;
    bench.passes("", r#"preset_options = { topic = "room:lobby" }"#)?;
    bench.fails("", r#"preset_options = { topic = "room:nobody" }"#, "reply_timeout")?;
    Ok(())
}

#[test]
fn a_single_check_speaks_presets() -> Result<()> {
    let bench = Bench::of("phoenix")?;
    recorded::play(bench.port, PHOENIX)?;
    let url = format!("ws://127.0.0.1:{}", bench.port);
    for (arguments, exit, wanted) in [
        (
            &["--preset", "phoenix", "--preset-option", "topic=room:lobby"][..],
            0,
            "/socket/websocket?vsn=2.0.0",
        ),
        (
            &["--preset", "phoenix", "--preset-option", "topic=room:nobody", "--timeout", "1s"],
            1,
            "unmatched topic",
        ),
        (&["--preset", "pheonix"], 2, "perhaps \"phoenix\""),
        (&["--preset", "phoenix", "--preset-option", "topics=a"], 2, "perhaps \"topic\""),
    ] {
        let output = Command::new(process::binary("quorate")?)
            .args(["check", &url, "--quick"])
            .args(arguments)
            .output()?;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(exit), "{arguments:?}: {:?}\n{text}", output.status);
        // Long lines are wrapped.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(words.contains(wanted), "{arguments:?} tells nothing of {wanted}:\n{text}");
    }
    Ok(())
}

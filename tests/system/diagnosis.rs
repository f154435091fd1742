//! `check` against servers and proxies that we did not write: what refuses an upgrade is named with its mend, what keeps the
//! rules passes, and what the path does to an idle connection is found.

use std::{net::TcpListener, path::Path, process::Command};

use anyhow::{Context as _, Result};
use quorate_tests::{
    gateways,
    process::binary,
    requirement::{Requirement, available},
    servers,
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

/// The exit code, and the object that `check --json` prints.
fn check(arguments: &[&str], folder: &Path) -> Result<(Option<i32>, Value)> {
    let mut command = Command::new(binary("quorate-agent")?);
    let output = command.args(["check", "--json"]).args(arguments).current_dir(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let value = serde_json::from_str(&text).with_context(|| format!("{arguments:?}: {text}{error}"))?;
    Ok((output.status.code(), value))
}

/// What an upgrade behind a proxy must be explained by.
struct Refusal<'a> {
    what: &'a str,
    port: u16,
    status: u64,
    by: &'a str,
    hint: &'a str,
    mend: &'a str,
}

fn assert_explained(refusal: &Refusal<'_>, folder: &Path) -> Result<()> {
    let Refusal { what, port, status, by, hint, mend } = refusal;
    let url = format!("ws://127.0.0.1:{port}/ws");
    let (code, report) = check(&[&url, "--timeout", "5s"], folder)?;
    let failure = &report["failure"];
    assert_eq!((code, failure["kind"].as_str()), (Some(1), Some("upgrade_status")), "{what}: {report}");
    assert_eq!(report["http"]["status"], *status, "{what}: {report}");
    assert_eq!(failure["answered_by"].as_str(), Some(*by), "{what}: {report}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(text(&failure["hint"]).contains(hint), "{what}: {}", failure["hint"]);
    let lines = failure["mend"].as_array().map(|lines| lines.iter().map(text).collect::<Vec<_>>());
    let lines = lines.unwrap_or_default().join("\n");
    assert!(lines.contains(mend), "{what}: {lines}");
    eprintln!("{what}: {status} by {by}: {}", failure["hint"]);
    Ok(())
}

/// A server that takes connections and says nothing.
fn silent() -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

fn ports<const N: usize>() -> Result<[u16; N]> {
    let ports: Vec<_> = (0..N).map(|_| servers::free_port()).collect::<Result<_>>()?;
    ports.try_into().ok().context("as many as were asked for")
}

#[test]
fn what_nginx_refuses_is_explained() -> Result<()> {
    let wanted = [Requirement::Nginx, Requirement::NodeWs, Requirement::PythonWebsockets];
    if !available("what_nginx_refuses_is_explained", &wanted) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let [node, python, dead] = ports()?;
    let [plain, http11, to_python, to_dead, to_silent, limited, denied, files, tls, slow] = ports()?;
    let _node = servers::node_ws(folder.path(), node)?;
    let _python = servers::python_websockets(folder.path(), python)?;
    let (_listener, hung) = silent()?;
    let certificate = folder.path().join("chain.pem");
    let key = KeyPair::generate()?;
    let own = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    std::fs::write(&certificate, own.pem() + &key.serialize_pem())?;
    let certificate = certificate.display();
    let server = |port: u16, location: &str| {
        format!("server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}\n")
    };
    let lines = [
        "limit_req_zone $server_port zone=all:1m rate=1r/m;\nlimit_conn_zone $server_port zone=sockets:1m;\n".to_owned(),
        server(plain, &format!("proxy_pass http://127.0.0.1:{node};")),
        server(http11, &format!("proxy_http_version 1.1; proxy_pass http://127.0.0.1:{python};")),
        server(to_python, &format!("proxy_pass http://127.0.0.1:{python};")),
        server(to_dead, &format!("proxy_pass http://127.0.0.1:{dead};")),
        server(to_silent, &format!("proxy_read_timeout 1s; proxy_pass http://127.0.0.1:{hung};")),
        server(limited, &format!("limit_conn sockets 1; proxy_read_timeout 30s; proxy_pass http://127.0.0.1:{hung};")),
        server(denied, &format!("deny all; proxy_pass http://127.0.0.1:{node};")),
        server(files, "return 404;"),
        server(slow, &format!("limit_req zone=all; limit_req_status 429; proxy_pass http://127.0.0.1:{dead};")),
        format!(
            "server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}; }}\n"
        ),
    ]
    .concat();
    let _nginx = gateways::nginx(folder.path(), plain, &lines)?;
    // One holds the only place: it is never answered.
    let holder = hold(limited)?;
    let pass_on = "does not pass the upgrade on";
    let header = "proxy_set_header Upgrade $http_upgrade;";
    let case = |what, port, status, hint, mend| Refusal { what, port, status, by: "nginx", hint, mend };
    let first_of_slow = check(&[&format!("ws://127.0.0.1:{slow}/"), "--quick"], folder.path())?;
    assert_eq!(first_of_slow.1["http"]["status"], 502);
    for refusal in [
        case("npm ws without the headers", plain, 426, pass_on, header),
        case("websockets without the headers", http11, 426, pass_on, header),
        case("websockets over HTTP/1.0", to_python, 505, pass_on, "proxy_http_version 1.1;"),
        case("a path that nginx does not know", files, 404, pass_on, header),
        case("a server that is down", to_dead, 502, "the server behind it is not", "ss -ltnp"),
        case("a server that hangs", to_silent, 504, "does not answer", "--connect-to"),
        case("limit_conn", limited, 503, "limit of connections", "limit_conn"),
        case("limit_req", slow, 429, "how fast this address may connect", "limit_conn_zone"),
        case("deny", denied, 403, "`allow`/`deny`", "allow 203.0.113.7;"),
        case("ws:// where wss:// is spoken", tls, 400, "use wss://", ""),
    ] {
        assert_explained(&refusal, folder.path())?;
    }
    drop(holder);
    Ok(())
}

/// A request that is never answered, which holds a place in a limit of connections.
fn hold(port: u16) -> Result<std::net::TcpStream> {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    // nginx counts a request once it has read its head.
    quorate_tests::clock::wait_for("nginx to count it", 10.0, || {
        let mut other = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        other.set_read_timeout(Some(std::time::Duration::from_millis(500))).ok()?;
        other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = [0; 12];
        std::io::Read::read_exact(&mut other, &mut answer).ok()?;
        answer.ends_with(b"503").then_some(())
    });
    Ok(stream)
}

#[test]
fn what_haproxy_refuses_is_explained() -> Result<()> {
    if !available("what_haproxy_refuses_is_explained", &[Requirement::Haproxy, Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let [node, dead, good, to_dead, to_silent, to_tls, denied] = ports()?;
    let _node = servers::node_ws(folder.path(), node)?;
    let (_listener, hung) = silent()?;
    let closing = TcpListener::bind("127.0.0.1:0")?;
    let closing_port = closing.local_addr()?.port();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = closing.accept() {
            drop(stream);
        }
    });
    let way = |name: &str, port: u16, server: u16| {
        format!(
            "frontend f_{name}\n  bind 127.0.0.1:{port}\n  default_backend b_{name}\n\
             backend b_{name}\n  timeout tunnel 1h\n  server one 127.0.0.1:{server}\n"
        )
    };
    let sections = [
        way("good", good, node),
        way("dead", to_dead, dead),
        way("silent", to_silent, hung),
        way("closing", to_tls, closing_port),
        format!(
            "frontend f_denied\n  bind 127.0.0.1:{denied}\n  http-request deny\n  default_backend b_good\n"
        ),
    ]
    .concat();
    let _haproxy = gateways::haproxy(folder.path(), good, &sections)?;
    let (code, report) = check(&[&format!("ws://127.0.0.1:{good}/"), "--strict"], folder.path())?;
    assert_eq!(code, Some(0), "HAProxy passes upgrades on by itself: {report}");
    let case = |what, port, status, hint, mend| Refusal { what, port, status, by: "HAProxy", hint, mend };
    for refusal in [
        case("no server", to_dead, 503, "no server to send to", "timeout tunnel 1h"),
        case("a server that hangs", to_silent, 504, "does not answer", "timeout tunnel 1h"),
        case("a server that closes at once", to_tls, 502, "closed the connection", "check ssl"),
        case("a rule that denies", denied, 403, "A rule of HAProxy", "http-request allow"),
    ] {
        assert_explained(&refusal, folder.path())?;
    }
    Ok(())
}

#[test]
fn what_caddy_refuses_is_explained() -> Result<()> {
    if !available("what_caddy_refuses_is_explained", &[Requirement::Caddy, Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let [node, dead, good, to_dead, to_silent, stripped, page, files] = ports()?;
    let _node = servers::node_ws(folder.path(), node)?;
    let (_listener, hung) = silent()?;
    let place = folder.path().display();
    let sites = format!(
        "http://:{good} {{\n reverse_proxy 127.0.0.1:{node}\n}}
         http://:{to_dead} {{\n reverse_proxy 127.0.0.1:{dead}\n}}
         http://:{to_silent} {{\n reverse_proxy 127.0.0.1:{hung} {{
           transport http {{\n response_header_timeout 1s\n }}\n }}\n}}
         http://:{stripped} {{\n reverse_proxy 127.0.0.1:{node} {{\n header_up -Upgrade\n header_up -Connection\n }}\n}}
         http://:{page} {{\n respond \"hello\"\n}}
         http://:{files} {{\n root * {place}\n file_server\n}}\n"
    );
    let _caddy = gateways::caddy(folder.path(), good, &sites)?;
    let (code, report) = check(&[&format!("ws://127.0.0.1:{good}/"), "--strict"], folder.path())?;
    assert_eq!(code, Some(0), "Caddy passes upgrades on by itself: {report}");
    let case = |what, port, status, hint, mend| Refusal { what, port, status, by: "Caddy", hint, mend };
    for refusal in [
        case("a server that is down", to_dead, 502, "the server behind it is not", "journalctl -u caddy"),
        case("a server that hangs", to_silent, 504, "does not answer in time", "--connect-to"),
        case("headers taken away", stripped, 426, "did not get the upgrade", "reverse_proxy /ws"),
        case("another handler", page, 200, "no `reverse_proxy` takes this path", "reverse_proxy /ws*"),
        case("files", files, 404, "knows the path", "reverse_proxy /ws*"),
    ] {
        assert_explained(&refusal, folder.path())?;
    }
    Ok(())
}

#[test]
fn servers_of_others_keep_the_rules() -> Result<()> {
    let wanted = [Requirement::NodeWs, Requirement::PythonWebsockets];
    if !available("servers_of_others_keep_the_rules", &wanted) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let [node, python] = ports()?;
    let _node = servers::node_ws(folder.path(), node)?;
    let _python = servers::python_websockets(folder.path(), python)?;
    for (name, port) in [("npm ws", node), ("websockets", python)] {
        let url = format!("ws://127.0.0.1:{port}/");
        let arguments = [&url, "--strict", "--samples", "5", "--send", "{\"hello\":1}"];
        let (code, report) = check(&arguments, folder.path())?;
        let points = report["conformance"].as_array().context("a list")?;
        let odd: Vec<_> = points.iter().filter(|point| point["verdict"] != "pass").collect();
        eprintln!("{name}: {} of {} rules kept; otherwise {odd:?}", points.len() - odd.len(), points.len());
        assert_eq!(code, Some(0), "{name}: {report}");
        assert!(points.len() >= 20, "{name}: {report}");
        // Any Origin may connect to both, and one tells no version.
        assert!(
            odd.iter()
                .all(|point| ["origin", "version_refused"].contains(&point["name"].as_str().unwrap_or("?"))),
            "{name}: {odd:?}"
        );
        assert_eq!(report["round_trips_ms"]["count"], 5, "{name}");
        // It still serves, and nothing of what was wrong on purpose stayed behind.
        let (code, report) = check(&[&url, "--quick"], folder.path())?;
        assert_eq!(code, Some(0), "{name}: {report}");
    }
    Ok(())
}

#[test]
fn a_server_that_gives_silent_clients_up_is_known() -> Result<()> {
    if !available("a_server_that_gives_silent_clients_up", &[Requirement::PythonWebsockets]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let port = servers::free_port()?;
    let _server = servers::python_heartbeat(folder.path(), port)?;
    let url = format!("ws://127.0.0.1:{port}/");
    let (code, report) = check(&[&url, "--quick", "--listen", "10s"], folder.path())?;
    assert_eq!((code, &report["heard"]["ended_with"]), (Some(0), &Value::from(1011)), "{report}");
    let (code, report) = check(&[&url, "--listen", "10s"], folder.path())?;
    let items = report["checklist"].as_array().context("a list")?;
    let heartbeat = items.iter().find(|item| item["name"] == "heartbeat").context("it is there")?;
    assert_eq!((code, heartbeat["verdict"].as_str()), (Some(0), Some("pass")), "{heartbeat}");
    Ok(())
}

#[test]
fn the_idle_timeout_of_nginx_is_found() -> Result<()> {
    if !available("the_idle_timeout_of_nginx_is_found", &[Requirement::Nginx, Requirement::NodeWs]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let [node, port] = ports()?;
    let _node = servers::node_ws(folder.path(), node)?;
    let _nginx = servers::Nginx::start_with(folder.path(), port, node, "proxy_read_timeout 3s;")?;
    let url = format!("ws://127.0.0.1:{port}/");
    let (code, report) = check(&[&url, "--find-idle-timeout", "--max", "10s"], folder.path())?;
    assert_eq!((code, &report["idle_timeout"]["finding"]), (Some(0), &Value::from("cut")), "{report}");
    let cut = report["idle_timeout"]["cut_ms"].as_f64().context("a number")?;
    assert!((2_900.0..4_500.0).contains(&cut), "{}", report["idle_timeout"]);
    eprintln!("MEASURED proxy_read_timeout 3s is found as {cut} ms");
    let items = report["checklist"].as_array().context("a list")?;
    let point = items.iter().find(|item| item["name"] == "idle_timeout").context("it is there")?;
    assert_eq!(point["verdict"], "fail", "below any keepalive: {point}");
    Ok(())
}

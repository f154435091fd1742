//! WebSocket servers that we did not write: npm's `ws`, PyPI's `websockets`, nginx in front of one, and those of protocols
//! above WebSocket.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{clock, process::Process, requirement};

/// Debian's nginx; not on every user's path.
pub const NGINX: &str = "/usr/sbin/nginx";

/// Debian's mosquitto; not on every user's path.
pub const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// Debian's RabbitMQ, without the wrapper that changes the user.
pub const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A port that nobody listens on, for servers that cannot say which one they got. Below the range from which the system
/// gives ports to clients, so that no client takes it in between; different in each test process.
///
/// # Errors
/// Where no port is free.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = u16::try_from(std::process::id() % 200)? * 50 + 12_000;
    for _ in 0..1_000 {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 8_000;
        let free = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
            && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if free {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free")
}

/// An echo server on npm's `ws`.
///
/// # Errors
/// Where it does not start.
pub fn node_ws(folder: &Path, port: u16) -> Result<Process> {
    node_ws_on(folder, "127.0.0.1", port)
}

/// The same on a given address.
///
/// # Errors
/// Where it does not start.
pub fn node_ws_on(folder: &Path, address: &str, port: u16) -> Result<Process> {
    let mut command = Command::new("node");
    command
        .arg(script("ws_echo.cjs"))
        .args([port.to_string().as_str(), address])
        .env("QUORATE_TEST_CACHE", requirement::cache());
    let server = Process::start(&format!("ws-{port}"), folder, &mut command)?;
    wait_until_listening(address, port);
    Ok(server)
}

/// A server on npm's `ws` that closes with `code` on SIGTERM, and refuses newcomers with 503 from SIGUSR2 on.
///
/// # Errors
/// Where it does not start.
pub fn node_lifecycle(folder: &Path, port: u16, code: u16) -> Result<Process> {
    let mut command = Command::new("node");
    command
        .arg(script("ws_lifecycle.cjs"))
        .args([port.to_string(), code.to_string()])
        .env("QUORATE_TEST_CACHE", requirement::cache());
    let server = Process::start(&format!("ws-lifecycle-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// The same, which pings every second and gives up who does not answer for one.
///
/// # Errors
/// Where it does not start.
pub fn python_heartbeat(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(requirement::cache().join("venv/bin/python"));
    command.arg(script("heartbeat.py")).arg(port.to_string());
    let server = Process::start(&format!("heartbeat-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// An echo server on PyPI's `websockets`.
///
/// # Errors
/// Where it does not start.
pub fn python_websockets(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(requirement::cache().join("venv/bin/python"));
    command.arg(script("echo.py")).arg(port.to_string());
    let server = Process::start(&format!("websockets-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// The same, which says goodbye when it is asked to end (SIGTERM).
///
/// # Errors
/// Where it does not start.
pub fn python_graceful(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(requirement::cache().join("venv/bin/python"));
    started(folder, "graceful", port, command.arg(script("graceful.py")).arg(port.to_string()))
}

/// A server on npm's `ws` that has something to say: `tests/servers/feed.cjs` tells what, by path.
///
/// # Errors
/// Where it does not start.
pub fn node_feed(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new("node");
    command.arg(script("feed.cjs")).arg(port.to_string()).env("QUORATE_TEST_CACHE", requirement::cache());
    let server = Process::start(&format!("feed-ws-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// The same on PyPI's `websockets`.
///
/// # Errors
/// Where it does not start.
pub fn python_feed(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(requirement::cache().join("venv/bin/python"));
    command.arg(script("feed.py")).arg(port.to_string());
    let server = Process::start(&format!("feed-websockets-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// One of the servers in `tests/servers` that run in Node.js. `arguments` come behind the port.
///
/// # Errors
/// Where it does not start.
pub fn node(folder: &Path, name: &str, port: u16, arguments: &[&str]) -> Result<Process> {
    let mut command = Command::new("node");
    command.arg(script(&format!("{name}.cjs"))).arg(port.to_string()).args(arguments);
    started(folder, name, port, command.env("QUORATE_TEST_CACHE", requirement::cache()))
}

/// A hub of PyPI's `aiosignalr`.
///
/// # Errors
/// Where it does not start.
pub fn signalr(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(requirement::cache().join("signalr/bin/python"));
    started(folder, "signalr", port, command.arg(script("signalr.py")).arg(port.to_string()))
}

/// Rails' Action Cable under puma.
///
/// # Errors
/// Where it does not start.
pub fn action_cable(folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new("puma");
    command.current_dir(folder).args(["--bind", &format!("tcp://127.0.0.1:{port}"), "--threads", "1:5"]);
    started(folder, "action-cable", port, command.arg(script("action_cable.ru")))
}

/// The program of npm's `@foundry-rs/anvil-linux-amd64`.
pub fn anvil_program() -> PathBuf {
    requirement::cache().join("node/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")
}

/// An Ethereum node of its own chain, with a new block every so many seconds, or none at all.
///
/// # Errors
/// Where it does not start.
pub fn anvil(folder: &Path, port: u16, block_seconds: Option<u32>) -> Result<Process> {
    let mut command = Command::new(anvil_program());
    command.args(["--silent", "--accounts", "1", "--port", &port.to_string()]).env("HOME", folder);
    if let Some(seconds) = block_seconds {
        command.args(["--block-time", &seconds.to_string()]);
    }
    started(folder, "anvil", port, &mut command)
}

/// mosquitto with one listener for WebSocket. With a login (user and password) it lets nobody else in.
///
/// # Errors
/// Where it does not start.
pub fn mosquitto(folder: &Path, port: u16, login: Option<(&str, &str)>) -> Result<Process> {
    let folder = folder.join(format!("mosquitto-{port}"));
    fs::create_dir_all(&folder)?;
    // Version 2.0.11 does not count a listener for WebSocket as one, and ends where it has no other.
    let other = folder.join("socket");
    let mut lines = format!(
        "user root\nlistener 0 {}\nlistener {port} 127.0.0.1\nprotocol websockets\n",
        other.display()
    );
    match login {
        None => lines.push_str("allow_anonymous true\n"),
        Some((user, password)) => {
            let passwords = folder.join("passwords");
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&passwords)
                .args([user, password])
                .output()?;
            anyhow::ensure!(
                made.status.success(),
                "mosquitto_passwd: {}",
                String::from_utf8_lossy(&made.stderr)
            );
            lines.push_str(&format!("allow_anonymous false\npassword_file {}\n", passwords.display()));
        }
    }
    let configuration = folder.join("mosquitto.conf");
    fs::write(&configuration, lines)?;
    started(&folder, "mosquitto", port, Command::new(MOSQUITTO).arg("-c").arg(configuration))
}

/// RabbitMQ with its STOMP over WebSocket, and the port mapper that Erlang wants beside it.
#[derive(Debug)]
pub struct RabbitMq {
    /// The broker.
    pub server: Process,
    _port_mapper: Process,
}

/// Starts RabbitMQ, which takes its time. The path is `/ws`, the user `guest`.
///
/// # Errors
/// Where it does not start.
pub fn rabbitmq(folder: &Path, port: u16) -> Result<RabbitMq> {
    let (mapper_port, own_port) = (free_port()?.to_string(), free_port()?.to_string());
    // Started by Erlang itself it would become a daemon and outlive the test.
    let mut mapper = Command::new("epmd");
    let port_mapper = Process::start("epmd", folder, mapper.args(["-port", &mapper_port]))?;
    let configuration = folder.join("rabbitmq.conf");
    fs::write(
        &configuration,
        format!(
            "listeners.tcp = none\nstomp.listeners.tcp = none\nweb_stomp.tcp.ip = 127.0.0.1\nweb_stomp.tcp.port = {port}\n"
        ),
    )?;
    fs::write(folder.join("plugins"), "[rabbitmq_web_stomp].\n")?;
    let mut command = Command::new(RABBITMQ);
    command
        .env("HOME", folder)
        // It then is one process, which can be signalled.
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
        .env("RABBITMQ_CONFIG_FILE", &configuration)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder)
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_NODENAME", format!("quorate{port}@localhost"))
        .env("RABBITMQ_DIST_PORT", own_port)
        .env("ERL_EPMD_PORT", mapper_port);
    let server = Process::start("rabbitmq", folder, &mut command)?;
    clock::wait_for("RabbitMQ's listener", 90.0, || TcpStream::connect(("127.0.0.1", port)).ok());
    Ok(RabbitMq { server, _port_mapper: port_mapper })
}

fn started(folder: &Path, name: &str, port: u16, command: &mut Command) -> Result<Process> {
    let server = Process::start(&format!("{name}-{port}"), folder, command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(server)
}

/// nginx in front of a WebSocket server.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    folder: PathBuf,
    port: u16,
    upstream: u16,
}

impl Nginx {
    /// Starts nginx, configured right.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(folder: &Path, port: u16, upstream: u16) -> Result<Self> {
        Self::start_with(folder, port, upstream, "")
    }

    /// The same, with directives of its own for what it passes on, such as `proxy_read_timeout 5s;`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_with(folder: &Path, port: u16, upstream: u16, directives: &str) -> Result<Self> {
        let folder = folder.join(format!("nginx-{port}"));
        fs::create_dir_all(&folder)?;
        write_configuration(&folder, port, upstream, &format!("{PASSES_UPGRADE} {directives}"))?;
        let mut command = Command::new(NGINX);
        command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf")).args(["-g", "daemon off;"]);
        let process = Process::start("nginx", &folder, &mut command)?;
        wait_until_listening("127.0.0.1", port);
        Ok(Self { process, folder, port, upstream })
    }

    /// Rewrites the configuration, with the headers that pass an upgrade on or without, and has nginx read it again.
    ///
    /// # Errors
    /// Where nginx is gone.
    pub fn configure(&self, passes_upgrade: bool) -> Result<()> {
        let directives = if passes_upgrade { PASSES_UPGRADE } else { "" };
        write_configuration(&self.folder, self.port, self.upstream, directives)?;
        self.process.signal(rustix::process::Signal::HUP)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// What nginx must be told to pass an upgrade on.
const PASSES_UPGRADE: &str = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";

fn write_configuration(folder: &Path, port: u16, upstream: u16, directives: &str) -> Result<()> {
    let folder_text = folder.to_str().context("a temporary folder with an odd name")?;
    fs::write(
        folder.join("nginx.conf"),
        format!(
            "worker_processes 1; pid {folder_text}/pid; error_log {folder_text}/error.log; user root;
             events {{ worker_connections 256; }}
             http {{ access_log off; client_body_temp_path {folder_text}/body; proxy_temp_path {folder_text}/proxy;
               fastcgi_temp_path {folder_text}/f; uwsgi_temp_path {folder_text}/u; scgi_temp_path {folder_text}/s;
               server {{ listen 127.0.0.1:{port};
                 location / {{ proxy_pass http://127.0.0.1:{upstream}; {directives} }} }} }}\n"
        ),
    )?;
    Ok(())
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers").join(name)
}

pub(crate) fn wait_until_listening(address: &str, port: u16) {
    clock::wait_for(format!("a server on {address}:{port}"), 20.0, || {
        let address = format!("{address}:{port}").parse().ok()?;
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
    });
}

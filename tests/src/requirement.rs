//! What a test needs from the machine. What is not there is named, and only the test that needs it is skipped.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// Something that `./tests/run` installs where it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Node.js with npm's `ws`.
    NodeWs,
    /// Python with PyPI's `websockets`.
    PythonWebsockets,
    /// Node.js with npm's `socket.io`.
    SocketIo,
    /// Node.js with npm's `graphql-ws`, `graphql` and `ws`.
    GraphqlWs,
    /// Node.js with npm's `stomp-broker-js`.
    StompBroker,
    /// The Ethereum node of npm's `@foundry-rs/anvil-linux-amd64`.
    Anvil,
    /// Python with PyPI's `aiosignalr`, in an environment of its own.
    SignalR,
    /// Ruby with Debian's `ruby-actioncable` and `puma`.
    ActionCable,
    /// Debian's mosquitto.
    Mosquitto,
    /// Debian's RabbitMQ.
    RabbitMq,
    /// nginx.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Caddy.
    Caddy,
    /// tinyproxy.
    Tinyproxy,
    /// Squid.
    Squid,
    /// Prometheus' `promtool`.
    Promtool,
    /// Root with network namespaces.
    NetworkNamespaces,
    /// Root that may mount a tmpfs.
    Tmpfs,
}

/// The folder of the servers that `./tests/run` installs.
pub fn cache() -> PathBuf {
    env::var_os("QUORATE_TEST_CACHE")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.cache")), PathBuf::from)
}

/// Whether all of these are there. If not, says so on stderr; with `QUORATE_REQUIRE_SERVERS=1` that is a failure.
///
/// # Panics
/// With that variable, where something is missing.
pub fn available(test: &str, wanted: &[Requirement]) -> bool {
    let missing: Vec<_> = wanted.iter().filter(|requirement| !requirement.is_met()).collect();
    if missing.is_empty() {
        return true;
    }
    assert!(env::var_os("QUORATE_REQUIRE_SERVERS").is_none(), "{test} needs {missing:?}");
    eprintln!("SKIPPED {test}: this machine lacks {missing:?}");
    false
}

impl Requirement {
    fn is_met(self) -> bool {
        match self {
            Self::NodeWs => has_node_modules(&["ws"]),
            Self::SocketIo => has_node_modules(&["socket.io"]),
            Self::GraphqlWs => has_node_modules(&["graphql-ws", "graphql", "ws"]),
            Self::StompBroker => has_node_modules(&["stomp-broker-js"]),
            Self::Anvil => runs(&crate::servers::anvil_program().to_string_lossy(), &["--version"]),
            Self::SignalR => {
                let python = cache().join("signalr/bin/python");
                runs(&python.to_string_lossy(), &["-c", "import aiosignalr.server, aiohttp"])
            }
            Self::ActionCable => runs("ruby", &["-e", "require 'action_cable'; require 'puma'"]),
            Self::Mosquitto => Path::new(crate::servers::MOSQUITTO).exists(),
            Self::RabbitMq => Path::new(crate::servers::RABBITMQ).exists(),
            Self::PythonWebsockets => {
                let python = cache().join("venv/bin/python");
                runs(&python.to_string_lossy(), &["-c", "import websockets"])
            }
            Self::Nginx => runs(crate::servers::NGINX, &["-v"]),
            Self::Haproxy => runs(crate::gateways::HAPROXY, &["-v"]),
            Self::Caddy => runs("caddy", &["version"]),
            Self::Tinyproxy => runs("tinyproxy", &["-v"]),
            Self::Squid => runs(crate::proxies::SQUID, &["-v"]),
            Self::Promtool => runs("promtool", &["--version"]),
            Self::NetworkNamespaces => {
                // Whether one can be made is only known by making one; its name is this process's own.
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let name = format!("quorate-try-{}-{number}", std::process::id());
                let made = runs("ip", &["netns", "add", &name]);
                made && runs("ip", &["netns", "del", &name])
            }
            Self::Tmpfs => runs("unshare", &["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]),
        }
    }
}

fn has_node_modules(names: &[&str]) -> bool {
    let folder = cache().join("node/node_modules");
    names.iter().all(|name| folder.join(name).is_dir()) && runs("node", &["--version"])
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

//! Network namespaces: a host of its own for one agent, with a cable that can be pulled.

use std::{fs::File, os::fd::AsFd, path::Path, process::Command};

use anyhow::{Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A namespace joined to this one by a pair of virtual interfaces. Removed with its value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    link: String,
    outer: String,
}

impl Namespace {
    /// Makes one. `number` (below 250) tells the namespaces of one test process apart.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn make(number: u8) -> Result<Self> {
        let id = std::process::id() % 10_000;
        let name = format!("quorate-{id}-{number}");
        let link = format!("qr{id}n{number}");
        let subnet = format!("10.{}.{}", 64 + id % 64, number);
        let outer = format!("{subnet}.1");
        let namespace = Self { name: name.clone(), link: link.clone(), outer: outer.clone() };
        run(&["ip", "netns", "add", &name])?;
        run(&["ip", "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
        run(&["ip", "address", "add", &format!("{outer}/24"), "dev", &link])?;
        run(&["ip", "link", "set", &link, "up"])?;
        namespace.inside(&["ip", "address", "add", &format!("{subnet}.2/24"), "dev", "eth0"])?;
        namespace.inside(&["ip", "link", "set", "eth0", "up"])?;
        namespace.inside(&["ip", "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The address of this side, as the namespace sees it.
    pub fn host(&self) -> &str {
        &self.outer
    }

    /// A command that runs inside.
    pub fn command(&self, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Moves this thread, and it alone, inside.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn enter(&self) -> Result<()> {
        enter(&self.name)
    }

    /// Pulls the cable, or puts it back.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn set_connected(&self, connected: bool) -> Result<()> {
        run(&["ip", "link", "set", &self.link, if connected { "up" } else { "down" }])
    }

    /// Drops what the namespace sends to one TCP port, or lets it pass again.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn set_blocked(&self, port: u16, blocked: bool) -> Result<()> {
        let action = if blocked { "-A" } else { "-D" };
        self.inside(&["iptables", action, "OUTPUT", "-p", "tcp", "--dport", &port.to_string(), "-j", "DROP"])
    }

    fn inside(&self, command: &[&str]) -> Result<()> {
        run(&[&["ip", "netns", "exec", &self.name], command].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(run(&["ip", "netns", "del", &self.name]));
        drop(run(&["ip", "link", "del", &self.link]));
    }
}

/// A namespace in which every address there is leads to itself: whatever is dialled inside arrives inside. Removed with its
/// value.
#[derive(Debug)]
pub struct Everywhere {
    name: String,
}

impl Everywhere {
    /// Makes one.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn make() -> Result<Self> {
        let name = format!("quorate-all-{}", std::process::id());
        run(&["ip", "netns", "add", &name])?;
        let everywhere = Self { name };
        for command in [
            &["ip", "link", "set", "lo", "up"][..],
            &["ip", "route", "add", "local", "default", "dev", "lo"],
            &["ip", "-6", "route", "add", "local", "default", "dev", "lo"],
        ] {
            run(&[&["ip", "netns", "exec", &everywhere.name], command].concat())?;
        }
        Ok(everywhere)
    }

    /// Moves this thread, and it alone, inside.
    ///
    /// # Errors
    /// Where the system says no.
    pub fn enter(&self) -> Result<()> {
        enter(&self.name)
    }
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        drop(run(&["ip", "netns", "del", &self.name]));
    }
}

fn enter(name: &str) -> Result<()> {
    let namespace = File::open(Path::new("/var/run/netns").join(name))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

fn run(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().unwrap_or((&"true", &[]));
    let output =
        Command::new(program).args(arguments).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

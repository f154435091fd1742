//! Reverse proxies that we did not write, each with a configuration of the test's own.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    process::Process,
    servers::{NGINX, wait_until_listening},
};

/// Debian's HAProxy; not on every user's path.
pub const HAPROXY: &str = "/usr/sbin/haproxy";

/// nginx with these lines within `http`; the first of the ports is waited for.
///
/// # Errors
/// Where it does not start.
pub fn nginx(folder: &Path, port: u16, lines: &str) -> Result<Process> {
    let folder = folder.join(format!("nginx-{port}"));
    fs::create_dir_all(&folder)?;
    let place = folder.to_str().context("a temporary folder with an odd name")?;
    fs::write(
        folder.join("nginx.conf"),
        format!(
            "worker_processes 1; pid {place}/pid; error_log {place}/error.log; user root;
             events {{ worker_connections 256; }}
             http {{ access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
               fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
               {lines} }}\n"
        ),
    )?;
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf")).args(["-g", "daemon off;"]);
    start("nginx", &folder, port, &mut command)
}

/// HAProxy in its HTTP mode, with these sections behind its defaults.
///
/// # Errors
/// Where it does not start.
pub fn haproxy(folder: &Path, port: u16, sections: &str) -> Result<Process> {
    let configuration = folder.join(format!("haproxy-{port}.cfg"));
    fs::write(
        &configuration,
        format!(
            "global\n  maxconn 200\n\
             defaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 1s\n\
             {sections}\n"
        ),
    )?;
    let mut command = Command::new(HAPROXY);
    command.arg("-db").arg("-f").arg(&configuration);
    start("haproxy", folder, port, &mut command)
}

/// Caddy with this Caddyfile behind its global options.
///
/// # Errors
/// Where it does not start.
pub fn caddy(folder: &Path, port: u16, sites: &str) -> Result<Process> {
    let folder = folder.join(format!("caddy-{port}"));
    fs::create_dir_all(&folder)?;
    let configuration = folder.join("Caddyfile");
    fs::write(&configuration, format!("{{\n  admin off\n  auto_https off\n}}\n{sites}\n"))?;
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&configuration);
    for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        command.env(variable, &folder);
    }
    start("caddy", &folder, port, &mut command)
}

fn start(name: &str, folder: &Path, port: u16, command: &mut Command) -> Result<Process> {
    let process = Process::start(&format!("{name}-{port}"), folder, command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(process)
}

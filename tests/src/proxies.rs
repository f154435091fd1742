//! What stands between an agent and a server, and what we did not write: forward proxies, and nginx that asks for a client
//! certificate.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    process::Process,
    servers::{NGINX, wait_until_listening},
};

/// Debian's Squid; not on every user's path.
pub const SQUID: &str = "/usr/sbin/squid";

/// tinyproxy, with these lines of configuration besides.
///
/// # Errors
/// Where it does not start.
pub fn tinyproxy(folder: &Path, port: u16, lines: &str) -> Result<Process> {
    let configuration = folder.join(format!("tinyproxy-{port}.conf"));
    fs::write(
        &configuration,
        format!("Port {port}\nListen 127.0.0.1\nTimeout 30\nMaxClients 20\n{lines}\n"),
    )?;
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(&configuration);
    let proxy = Process::start(&format!("tinyproxy-{port}"), folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(proxy)
}

/// Squid, without a cache, which gives a connection up after a second.
///
/// # Errors
/// Where it does not start.
pub fn squid(folder: &Path, port: u16) -> Result<Process> {
    // It writes its log as a user of its own.
    let folder = folder.join(format!("squid-{port}"));
    fs::create_dir_all(&folder)?;
    for open in [Some(folder.as_path()), folder.parent()].into_iter().flatten() {
        fs::set_permissions(open, fs::Permissions::from_mode(0o777))?;
    }
    let place = folder.to_str().context("a temporary folder with an odd name")?;
    let configuration = folder.join("squid.conf");
    fs::write(
        &configuration,
        format!(
            "http_port 127.0.0.1:{port}
             http_access allow all
             access_log none
             cache_log {place}/cache.log
             coredump_dir {place}
             pid_filename none
             cache deny all
             cache_mem 0
             memory_cache_shared off
             collapsed_forwarding off
             visible_hostname squid.test
             pinger_enable off
             shutdown_lifetime 0 seconds
             connect_timeout 1 second
             forward_timeout 1 second
             dns_nameservers 127.0.0.77
             dns_timeout 2 seconds\n"
        ),
    )?;
    let mut command = Command::new(SQUID);
    // The name is that of its shared memory, which another process's must not be.
    command.args(["-N", "-n", &format!("t{}x{port}", std::process::id())]).arg("-f").arg(&configuration);
    let proxy = Process::start(&format!("squid-{port}"), &folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(proxy)
}

/// The PEM texts of a TLS server that asks for certificates of its clients.
#[derive(Clone, Copy, Debug)]
pub struct Pems<'a> {
    /// Its own chain.
    pub chain: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Who signs its clients' certificates.
    pub clients: &'a str,
}

/// nginx with TLS and `ssl_verify_client on` in front of a WebSocket server.
///
/// # Errors
/// Where it does not start.
pub fn nginx_that_asks(folder: &Path, port: u16, upstream: u16, pems: Pems<'_>) -> Result<Process> {
    let folder = folder.join(format!("nginx-{port}"));
    fs::create_dir_all(&folder)?;
    for (name, pem) in [("chain.pem", pems.chain), ("key.pem", pems.key), ("clients.pem", pems.clients)] {
        fs::write(folder.join(name), pem)?;
    }
    let place = folder.to_str().context("a temporary folder with an odd name")?;
    fs::write(
        folder.join("nginx.conf"),
        format!(
            "worker_processes 1; pid {place}/pid; error_log {place}/error.log; user root;
             events {{ worker_connections 256; }}
             http {{ access_log off; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
               fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
               server {{ listen 127.0.0.1:{port} ssl;
                 ssl_certificate {place}/chain.pem; ssl_certificate_key {place}/key.pem;
                 ssl_client_certificate {place}/clients.pem; ssl_verify_client on;
                 location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1;
                   proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; }} }} }}\n"
        ),
    )?;
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf")).args(["-g", "daemon off;"]);
    let process = Process::start("nginx", &folder, &mut command)?;
    wait_until_listening("127.0.0.1", port);
    Ok(process)
}

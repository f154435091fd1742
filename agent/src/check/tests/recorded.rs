//! Answers of proxies and hosts that do not run here, met as the probe meets them: off a socket.

use std::{collections::BTreeSet, fs, path::PathBuf};

use quorate_proto::{Outcome, cause};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::specified;
use crate::{
    egress::Egress,
    probe::{Nameservers, Options, Prober},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/check/recorded")
}

/// What is made of a file's bytes, in answer to an upgrade.
async fn explained(file: &str) -> cause::Cause {
    let bytes = fs::read(folder().join(file)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let _ = stream.read(&mut head).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    });
    let options =
        Options { egress: Egress::Private, region: None, nameservers: Nameservers::System, proxy: None };
    let checked = Prober::new(options).unwrap().check(&specified(&[&url]), None).await;
    match &checked.outcome {
        Outcome::Failed(failure) => cause::explain(failure),
        Outcome::Passed => panic!("{file} passed"),
    }
}

#[tokio::test]
async fn recorded_answers_are_recognised() {
    let cases = [
        ("alb_503.http", "AWS Application Load Balancer", "no targets", "describe-target-health"),
        ("apache_426.http", "Apache", "does not pass the upgrade on", "upgrade=websocket"),
        ("apache_500.http", "Apache", "No protocol handler", "a2enmod proxy"),
        ("apache_502.http", "Apache", "was silent (502, 504)", "ss -ltnp"),
        ("apache_503.http", "Apache", "refused the connection (503)", "retry=1"),
        ("api_gateway_403.http", "AWS API Gateway", "lacks the stage", "execute-api"),
        ("api_gateway_500.http", "AWS API Gateway", "`$connect` route failed", "get-integrations"),
        ("azure_front_door_404.http", "Azure Front Door", "no route", "az afd route list"),
        ("azure_gateway_403.http", "Azure Application Gateway", "firewall", "show-backend-health"),
        ("cloudflare_307.http", "Cloudflare", "do not follow redirects", ""),
        ("cloudflare_400.http", "Cloudflare", "WebSockets are switched off", "settings/websockets"),
        ("cloudflare_403.http", "Cloudflare", "challenge", "Custom rules"),
        ("cloudflare_522.http", "Cloudflare", "522 a timeout", "--connect-to"),
        ("cloudfront_403.http", "AWS CloudFront", "403 is its WAF", "AllViewer"),
        ("envoy_403.http", "Envoy", "refuses upgrades that are not switched on", "upgrade_type: websocket"),
        ("envoy_503.http", "Envoy", "no answer from the server", "/clusters"),
        ("google_404.http", "Google Cloud load balancer", "no route", "--timeout=86400"),
        ("google_503.http", "Google Cloud load balancer", "no healthy backend", "get-health"),
        ("heroku_502.http", "Heroku", "The dyno crashed", "heroku logs"),
        ("iis_400.http", "IIS", "WebSocket feature", "Web-WebSockets"),
        ("kong_426.http", "nginx", "does not pass the upgrade on", "proxy_http_version 1.1"),
        ("traefik_404.http", "Traefik", "no router takes", "traefik.http.routers"),
    ];
    for (file, by, hint, mend) in cases {
        let cause = explained(file).await;
        assert_eq!(cause.answered_by.map(cause::Product::name), Some(by), "{file}: {cause:?}");
        let said = cause.hint.to_lowercase();
        assert!(said.contains(&hint.to_lowercase()), "{file}: {}", cause.hint);
        let lines = cause.mend.join("\n");
        assert!(lines.contains(mend), "{file}: {lines}");
    }
    // Every file is met, and its origin is told.
    let met: BTreeSet<_> = cases.iter().map(|(file, ..)| (*file).to_owned()).collect();
    let there =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<_> = there.filter(|name| name.ends_with(".http")).collect();
    assert_eq!(met, there);
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    for file in there {
        assert!(readme.contains(&format!("`{file}`")), "{file} has no origin");
    }
}

//! The rows of refused upgrades whose answerer is known: what each proxy, load balancer or host means by its answer, and the
//! lines of configuration that mend it.
//!
//! Each row is met by a test: nginx, HAProxy and Caddy by themselves, the others by answers that were recorded.

use super::{Case, Product, Row, mended, table::STATUS};

const PASS_UPGRADE_NGINX: &[&str] = &[
    "# nginx, in the location of the WebSocket:",
    "proxy_http_version 1.1;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection \"upgrade\";",
    "proxy_set_header Host $host;",
    "proxy_read_timeout 75s;  # longer than the pause between heartbeats",
];

const PASS_UPGRADE_APACHE: &[&str] = &[
    "# Apache 2.4.47 and later, in the virtual host (a2enmod proxy_http):",
    "ProxyPass        /ws  http://127.0.0.1:9000/ws upgrade=websocket",
    "ProxyPassReverse /ws  http://127.0.0.1:9000/ws",
    "ProxyTimeout 75",
    "# before 2.4.47 (a2enmod proxy_wstunnel):",
    "ProxyPass        /ws  ws://127.0.0.1:9000/ws",
];

/// The first row that fits a refusal explains it.
pub(super) const PROXIES: &[Row] = &[
    // nginx
    mended(
        Case::Saying(Product::Nginx, 400..=400, "plain http request was sent to https port"),
        STATUS,
        "This port of nginx speaks TLS, and plain ws:// was used: use wss://.",
        &[],
    ),
    mended(
        Case::By(Product::Nginx, 403..=403),
        STATUS,
        "nginx itself or the server behind it forbids it: an `allow`/`deny` list that lacks the agents' addresses, a missing \
         login, or the server's check of `Origin`.",
        &[
            "# nginx: let the agents in, in the location of the WebSocket:",
            "allow 203.0.113.7;  # an agent's address",
            "deny all;",
        ],
    ),
    pass_upgrade_nginx(200..=299),
    pass_upgrade_nginx(400..=400),
    pass_upgrade_nginx(404..=404),
    pass_upgrade_nginx(426..=426),
    pass_upgrade_nginx(505..=505),
    mended(
        Case::By(Product::Nginx, 429..=429),
        STATUS,
        "nginx limits how fast this address may connect (`limit_req` or `limit_conn` with status 429). Leave the agents' \
         addresses out of the limit.",
        LIMITS_NGINX,
    ),
    mended(
        Case::By(Product::Nginx, 502..=502),
        STATUS,
        "nginx is up and the server behind it is not: it refused the connection or broke it off. Restart the server, and \
         check the address in `proxy_pass`.",
        &[
            "# who listens where nginx sends to? (the port of proxy_pass)",
            "ss -ltnp 'sport = :9000'",
            "# what nginx saw: \"connect() failed (111: Connection refused)\" or",
            "# \"upstream prematurely closed connection\"",
            "tail -n 20 /var/log/nginx/error.log",
        ],
    ),
    mended(
        Case::By(Product::Nginx, 503..=503),
        STATUS,
        "nginx has no room or no backend: a limit of connections (`limit_conn`) is reached, all servers of the upstream are \
         marked down, or it is in maintenance.",
        LIMITS_NGINX,
    ),
    mended(
        Case::By(Product::Nginx, 504..=504),
        STATUS,
        "nginx is up and the server behind it does not answer: that process hangs, is suspended or overloaded. Restart it, \
         and see what its workers wait for.",
        &[
            "# is the server itself silent? ask it past nginx:",
            "quorate check wss://chat.example.org/ws --connect-to 127.0.0.1:9000",
            "# nginx gives up sooner with, in the location of the WebSocket:",
            "proxy_connect_timeout 5s;",
        ],
    ),
    // HAProxy
    mended(
        Case::By(Product::Haproxy, 403..=403),
        STATUS,
        "A rule of HAProxy forbids it: an `http-request deny` whose condition takes in the agents, or the path, or the \
         `Upgrade` header.",
        &[
            "# haproxy.cfg, before the rule that denies:",
            "acl from_agents src 203.0.113.7",
            "http-request allow if from_agents",
        ],
    ),
    mended(
        Case::By(Product::Haproxy, 502..=502),
        STATUS,
        "HAProxy is up, and the server behind it closed the connection or answered with something that is not HTTP: it \
         crashed on the request, or its port speaks TLS or another protocol.",
        &[
            "# haproxy.cfg: does the server speak TLS there?",
            "backend websocket",
            "    server app1 127.0.0.1:9000 check        # plain",
            "    server app1 127.0.0.1:9443 check ssl verify none   # TLS",
        ],
    ),
    mended(
        Case::By(Product::Haproxy, 503..=503),
        STATUS,
        "HAProxy has no server to send to: all of the backend are down or refuse, the backend has none, or they are full \
         (`maxconn`).",
        &[
            "# which servers are down, and why:",
            "echo 'show servers state' | socat stdio /run/haproxy/admin.sock",
            "# haproxy.cfg: an upgraded connection lives by the tunnel's timeout",
            "backend websocket",
            "    timeout connect 5s",
            "    timeout tunnel 1h",
            "    server app1 127.0.0.1:9000 check maxconn 10000",
        ],
    ),
    mended(
        Case::By(Product::Haproxy, 504..=504),
        STATUS,
        "HAProxy is up and the server behind it does not answer: that process hangs, is suspended or overloaded. Restart \
         it, and see what its workers wait for.",
        &[
            "# haproxy.cfg: the answer to the upgrade has `timeout server`,",
            "# the upgraded connection `timeout tunnel`:",
            "timeout server 10s",
            "timeout tunnel 1h",
        ],
    ),
    // Caddy
    mended(
        Case::By(Product::Caddy, 200..=299),
        STATUS,
        "Caddy answered from a file or another handler: no `reverse_proxy` takes this path. Caddy passes upgrades on by \
         itself once one does.",
        ROUTE_CADDY,
    ),
    mended(
        Case::By(Product::Caddy, 404..=404),
        STATUS,
        "Neither Caddy nor a server behind it knows the path: no `reverse_proxy` takes it, or the prefix is not what the \
         server expects.",
        ROUTE_CADDY,
    ),
    mended(
        Case::By(Product::Caddy, 426..=426),
        STATUS,
        "The server behind Caddy did not get the upgrade. Caddy passes `Upgrade` and `Connection` on by itself, unless \
         `header_up` takes them away, or another proxy in front already did.",
        &["# Caddyfile: no header_up -Upgrade, no header_up -Connection", "reverse_proxy /ws 127.0.0.1:9000"],
    ),
    mended(
        Case::By(Product::Caddy, 502..=502),
        STATUS,
        "Caddy is up and the server behind it is not: it refused the connection or broke it off. Restart the server, and \
         check the address in `reverse_proxy`.",
        &[
            "# who listens where Caddy sends to?",
            "ss -ltnp 'sport = :9000'",
            "# what Caddy saw: \"dial tcp …: connect: connection refused\"",
            "journalctl -u caddy -n 20",
        ],
    ),
    mended(
        Case::By(Product::Caddy, 503..=504),
        STATUS,
        "Caddy has no healthy server to send to (503), or the one it has does not answer in time (504): that process hangs, \
         is suspended or overloaded.",
        &[
            "# is the server itself silent? ask it past Caddy:",
            "quorate check wss://chat.example.org/ws --connect-to 127.0.0.1:9000",
        ],
    ),
    // Envoy
    mended(
        Case::By(Product::Envoy, 403..=403),
        STATUS,
        "Envoy refuses upgrades that are not switched on, with 403 and no body. Switch `websocket` on for the listener or \
         the route. With a body, an authorisation filter or the server said no.",
        &[
            "# Envoy, in the HttpConnectionManager:",
            "upgrade_configs:",
            "- upgrade_type: websocket",
            "# and in the route, so that nothing cuts long connections:",
            "timeout: 0s",
            "# Contour's HTTPProxy: enableWebsockets: true on the route",
        ],
    ),
    mended(
        Case::By(Product::Envoy, 503..=504),
        STATUS,
        "Envoy got no answer from the server behind it: no healthy one, a refused or reset connection, or a timeout. The \
         body names which; in a mesh it is often TLS on one side only.",
        &[
            "# which hosts does Envoy count as healthy?",
            "curl -s http://127.0.0.1:9901/clusters | grep health_flags",
            "# Istio: the port's name says the protocol",
            "ports: [{name: http-ws, port: 80, targetPort: 9000}]",
        ],
    ),
    // Apache
    pass_upgrade_apache(200..=299),
    pass_upgrade_apache(400..=400),
    pass_upgrade_apache(404..=404),
    pass_upgrade_apache(426..=426),
    mended(
        Case::By(Product::Apache, 500..=501),
        STATUS,
        "Apache has no module for what it was told: its error log says \"No protocol handler was valid for the URL\". Load \
         the proxy modules.",
        &[
            "a2enmod proxy proxy_http proxy_wstunnel",
            "systemctl reload apache2",
            "tail -n 20 /var/log/apache2/error.log  # AH01144",
        ],
    ),
    mended(
        Case::By(Product::Apache, 502..=504),
        STATUS,
        "Apache is up and the server behind it refused the connection (503), broke it off or was silent (502, 504). Restart \
         the server, and check the address in `ProxyPass`.",
        &[
            "# who listens where Apache sends to?",
            "ss -ltnp 'sport = :9000'",
            "tail -n 20 /var/log/apache2/error.log",
            "# after a failure Apache leaves the server alone for 60 s; sooner with:",
            "ProxyPass /ws http://127.0.0.1:9000/ws upgrade=websocket retry=1",
        ],
    ),
    // Traefik
    mended(
        Case::By(Product::Traefik, 404..=404),
        STATUS,
        "Traefik says this where no router takes the host, path and entry point; so do many servers written in Go of a path \
         they do not know. Traefik passes upgrades on by itself once a router fits.",
        &[
            "# Traefik, labels of the container:",
            "traefik.enable=true",
            "traefik.http.routers.ws.rule=Host(`chat.example.org`) && PathPrefix(`/ws`)",
            "traefik.http.routers.ws.entrypoints=websecure",
            "traefik.http.routers.ws.tls=true",
            "traefik.http.services.ws.loadbalancer.server.port=9000",
        ],
    ),
    // Clouds
    mended(
        Case::By(Product::AwsLoadBalancer, 400..=599),
        STATUS,
        "The load balancer itself answered: 502 a target closed the connection, 503 there are no targets, 504 none answered; \
         403 is AWS WAF or a fixed answer, 404 no rule for the path, 464 a target group for HTTP/2.",
        &[
            "aws elbv2 describe-target-health --target-group-arn $TARGET_GROUP",
            "# a WebSocket needs a target group of protocol version HTTP1",
            "aws elbv2 describe-target-groups --query 'TargetGroups[].ProtocolVersion'",
            "# idle connections are cut after 60 s unless heartbeats come sooner, or:",
            "aws elbv2 modify-load-balancer-attributes --load-balancer-arn $LB \\",
            "  --attributes Key=idle_timeout.timeout_seconds,Value=300",
        ],
    ),
    mended(
        Case::By(Product::ApiGateway, 400..=499),
        STATUS,
        "API Gateway refused it: the URL lacks the stage, the API is not a WebSocket API, the authorizer of `$connect` said \
         no (401, 403), or a limit is reached (429).",
        &[
            "# the URL of a WebSocket API ends with its stage:",
            "wss://abcdef1234.execute-api.eu-west-1.amazonaws.com/production",
            "# its routes, and the authorizer of $connect:",
            "aws apigatewayv2 get-routes --api-id abcdef1234",
        ],
    ),
    mended(
        Case::By(Product::ApiGateway, 500..=599),
        STATUS,
        "API Gateway could not ask its backend: the integration of the `$connect` route failed or timed out. Its execution \
         log has the reason.",
        &[
            "aws apigatewayv2 get-integrations --api-id abcdef1234",
            "aws logs tail /aws/lambda/connect --since 10m",
        ],
    ),
    mended(
        Case::By(Product::CloudFront, 400..=599),
        STATUS,
        "CloudFront itself answered: 403 is its WAF, a country block or a name it does not know, 502 and 504 an origin that \
         it cannot reach, 400 a request that it did not take for an upgrade.",
        &[
            "# CloudFront, behavior of the WebSocket path: pass everything, cache nothing",
            "cache policy:           CachingDisabled",
            "origin request policy:  AllViewer  (with Sec-WebSocket-*)",
            "allowed methods:        GET, HEAD at least; origin over HTTP/1.1",
        ],
    ),
    mended(
        Case::By(Product::GoogleLoadBalancer, 400..=599),
        STATUS,
        "Google's front end answered: no healthy backend or a broken answer (502, 503), no route for the host and path (404), \
         a policy of Cloud Armor (403). Its log's `statusDetails` names which.",
        &[
            "gcloud compute backend-services get-health $BACKEND --global",
            "# open WebSockets are cut after the backend service's timeout (30 s):",
            "gcloud compute backend-services update $BACKEND --global --timeout=86400",
        ],
    ),
    mended(
        Case::By(Product::AzureApplicationGateway, 400..=599),
        STATUS,
        "Application Gateway itself answered: 403 is its web application firewall, 404 no rule for the host and path; 502 and \
         504 are no healthy backend, a network rule in between, or its request timeout (20 s unless set).",
        &[
            "az network application-gateway show-backend-health -g $GROUP -n $GATEWAY",
            "az network application-gateway http-settings update -g $GROUP \\",
            "  --gateway-name $GATEWAY -n $SETTINGS --timeout 120",
            "# which rule of the firewall? (the gateway's log)",
            "AzureDiagnostics | where Category == \"ApplicationGatewayFirewallLog\"",
        ],
    ),
    mended(
        Case::By(Product::AzureFrontDoor, 400..=599),
        STATUS,
        "The answer came through Azure Front Door: no route for the host and path, its firewall, or an origin that it cannot \
         reach. Only the tiers Standard and Premium pass WebSocket on, and not with caching.",
        &[
            "# the route of the WebSocket path: enabled, without caching",
            "az afd route list -g $GROUP --profile-name $PROFILE \\",
            "  --endpoint-name $ENDPOINT -o table",
            "# Front Door (classic) does not pass WebSocket on: move to Standard",
        ],
    ),
    mended(
        Case::By(Product::Cloudflare, 520..=530),
        STATUS,
        "Cloudflare answered because it got no proper answer from the origin: 521 is refused, 522 a timeout, 523 \
         unreachable, 525 and 526 TLS, 530 its name. Check the origin itself, and its firewall for Cloudflare's addresses.",
        &[
            "# is the origin itself well? ask it past Cloudflare:",
            "quorate check wss://chat.example.org/ws --connect-to 198.51.100.20:443",
            "# let Cloudflare in: https://www.cloudflare.com/ips/",
        ],
    ),
    mended(
        Case::By(Product::Cloudflare, 403..=403),
        STATUS,
        "Cloudflare's firewall or bot protection stands in front: a WebSocket client cannot solve its challenge. Let the \
         agents' addresses or the path pass.",
        &[
            "# Cloudflare, Security > WAF > Custom rules, action Skip:",
            "(http.request.uri.path eq \"/ws\" and ip.src in {203.0.113.7})",
        ],
    ),
    mended(
        Case::By(Product::Cloudflare, 400..=499),
        STATUS,
        "The origin behind Cloudflare did not get an upgrade that it takes: WebSockets are switched off for the zone, a proxy \
         at the origin drops `Upgrade`, or the tunnel does.",
        &[
            "# Cloudflare, Network > WebSockets: on; or",
            "curl -X PATCH -H \"Authorization: Bearer $TOKEN\" --json '{\"value\":\"on\"}' \\",
            "  https://api.cloudflare.com/client/v4/zones/$ZONE/settings/websockets",
            "# and is the origin itself well? ask it past Cloudflare:",
            "quorate check wss://chat.example.org/ws --connect-to 198.51.100.20:443",
        ],
    ),
    mended(
        Case::By(Product::Heroku, 400..=599),
        STATUS,
        "Heroku's router answered: the dyno crashed or is asleep (H10), did not answer within 30 s (H12), closed the \
         connection (H13), or listens on the wrong port. The app's log has the code.",
        &[
            "heroku logs --tail --app $APP   # code=H10, H12, H13 …",
            "heroku ps --app $APP            # is a web dyno up?",
            "# the server must listen on the port that it is given: process.env.PORT",
            "# connections idle for 55 s are cut (H15): heartbeats every 30 s",
        ],
    ),
    mended(
        Case::By(Product::Iis, 400..=599),
        STATUS,
        "IIS itself answered: its WebSocket feature is not installed or is switched off (400, 501), no site has the name or \
         path (400, 404), the application pool is stopped (503), or the application crashed (502).",
        INSTALL_IIS,
    ),
];

const LIMITS_NGINX: &[&str] = &[
    "# nginx: no limit for the agents' addresses",
    "geo $limited { default 1; 203.0.113.7 0; }",
    "map $limited $limit_key { 0 \"\"; 1 $binary_remote_addr; }",
    "limit_conn_zone $limit_key zone=sockets:10m;",
    "# and enough for the clients behind one address, in the location:",
    "limit_conn sockets 100;",
];

const ROUTE_CADDY: &[&str] = &[
    "# Caddyfile: passes the upgrade on by itself",
    "chat.example.org {",
    "    reverse_proxy /ws* 127.0.0.1:9000",
    "}",
];

const INSTALL_IIS: &[&str] = &[
    "# PowerShell, once:",
    "Install-WindowsFeature Web-WebSockets",
    "# web.config:",
    "<system.webServer><webSocket enabled=\"true\" /></system.webServer>",
];

const fn pass_upgrade_nginx(statuses: std::ops::RangeInclusive<u16>) -> Row {
    mended(
        Case::By(Product::Nginx, statuses),
        STATUS,
        "nginx probably does not pass the upgrade on. It needs `proxy_http_version 1.1;`, \
         `proxy_set_header Upgrade $http_upgrade;` and `proxy_set_header Connection \"upgrade\";` in this location.",
        PASS_UPGRADE_NGINX,
    )
}

const fn pass_upgrade_apache(statuses: std::ops::RangeInclusive<u16>) -> Row {
    mended(
        Case::By(Product::Apache, statuses),
        STATUS,
        "Apache probably does not pass the upgrade on: plain `ProxyPass` drops it. It needs `upgrade=websocket` (2.4.47 and \
         later) or mod_proxy_wstunnel for this path.",
        PASS_UPGRADE_APACHE,
    )
}

//! The rows: what each failure is called in an alert, what it likely means, and what to do.
//!
//! From RFC 6455, and from how nginx, Cloudflare, npm `ws`, Python `websockets`, aiohttp, uvicorn, graphql-ws and socket.io
//! behave when they break.

use super::{Case, Row, mended, row};
use crate::outcome::{ContentFault, DnsFault, Phase, SilentDrop, UpgradeFault};

/// What is said where no row fits, which a test rules out.
pub(super) const UNKNOWN: Row = Row {
    case: Case::Kind(""),
    headline: "The check failed",
    hint: "Run `quorate check` against the URL to see where.",
    mend: &[],
};

pub(super) const STATUS: &str = "The upgrade was answered with {} instead of 101";

const CERTIFICATE: &str = "Renew the certificate and have the server load the new file: a renewed certificate on disk \
    is not served until the server or proxy reloads.";

const SILENT: &str = "The connection is alive and the application behind it does not answer: a blocked event loop, a \
    deadlock, exhausted workers, a stuck backend. Or it was never going to: socket.io ignores protocol pings, and some \
    servers want a login first.";

const ASK_DNS: &[&str] = &[
    "# what do the zone's own nameservers say, past every cache?",
    "dig +trace chat.example.org A",
    "dig +trace chat.example.org AAAA",
];

const IS_IT_UP: &[&str] = &[
    "# on the server: does anybody listen, on which address?",
    "ss -ltnp 'sport = :443'",
    "systemctl status chat; journalctl -u chat -n 50",
];

const SHOW_CERTIFICATE: &[&str] = &[
    "# which certificates does the server send?",
    "openssl s_client -connect chat.example.org:443 -showcerts </dev/null",
    "# nginx: the whole chain, the server's own first",
    "ssl_certificate     /etc/letsencrypt/live/chat.example.org/fullchain.pem;",
    "ssl_certificate_key /etc/letsencrypt/live/chat.example.org/privkey.pem;",
];

const PASS_UPGRADE: &[&str] = &[
    "# nginx, in the location of the WebSocket:",
    "proxy_http_version 1.1;",
    "proxy_set_header Upgrade $http_upgrade;",
    "proxy_set_header Connection \"upgrade\";",
    "# Apache 2.4.47 and later:",
    "ProxyPass /ws http://127.0.0.1:9000/ws upgrade=websocket",
    "# Envoy, in the HttpConnectionManager:",
    "upgrade_configs: [{upgrade_type: websocket}]",
    "# HAProxy, Caddy and Traefik pass it on by themselves; a CDN has a switch",
];

const OUTLIVE_IDLE: &[&str] = &[
    "# how long may a connection be idle here? (takes minutes)",
    "quorate check wss://chat.example.org/ws --find-idle-timeout",
    "# the server pings more often than that: npm ws, every 30 s",
    "setInterval(() => wss.clients.forEach((client) => client.ping()), 30000)",
    "# or the proxy waits longer: nginx",
    "proxy_read_timeout 75s;",
    "# HAProxy",
    "timeout tunnel 1h",
];

/// The first row that fits a failure explains it.
pub(super) const TABLE: &[Row] = &[
    // Names
    mended(
        Case::Dns(DnsFault::NotFound),
        "The name does not exist",
        "The DNS record was removed, the domain expired, or the name is misspelt. Compare with the zone at the \
         authoritative nameservers.",
        ASK_DNS,
    ),
    mended(
        Case::Dns(DnsFault::NoAddress),
        "The name has no address",
        "The name exists, but without A and AAAA records; a CNAME may lead to a name that has lost its own. Add the \
         record back.",
        ASK_DNS,
    ),
    mended(
        Case::Dns(DnsFault::ServerFailure),
        "The name could not be looked up",
        "The nameservers gave an error. Check that the zone's authoritative nameservers answer, and that its DNSSEC \
         signatures are valid.",
        &[
            "# is the zone's DNSSEC broken? an answer with +cd and none without says yes",
            "dig chat.example.org A; dig +cd chat.example.org A",
        ],
    ),
    mended(
        Case::Dns(DnsFault::Timeout),
        "The name was not looked up in time",
        "The nameservers did not answer. Where only one region fails, look at that region's own resolver; where all do, \
         at the zone's authoritative nameservers.",
        ASK_DNS,
    ),
    // TCP
    mended(
        Case::Kind("connection_refused"),
        "The server refused the TCP connection",
        "The process is not running, or listens on another port or address. Start it, and look in its log for why it \
         stopped.",
        IS_IT_UP,
    ),
    mended(
        Case::Kind("unreachable"),
        "The network has no way to the server",
        "A route is missing, the host is down, or a firewall rejects the traffic. Where only one region fails, its own \
         network is to blame.",
        &["# from the agent's host: where does the way end?", "tracepath chat.example.org"],
    ),
    mended(
        Case::Kind("connect_timeout"),
        "The server did not answer the TCP handshake in time",
        "The host is down or a firewall drops the packets; or the server no longer accepts connections and its backlog \
         is full, as when the process hangs.",
        &[
            "# on the server: is the backlog full? (Recv-Q above Send-Q of the listener)",
            "ss -ltn 'sport = :443'",
            "# does a firewall drop it?",
            "nft list ruleset | grep -w 443",
        ],
    ),
    row(
        Case::Kind("connection_reset"),
        "The connection was reset",
        "The process crashed, or something between (a firewall, a load balancer out of connections) cut the connection. \
         Look for restarts at this time and for connection limits.",
    ),
    // TLS
    mended(
        Case::Kind("tls_handshake"),
        "The TLS handshake failed",
        "The port may speak plain ws://, or the server shares no TLS version or cipher with the agent (TLS 1.2 and 1.3). \
         Check the listener's TLS settings.",
        &[
            "# what does the port speak?",
            "openssl s_client -connect chat.example.org:443 </dev/null",
            "# nginx:",
            "listen 443 ssl;",
            "ssl_protocols TLSv1.2 TLSv1.3;",
        ],
    ),
    row(
        Case::Kind("tls_timeout"),
        "The TLS handshake did not end in time",
        "TCP was accepted and nothing came after it: the process hangs, is overloaded, or the port is not a TLS one.",
    ),
    mended(
        Case::Kind("certificate_expired"),
        "The certificate is not valid today",
        CERTIFICATE,
        &[
            "# renew, and have it loaded",
            "certbot renew && systemctl reload nginx",
            "# what is served now?",
            "openssl s_client -connect chat.example.org:443 </dev/null \\",
            "  | openssl x509 -noout -dates",
        ],
    ),
    mended(
        Case::Kind("certificate_name"),
        "The certificate is for another name",
        "The server shows another site's certificate, often the default one because no virtual host matches the name. \
         Add the name to the certificate, or set `sni` where another name is meant.",
        SHOW_CERTIFICATE,
    ),
    mended(
        Case::Kind("certificate_untrusted"),
        "The certificate is not trusted",
        "It is self-signed, or the server does not send the intermediate certificates: configure the full chain. For a \
         private authority, give the monitor its CA file.",
        SHOW_CERTIFICATE,
    ),
    // The upgrade, answered with another status
    mended(
        Case::Status(200..=299),
        STATUS,
        "An ordinary web page answered: the path is not the WebSocket endpoint, or a proxy dropped the `Upgrade` header \
         on the way. Check the path and the proxy's WebSocket settings.",
        PASS_UPGRADE,
    ),
    row(
        Case::Status(300..=399),
        STATUS,
        "The server redirects, and WebSocket clients do not follow redirects. Use the address it redirects to: often \
         wss:// for ws://, another host, or a slash at the end.",
    ),
    mended(
        Case::Status(400..=400),
        STATUS,
        "The server did not see a proper upgrade request: usually a proxy does not pass `Upgrade` and `Connection` on, \
         or HTTP/1.1 was turned into 1.0. Some servers say so of a missing subprotocol or `Origin` too.",
        PASS_UPGRADE,
    ),
    mended(
        Case::Status(401..=401),
        STATUS,
        "The server wants credentials: give the monitor an `Authorization` header or cookie, or renew the one it has.",
        &["# a check with a login:", "quorate check wss://chat.example.org/ws --bearer \"$TOKEN\""],
    ),
    mended(
        Case::Status(403..=403),
        STATUS,
        "The server or a web application firewall forbids it. Often it is the `Origin` check: set the monitor's `origin` \
         to the site's own; otherwise allow the agents' addresses.",
        &[
            "# is it the Origin? a check with the site's own:",
            "quorate check wss://chat.example.org/ws --origin https://www.example.org",
        ],
    ),
    row(
        Case::Status(404..=404),
        STATUS,
        "The path is wrong or the route is gone with a deployment. Some frameworks also say 404 when a proxy does not \
         pass `Upgrade` on.",
    ),
    mended(
        Case::Status(426..=426),
        STATUS,
        "The server speaks WebSocket here but did not get the upgrade: a proxy or load balancer in front of it dropped \
         `Upgrade` and `Connection`. In nginx set `proxy_http_version 1.1` and both headers.",
        PASS_UPGRADE,
    ),
    row(
        Case::Status(429..=429),
        STATUS,
        "The agent is being rate limited. Allow its address or its User-Agent (`quorate-agent/…`), or check less often.",
    ),
    row(
        Case::Status(400..=499),
        STATUS,
        "The server refused this request. Compare path, headers, origin and subprotocol with those of a client that works.",
    ),
    mended(
        Case::Status(502..=502),
        STATUS,
        "A proxy is up and the server behind it is not: it refused the connection or broke it off. Restart the server, \
         and check the address that the proxy uses.",
        IS_IT_UP,
    ),
    row(
        Case::Status(503..=503),
        STATUS,
        "The server or proxy has no capacity: all backends are down, a connection limit is reached (`limit_conn`), or \
         it is in maintenance.",
    ),
    mended(
        Case::Status(504..=504),
        STATUS,
        "A proxy is up and the server behind it does not answer: that process hangs or is overloaded.",
        IS_IT_UP,
    ),
    mended(
        Case::Status(505..=505),
        STATUS,
        "The request reached the server as HTTP/1.0. A proxy in between must speak HTTP/1.1 to it (nginx: \
         `proxy_http_version 1.1`).",
        PASS_UPGRADE,
    ),
    row(
        Case::Status(500..=599),
        STATUS,
        "The server failed while it handled the upgrade. Its error log has the reason.",
    ),
    row(
        Case::Kind("upgrade_status"),
        STATUS,
        "This is not a status that an upgrade should meet. See who answers on this port.",
    ),
    // The upgrade, answered wrongly
    row(
        Case::Upgrade(UpgradeFault::NotHttp),
        "The answer to the upgrade is not HTTP",
        "Another service listens on this port, or it speaks TLS where plain ws:// was used. Check port and scheme.",
    ),
    mended(
        Case::Upgrade(UpgradeFault::HttpVersion),
        "The upgrade was answered with another version of HTTP",
        "A WebSocket upgrade is HTTP/1.1. A proxy in between speaks 1.0 or 2 here: set it to 1.1 for this path.",
        PASS_UPGRADE,
    ),
    row(
        Case::Upgrade(UpgradeFault::HeadTooLarge),
        "The answer to the upgrade has too large a head",
        "The server sends headers without end, or far too many cookies.",
    ),
    mended(
        Case::Upgrade(UpgradeFault::UpgradeHeader),
        "The upgrade was accepted without the Upgrade header",
        "A proxy strips hop-by-hop headers from the answer: switch its WebSocket support on. Browsers refuse such an \
         answer.",
        PASS_UPGRADE,
    ),
    mended(
        Case::Upgrade(UpgradeFault::ConnectionHeader),
        "The upgrade was accepted without the Connection header",
        "A proxy strips hop-by-hop headers from the answer: switch its WebSocket support on. Browsers refuse such an \
         answer.",
        PASS_UPGRADE,
    ),
    row(
        Case::Upgrade(UpgradeFault::AcceptMissing),
        "The upgrade was accepted without Sec-WebSocket-Accept",
        "Whatever answered 101 is not a WebSocket server: a proxy, a mock or a captive portal. Browsers refuse such an \
         answer.",
    ),
    row(
        Case::Upgrade(UpgradeFault::AcceptMismatch),
        "The upgrade was accepted with a wrong Sec-WebSocket-Accept",
        "Whatever answered 101 never computed the digest, or answered from a cache: no cache may stand in front of a \
         WebSocket endpoint. Browsers refuse such an answer.",
    ),
    mended(
        Case::Upgrade(UpgradeFault::Subprotocol),
        "The server chose a subprotocol that was not offered",
        "Offer the subprotocol in the monitor (`subprotocols`), or correct the server: browsers refuse such an answer.",
        &[
            "# offer what the server wants:",
            "quorate check wss://chat.example.org/ws --subprotocol graphql-transport-ws",
        ],
    ),
    mended(
        Case::Upgrade(UpgradeFault::Extension),
        "The server switched on an extension that nobody asked for",
        "The server must choose among the extensions that a client offers. Correct its compression settings: browsers \
         refuse such an answer.",
        &[
            "# npm ws: compression only where a client asks, and not at all with",
            "new WebSocketServer({ perMessageDeflate: false })",
        ],
    ),
    mended(
        Case::Kind("upgrade_timeout"),
        "The upgrade was not answered in time",
        "TCP was accepted and the application did not answer: it hangs, is suspended, or is overloaded. Restart it, and \
         see what its workers wait for.",
        &[
            "# on the server: what does the process wait for? (its id by ss -ltnp)",
            "cat /proc/$PID/status | grep State; cat /proc/$PID/wchan",
            "systemctl restart chat",
        ],
    ),
    // The exchange
    row(Case::Kind("reply_timeout"), "The server did not reply as expected in time", SILENT),
    row(
        Case::Kind("reply_mismatch"),
        "The server sent messages, and none was the expected reply",
        "The reply's form may have changed with a deployment, or the request is not understood any more. Compare the \
         last message with what the monitor expects.",
    ),
    row(
        Case::Closed(1000..=1000),
        "The server closed the connection with {}",
        "The server was done with the connection before it had answered: it may not accept what the monitor sends, or \
         wants a login first.",
    ),
    row(
        Case::Closed(1001..=1001),
        "The server closed the connection with {}",
        "The server is shutting down, as at a deployment. It should be back at once; where it is not, the new version \
         did not start.",
    ),
    row(
        Case::Closed(1002..=1003),
        "The server closed the connection with {}",
        "The server says that it was sent something it cannot take. A monitor's message may be of a kind it does not \
         support, or a proxy damages frames.",
    ),
    row(
        Case::Closed(1006..=1006),
        "The server sent a close frame with {}",
        "This code must never be sent (RFC 6455 section 7.4.1). A proxy that passes on how its own connection ended does \
         so: look at the server behind it.",
    ),
    row(
        Case::Closed(1007..=1007),
        "The server closed the connection with {}",
        "The server could not read the monitor's message. Check its text: encoding and form.",
    ),
    row(
        Case::Closed(1008..=1008),
        "The server closed the connection with {}",
        "The server's policy refuses the monitor: look at authentication (an expired token), origin checks and rate \
         limits.",
    ),
    row(
        Case::Closed(1009..=1009),
        "The server closed the connection with {}",
        "The monitor's message is larger than the server takes.",
    ),
    row(
        Case::Closed(1011..=1011),
        "The server closed the connection with {}",
        "The server hit an unexpected error while it handled the connection. Its error log has the reason.",
    ),
    row(
        Case::Closed(1012..=1012),
        "The server closed the connection with {}",
        "The server restarts, as at a deployment. It should be back at once; where it is not, the new version did not \
         start.",
    ),
    row(
        Case::Closed(1013..=1013),
        "The server closed the connection with {}",
        "The server is overloaded and sheds connections. Add capacity, or find out what uses it up.",
    ),
    row(
        Case::Closed(1014..=1014),
        "The server closed the connection with {}",
        "A gateway is up and the server behind it is not. Check that server.",
    ),
    row(
        Case::Closed(4400..=4499),
        "The server closed the connection with {}",
        "The application's own code, in the manner of HTTP: 4401 and 4403 are about credentials, 4406 about the \
         subprotocol, 4408 about an opening message that did not come, 4429 about too many.",
    ),
    row(
        Case::Closed(3000..=4999),
        "The server closed the connection with {}",
        "The application's own code: its documentation says what it means. Often it is a login that is missing or too \
         old.",
    ),
    row(
        Case::Kind("closed"),
        "The server closed the connection with {}",
        "The server ended the connection before it had answered. Its log has the reason.",
    ),
    row(
        Case::KindIn("dropped", Phase::Upgrade),
        "The server closed the connection in the middle of the upgrade",
        "The process crashed on the request, a proxy gave up on the server behind it, or this port is not HTTP at all. \
         Look in the server's log for this request.",
    ),
    mended(
        Case::Kind("dropped"),
        "The connection ended without a close frame",
        "Browsers report this as 1006. The process died, or a proxy cut the connection: a load balancer's idle limit or \
         nginx's `proxy_read_timeout` shorter than the keepalive. Look for crashes at this time.",
        OUTLIVE_IDLE,
    ),
    row(
        Case::Kind("protocol_violation"),
        "The server broke the WebSocket protocol",
        "A bug in the server, or a proxy that damages frames or switches compression on by itself. Clients close the \
         connection here too.",
    ),
    row(
        Case::Kind("too_large"),
        "The server sent a message above the agent's limit",
        "A check wants a small reply. Ask for less, or use an endpoint made for checks.",
    ),
    row(
        Case::Kind("tls_alert"),
        "The server ended the connection with a TLS alert",
        "The server or the proxy that ends TLS gave the connection up: a crash, a reload that cuts connections, or a fault \
         in its TLS. Its error log has the reason.",
    ),
    mended(
        Case::SilentDrop(SilentDrop::Stuck),
        "A connection that was held open went silent",
        "TCP acknowledged the heartbeat and nothing answered it: the process behind the connection no longer processes. \
         A blocked event loop, a deadlock, a suspended process.",
        &[
            "# on the server: stopped (T), waiting on a disk (D), or busy (R)?",
            "ps -o pid,stat,wchan,pcpu,etime,args -p $PID",
            "systemctl restart chat",
        ],
    ),
    mended(
        Case::SilentDrop(SilentDrop::PathDead),
        "A connection that was held open went silent",
        "The heartbeat was not even acknowledged: the path is dead. A NAT or firewall forgot the connection, the host is \
         gone, or a route broke. Where it comes after idle time, send heartbeats more often than the limit.",
        OUTLIVE_IDLE,
    ),
    mended(
        Case::Kind("silent_drop"),
        "A connection that was held open went silent",
        "TCP lives and nothing comes any more: a NAT timeout, a firewall's idle limit, or a server that no longer \
         processes. Send heartbeats more often than the shortest limit on the path.",
        OUTLIVE_IDLE,
    ),
    row(
        Case::Kind("stream_stale"),
        "Messages stopped coming in time",
        "The connection is open and its stream stands still: the publisher behind the server stopped, a subscription was \
         lost, or the broker between them is stuck.",
    ),
    row(
        Case::Content(ContentFault::NotGrowing),
        "The server answers, and its value stands still",
        "The server replies from what it last knew: its source is cut off, it lags behind, or (for a chain node) it has \
         lost its peers. Look at what feeds it.",
    ),
    row(
        Case::Content(ContentFault::TooOld),
        "The server sends data that is too old",
        "What is published reaches the clients late: a backlog in the broker, a slow consumer, or a clock that is wrong, \
         on the server or on the agent's host.",
    ),
    row(
        Case::Content(ContentFault::Unreadable),
        "The server's message lacks a value that can be judged",
        "The message's form may have changed with a deployment. Compare it with the pointer that the monitor names.",
    ),
    row(
        Case::Kind("content"),
        "Messages are missing or come twice",
        "The stream lost or repeated messages on one connection: a slow consumer that is skipped, a broker that failed \
         over, or two publishers at once.",
    ),
    // The agent's own
    mended(
        Case::Kind("egress_blocked"),
        "The agent is not allowed to connect to this address",
        "Its egress filter protects the network that it stands in. Where the target is meant, start the agent with \
         `--egress private` or with the target's network.",
        &[
            "# what may be dialled is the agent's own setting:",
            "quorate-agent run --egress private       # public and private addresses",
            "quorate-agent run --egress 10.20.0.0/16  # this network alone",
        ],
    ),
    row(
        Case::Kind("proxy"),
        "The proxy did not make the tunnel",
        "This says nothing about the server: the proxy that the monitor goes through is down, wants credentials, or does \
         not allow this host and port.",
    ),
    row(
        Case::Kind("agent_fault"),
        "The agent could not make the check",
        "This says nothing about the server. Correct the monitor where the text above names it; otherwise look at the \
         agent's host: descriptors, memory, local firewall.",
    ),
];

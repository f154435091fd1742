//! A monitor's specification, checked and made ready: all that can be wrong with it is found before anything is dialled, and
//! once for all checks.

use std::sync::Arc;

use quorate_proto::{
    MonitorSpec, Region,
    template::{Place, TemplateFault},
};
use url::Url;

use super::{
    matcher::PatternError,
    request::{self, Request},
    route::{Route, RouteError},
    script::Script,
};

/// The checks of one monitor, ready to run. What differs from one to the next, the key of the upgrade and the nonce of the
/// texts, is drawn when they are used.
pub(crate) struct Plan {
    /// The way to the server.
    pub(crate) route: Route,
    /// The request of the upgrade.
    pub(crate) request: Request,
    /// The subprotocols offered in it.
    pub(crate) offered: Vec<String>,
    /// What is said and expected.
    pub(crate) script: Arc<Script>,
}

/// What is wrong with a specification. None of it quotes a header's value or the URL's path, which may be secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("the URL is not one: {0}")]
    Url(#[from] url::ParseError),
    #[error("the URL starts with {0}:// where ws:// or wss:// is wanted")]
    Scheme(String),
    #[error("the URL has a fragment (#…), which a WebSocket URL must not have (RFC 6455 section 3)")]
    Fragment,
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("`{0}` is not a header's name")]
    HeaderName(String),
    #[error("the value of header {0} holds a line break or another character that a header cannot hold")]
    HeaderValue(String),
    #[error("header {0} belongs to the upgrade itself and cannot be set")]
    HeaderReserved(String),
    #[error("`{0}` is not a subprotocol's name (a token of RFC 9110)")]
    Subprotocol(String),
    #[error("{place}: {error}")]
    Template { place: Place, error: TemplateFault },
    #[error("{place}: {error}")]
    Pattern { place: Place, error: PatternError },
    #[error("a list or text of the specification is above its limit")]
    Limits,
}

impl Plan {
    pub(crate) fn new(spec: &MonitorSpec, region: Option<&Region>) -> Result<Self, PlanError> {
        if !spec.is_within_limits() {
            return Err(PlanError::Limits);
        }
        let url = websocket_url(&spec.url)?;
        let route = Route::new(spec, &url)?;
        let request = request::head(spec, &url, region)?;
        Ok(Self { route, request, offered: spec.subprotocols.clone(), script: Arc::new(Script::new(spec)?) })
    }
}

fn websocket_url(text: &str) -> Result<Url, PlanError> {
    let url: Url = text.parse()?;
    match url.scheme() {
        "ws" | "wss" => {}
        other => return Err(PlanError::Scheme(other.to_owned())),
    }
    if url.fragment().is_some() {
        return Err(PlanError::Fragment);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use quorate_proto::{
        Matcher, Payload, Step,
        monitor::Header,
        step::{Capture, CaptureFrom, Demand, Expect, Must, Reply},
    };

    use super::{super::tests::spec, *};

    #[test]
    fn where_to_connect_is_the_urls_host_or_what_overrides_it() {
        for (url, connect_to, host, port) in [
            ("ws://x.example", None, "x.example", 80),
            ("wss://x.example", None, "x.example", 443),
            ("wss://x.example:8443", Some("10.0.0.1:9443"), "10.0.0.1", 9443),
            ("wss://x.example", Some("2130706433:9443"), "127.0.0.1", 9443),
            ("wss://x.example", Some("[::1]:1"), "[::1]", 1),
        ] {
            let spec = MonitorSpec { connect_to: connect_to.map(str::to_owned), ..spec(url) };
            let plan = Plan::new(&spec, None).unwrap();
            assert_eq!(
                (plan.route.host.to_string().as_str(), plan.route.port),
                (host, port),
                "{url} {connect_to:?}"
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        let header = |name: &str, value: &str| {
            let headers = vec![Header { name: name.into(), value: value.into() }];
            MonitorSpec { headers, ..spec("ws://x.example") }
        };
        let expect = |matcher| {
            let steps = vec![Step::Ping { within: None }, Step::expect(matcher, None)];
            MonitorSpec { steps, ..spec("ws://x.example") }
        };
        let hello =
            |matcher| MonitorSpec { hello: vec![Step::expect(matcher, None)], ..spec("ws://x.example") };
        let reply = |to| {
            let replies = vec![Reply { to, with: Payload::Text("3".into()) }];
            MonitorSpec { replies, ..spec("ws://x.example") }
        };
        let full = |captures, demands| {
            let expect = Expect { matcher: Matcher::ANY, within: None, captures, demands };
            MonitorSpec { steps: vec![Step::Expect(expect)], ..spec("ws://x.example") }
        };
        let captured = |pointer: &str| {
            full(vec![Capture { name: "x".into(), from: CaptureFrom::Json(pointer.into()) }], vec![])
        };
        let demanded =
            |pointer: &str| full(vec![], vec![Demand { pointer: pointer.into(), must: Must::Follow }]);
        for (spec, why) in [
            (spec("http://x.example"), "http:// where ws://"),
            (spec("ws://"), "the URL is not one"),
            (spec("ws://x.example/#top"), "fragment"),
            (MonitorSpec { connect_to: Some("x".into()), ..spec("ws://x.example") }, "not host:port"),
            (MonitorSpec { connect_to: Some("x:0".into()), ..spec("ws://x.example") }, "not host:port"),
            (MonitorSpec { sni: Some("a b".into()), ..spec("wss://x.example") }, "TLS can verify"),
            (MonitorSpec { ca_pem: Some("".into()), ..spec("wss://x.example") }, "no certificate"),
            (MonitorSpec { subprotocols: vec!["a,b".into()], ..spec("ws://x.example") }, "subprotocol"),
            (header("X Y", "z"), "not a header's name"),
            (header("X-Y", "a\r\nEvil: yes"), "line break"),
            (header("connection", "close"), "belongs to the upgrade"),
            (expect(Matcher::regex("(")), "step 2"),
            (expect(Matcher::json_equals("/a", "pong")), "step 2"),
            (expect(Matcher::json_equals("a", "1")), "step 2: `a` is not a JSON pointer"),
            (expect(Matcher::contains("{{token}}")), "step 2: nothing before it captures {{token}}"),
            (hello(Matcher::regex("[")), "hello step 1: `[` is not a regular expression"),
            (reply(Matcher::regex("[")), "reply 1: `[` is not a regular expression"),
            (reply(Matcher::contains("{{nonce}}")), "reply 1: {{nonce}} cannot stand in what is replied to"),
            (captured("a"), "step 1: `a` is not a JSON pointer"),
            (demanded("a"), "step 1: `a` is not a JSON pointer"),
        ] {
            let error = Plan::new(&spec, None).err().expect(why).to_string();
            assert!(error.contains(why), "{error} / {why}");
            assert!(!error.contains("Evil"), "{error}");
        }
    }
}

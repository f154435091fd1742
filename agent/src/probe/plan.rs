//! A monitor's specification, checked and made ready: all that can be wrong with it is found before anything is dialled.

use data_encoding::BASE64;
use quorate_proto::{MonitorSpec, Region, Step, step::Expect};
use url::Url;

use super::{
    expand::Placeholders,
    matcher::{Pattern, PatternError},
    request,
    route::{Route, RouteError},
};

/// One check, ready to run.
pub(crate) struct Plan {
    /// The way to the server.
    pub(crate) route: Route,
    /// The request of the upgrade.
    pub(crate) request: Vec<u8>,
    /// The `Sec-WebSocket-Key` in it.
    pub(crate) key: String,
    /// The subprotocols offered in it.
    pub(crate) offered: Vec<String>,
    /// What is said and expected.
    pub(crate) steps: Vec<Step>,
    /// What the placeholders in the steps stand for.
    pub(crate) placeholders: Placeholders,
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
    #[error("step {step}: {error}")]
    Pattern { step: usize, error: PatternError },
    #[error("the system gave no random bytes")]
    Random,
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
        let placeholders = Placeholders::random().ok_or(PlanError::Random)?;
        for (index, step) in spec.steps.iter().enumerate() {
            if let Step::Expect(Expect { matcher, .. }) = step {
                Pattern::new(matcher, &placeholders)
                    .map_err(|error| PlanError::Pattern { step: index + 1, error })?;
            }
        }
        let key = random_key().ok_or(PlanError::Random)?;
        let request = request::head(spec, &url, &key, region)?;
        Ok(Self {
            route,
            request,
            key,
            offered: spec.subprotocols.clone(),
            steps: spec.steps.clone(),
            placeholders,
        })
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

/// `Sec-WebSocket-Key`: sixteen random bytes in base64 (RFC 6455 section 4.1).
fn random_key() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(BASE64.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use quorate_proto::{Matcher, monitor::Header};

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
            (expect(Matcher::json_equals("a", "1")), "step 2"),
        ] {
            let error = Plan::new(&spec, None).err().expect(why).to_string();
            assert!(error.contains(why), "{error} / {why}");
            assert!(!error.contains("Evil"), "{error}");
        }
    }
}

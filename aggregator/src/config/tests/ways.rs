//! How a monitor shows who it is, and which way it goes.

use quorate_proto::monitor::{Addresses, Family};

use super::*;

fn spec(lines: &str) -> quorate_proto::MonitorSpec {
    parsed(&monitor(lines)).unwrap().config.monitors.remove(0).spec
}

#[test]
fn logins_become_a_header() {
    let authorization = |lines: &str| {
        let headers = spec(lines).headers;
        assert_eq!(headers.len(), 1);
        (headers[0].name.clone(), headers[0].value.clone())
    };
    let of = |value: &str| ("Authorization".to_owned(), value.to_owned());
    assert_eq!(authorization("bearer = \"t0ken\""), of("Bearer t0ken"));
    assert!(authorization("bearer = \"file:secret\"").1.starts_with("Bearer whsec_"));
    assert_eq!(
        authorization("basic = { user = \"Aladdin\", password = \"open sesame\" }"),
        of("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
}

#[test]
fn bad_logins_get_their_faults_and_no_secret_is_printed() {
    let fault = |lines: &str, fault: &str| check(&monitor(lines), &[&format!("4: monitors[0].{fault}")]);
    fault("bearer = \"a b\"", "bearer: wanted a token (RFC 6750), without the word Bearer, found ***");
    fault(
        "basic = { user = \"a:b\", password = \"x\" }",
        "basic.user: wanted a user without a colon (RFC 7617), found \"a:b\"",
    );
    fault("basic = { user = \"a\" }", "basic.password: wanted a password, found nothing");
    fault("basic = { user = \"a\", password = 5 }", "basic.password: wanted a password, found 5");
    check(
        &monitor("bearer = \"a\"\nbasic = { user = \"a\", password = \"b\" }"),
        &["5: monitors[0].basic: wanted one way to log in, found bearer and basic"],
    );
    check(
        &monitor("bearer = \"a\"\nheaders = { authorization = \"Bearer b\" }"),
        &["4: monitors[0].bearer: wanted one way to log in, found bearer and a header Authorization"],
    );
    check(
        "[[monitors]]\nid = \"m\"\nurl = \"wss://me:pass@h/\"\nbearer = \"a\"",
        &["4: monitors[0].bearer: wanted one way to log in, found bearer and a user in the URL"],
    );
}

#[test]
fn client_certificates_are_pairs_in_pem() {
    let pair = spec("client_certificate = { cert_file = \"client.pem\", key_file = \"client.key\" }");
    let pair = pair.client_certificate.unwrap();
    assert_eq!((pair.chain_pem.as_str(), pair.key_pem.as_str()), (CLIENT[0].as_str(), CLIENT[1].as_str()));
    let fault = |table: &str, faults: &[&str]| {
        let faults: Vec<String> =
            faults.iter().map(|fault| format!("4: monitors[0].client_certificate{fault}")).collect();
        check(
            &monitor(&format!("client_certificate = {table}")),
            &faults.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    fault(
        "{ cert_file = \"client.pem\", key_file = \"other.key\" }",
        &[".key_file: wanted the key of the first certificate in cert_file, found another key"],
    );
    fault(
        "{ cert_file = \"client.key\", key_file = \"client.pem\" }",
        &[
            ".cert_file: wanted certificates in PEM (-----BEGIN CERTIFICATE-----), the client's own first, found none",
            ".key_file: wanted a private key in PEM (-----BEGIN PRIVATE KEY-----), not encrypted, found none",
        ],
    );
    fault("{ cert_file = \"client.pem\" }", &[".key_file: wanted the path of a PEM file, found nothing"]);
    fault(
        "{ cert_file = \"gone.pem\", key_file = \"client.key\" }",
        &[".cert_file: wanted a readable file /etc/q/gone.pem, found entity not found"],
    );
    check(
        "[[monitors]]\nid = \"m\"\nurl = \"ws://h/\"\nclient_certificate = { cert_file = \"client.pem\", key_file = \"client.key\" }",
        &[
            "4: monitors[0].client_certificate: wanted a wss:// URL beside client_certificate, found a ws:// URL, which has no TLS",
        ],
    );
}

#[test]
fn ways_there() {
    let through = spec("proxy = \"http://me:pass@proxy:3128\"").proxy.unwrap();
    assert_eq!(
        (through.address.as_str(), through.authorization.as_deref()),
        ("proxy:3128", Some("Basic bWU6cGFzcw=="))
    );
    let through =
        spec("proxy = { address = \"proxy:3128\", basic = { user = \"me\", password = \"pass\" } }");
    assert_eq!(through.proxy.unwrap().authorization.as_deref(), Some("Basic bWU6cGFzcw=="));
    assert_eq!(spec("addresses = \"all\"").addresses, Addresses::All);
    for (family, wanted) in
        [("\"any\"", Family::Any), ("\"4\"", Family::V4), ("6", Family::V6), ("\"both\"", Family::Both)]
    {
        assert_eq!(spec(&format!("family = {family}")).family, wanted);
    }

    let fault = |lines: &str, fault: &str| check(&monitor(lines), &[&format!("4: monitors[0].{fault}")]);
    fault("addresses = \"every\"", "addresses: wanted \"first\" or \"all\", found \"every\"");
    fault("family = 5", "family: wanted \"any\", \"4\", \"6\" or \"both\", found 5");
    fault(
        "proxy = \"https://me:pass@proxy:3128\"",
        "proxy: wanted a proxy that is spoken to by http://: TLS to the proxy itself is not spoken, found ***",
    );
    fault(
        "addresses = \"all\"\nproxy = \"http://proxy:3128\"",
        "addresses: wanted no proxy beside it: the proxy looks the host up, and picks the address, found both",
    );
    fault(
        "addresses = \"all\"\nconnect_to = \"10.0.0.7:443\"",
        "addresses: wanted no connect_to beside it, which is the address, found both",
    );
    check(
        "[[monitors]]\nid = \"m\"\nurl = \"wss://192.0.2.1/\"\nfamily = \"6\"",
        &[
            "4: monitors[0].family: wanted a family that the URL's address is of, found an IPv4 address in the URL",
        ],
    );
}

#[test]
fn the_deciders_half() {
    let config = parsed(&monitor("restart_budget = \"1m\"\ncertificate_warning = \"30d\"")).unwrap().config;
    let monitor_of = |config: Config| config.monitors.into_iter().next().unwrap();
    let of = monitor_of(config);
    assert_eq!(of.restart_budget, Micros::from_secs(60));
    assert_eq!(of.certificate_warning, Micros::from_secs(30 * 86_400));
    for never in ["false", "\"0s\""] {
        let config = parsed(&monitor(&format!("certificate_warning = {never}"))).unwrap().config;
        assert_eq!(monitor_of(config).certificate_warning, Micros::ZERO);
    }
    check(
        &monitor("restart_budget = \"1h\""),
        &[
            "4: monitors[0].restart_budget: wanted a span with its unit between 0s and 10m, such as \"30s\", \"1m 30s\" or \"500ms\", found \"1h\"",
        ],
    );
}

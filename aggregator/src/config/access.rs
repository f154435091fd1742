//! How a monitor shows who it is: `bearer`, `basic`, `client_certificate`.

use quorate_proto::monitor::{ClientCertificate, Header};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{
    document::{Item, Section},
    endpoint::header_value,
};

/// The `Authorization` header that `bearer` or `basic` means; at most one of them and of a header written out may be there.
pub(super) fn authorization(section: &Section<'_>, url: Option<&url::Url>) -> Option<Header> {
    let bearer = section.get("bearer").map(Item::secret);
    let basic = section.get("basic");
    let written = section.section("headers").entries().into_iter();
    let written =
        written.map(|(name, item)| (name.eq_ignore_ascii_case("authorization"), item)).find(|(is, _)| *is);
    let in_url = url.is_some_and(|url| !url.username().is_empty() || url.password().is_some());
    let present: Vec<&str> = [
        (bearer.is_some(), "bearer"),
        (basic.is_some(), "basic"),
        (written.is_some(), "a header Authorization"),
        (in_url, "a user in the URL"),
    ]
    .into_iter()
    .filter_map(|(there, name)| there.then_some(name))
    .collect();
    let last = basic.as_ref().or(bearer.as_ref());
    if let (true, Some(item)) = (present.len() > 1, last) {
        item.refuse_for("one way to log in", present.join(" and "));
    }
    let value = match (bearer, basic) {
        (Some(item), _) => bearer_value(&item),
        (None, Some(item)) => basic_value(&item),
        (None, None) => None,
    }?;
    Some(Header { name: "Authorization".to_owned(), value })
}

fn bearer_value(item: &Item<'_>) -> Option<String> {
    const WANTED: &str = "a token (RFC 6750), without the word Bearer";
    let token = header_value(item, WANTED)?;
    // RFC 6750 section 2.1: what an Authorization header may hold as a token has no spaces.
    if token.contains([' ', '\t']) {
        item.refuse(WANTED);
        return None;
    }
    Some(format!("Bearer {token}"))
}

/// `{ user = "…", password = "…" }` as RFC 7617 writes it.
pub(super) fn basic_value(item: &Item<'_>) -> Option<String> {
    let section = item.section()?;
    let user = section.require("user", "a user").and_then(|item| {
        let user = item.text_or_file("a user")?;
        if user.contains(':') || user.chars().any(char::is_control) {
            item.refuse("a user without a colon (RFC 7617)");
            return None;
        }
        Some(user)
    });
    let password = section.require("password", "a password").and_then(|item| {
        let item = item.secret();
        let password = item.text_or_file("a password")?;
        if password.chars().any(char::is_control) {
            item.refuse("a password on one line");
            return None;
        }
        Some(password)
    });
    section.close();
    Some(basic_of(&user?, &password?))
}

/// The value of a header for a user and a password.
pub(super) fn basic_of(user: &str, password: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes()))
}

/// `client_certificate = { cert_file = "…", key_file = "…" }`: both PEM, and of one pair.
pub(super) fn client_certificate(section: &Section<'_>) -> Option<ClientCertificate> {
    let item = section.get("client_certificate")?;
    let table = item.section()?;
    let wanted = "the path of a PEM file";
    let chain_item = table.require("cert_file", wanted);
    let key_item = table.require("key_file", wanted);
    table.close();
    let (chain_item, key_item) = (chain_item?, key_item?);
    let chain_pem = chain_item.text(wanted).and_then(|path| chain_item.file(&path));
    let key_pem = key_item.text(wanted).and_then(|path| key_item.file(&path));
    let (chain_pem, key_pem) = (chain_pem?, key_pem?);

    let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    if chain.is_none() {
        chain_item
            .refuse_for("certificates in PEM (-----BEGIN CERTIFICATE-----), the client's own first", "none");
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).ok();
    if key.is_none() {
        let wanted = "a private key in PEM (-----BEGIN PRIVATE KEY-----), not encrypted";
        key_item.refuse_for(wanted, "none");
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    match rustls::sign::CertifiedKey::from_der(chain?, key?, &provider) {
        Ok(_) => Some(ClientCertificate { chain_pem, key_pem }),
        Err(rustls::Error::InconsistentKeys(_)) => {
            key_item.refuse_for("the key of the first certificate in cert_file", "another key");
            None
        }
        Err(error) => {
            item.refuse_for("a certificate and its key, as TLS takes them", error.to_string());
            None
        }
    }
}

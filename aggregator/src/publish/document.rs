//! A rendered answer with its entity tag (RFC 9110 section 8.8.3), so that a reader who polls gets 304 and no body.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use quorate_proto::Digest;
use serde::Serialize;

use super::error::Error;

/// Answers that any page of the web may read.
pub(super) const READABLE_BY_ALL: &[(HeaderName, &str)] = &[(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

/// A rendered answer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Document {
    body: Bytes,
    tag: HeaderValue,
    media_type: &'static str,
    cache: &'static str,
    further: &'static [(HeaderName, &'static str)],
}

impl Document {
    /// A document; `cache` is its `Cache-Control`.
    pub(super) fn new(
        body: impl Into<Bytes>,
        media_type: &'static str,
        cache: &'static str,
        further: &'static [(HeaderName, &'static str)],
    ) -> Self {
        let body = body.into();
        Self { tag: tag(&body), body, media_type, cache, further }
    }

    /// A JSON document that any page of the web may read.
    ///
    /// # Errors
    /// [`Error::Internal`] for a value that is not JSON: a defect.
    pub(super) fn public_json(value: &impl Serialize, cache: &'static str) -> Result<Self, Error> {
        let body = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "a public document was not rendered");
            Error::Internal
        })?;
        Ok(Self::new(body, "application/json", cache, READABLE_BY_ALL))
    }

    /// The bytes themselves.
    #[cfg(test)]
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = if self.is_known_to(request) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.body.clone().into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        for (name, value) in self.further {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// RFC 9110 section 13.1.2: a list of tags, compared weakly, or a star.
    fn is_known_to(&self, request: &HeaderMap) -> bool {
        let ours = self.tag.as_bytes();
        request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == ours)
    }
}

/// A strong tag: half of the body's SHA-256, which no accident repeats.
fn tag(body: &[u8]) -> HeaderValue {
    let text = format!("\"{}\"", short_hash(body));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// 128 bits of SHA-256 as base64url.
pub(super) fn short_hash(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).0;
    let (half, _) = digest.split_at(16);
    BASE64URL_NOPAD.encode(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_gets_304_and_no_body() {
        let document = Document::new("text", "text/plain", "no-cache", READABLE_BY_ALL);
        let tag = document.tag.to_str().unwrap().to_owned();
        for (sent, status) in [
            (None, 200),
            (Some("\"other\"".to_owned()), 200),
            (Some(tag.clone()), 304),
            (Some(format!("W/{tag}")), 304),
            (Some(format!("\"a\", {tag}")), 304),
            (Some("*".to_owned()), 304),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = &sent {
                headers.insert(header::IF_NONE_MATCH, sent.parse().unwrap());
            }
            let response = document.answer(&headers);
            assert_eq!(response.status().as_u16(), status, "{sent:?}");
            assert_eq!(response.headers()[header::ETAG], document.tag);
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        }
    }
}

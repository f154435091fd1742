//! `GET /incidents/{id}`: one incident explained, with its timeline as a picture.
//!
//! The status page is public, and so is this: regions and what they saw are told. Keys, units and how long each step took
//! inside are for operators, through the API.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use super::STYLE_REFERENCE;
use crate::{
    evidence::{Explanation, explain, svg},
    publish::{
        Shared,
        document::Document,
        error::{self, Error},
    },
};

#[derive(Template)]
#[template(path = "story.html")]
struct Story<'a> {
    title: &'a str,
    style: &'a str,
    headline: &'a str,
    id: &'a str,
    /// SVG, in which every text is escaped.
    picture: Option<String>,
    sections: &'a [crate::evidence::explain::Section],
    version: &'static str,
}

/// Answers `GET /incidents/{id}`, for a whole id alone.
pub(in crate::publish) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let Some(dossier) = shared.sources.reader.dossier(&id).await? else {
        return Ok(error::no_page());
    };
    let explanation = tokio::task::spawn_blocking(move || explain(&dossier).public()).await;
    let explanation = explanation.map_err(|_| Error::Internal)?;
    let page = shared.sources.page.load_full();
    let document = render(&explanation, &page.title)?;
    Ok(document.answer(&headers).into_response())
}

/// Draws the page.
pub(in crate::publish) fn render(explanation: &Explanation, title: &str) -> Result<Document, Error> {
    let story = Story {
        title,
        style: &STYLE_REFERENCE,
        headline: &explanation.headline,
        id: &explanation.incident,
        picture: explanation.timeline.as_ref().map(|timeline| svg::draw(timeline, &explanation.headline)),
        sections: &explanation.sections,
        version: env!("CARGO_PKG_VERSION"),
    };
    let html = story.render().map_err(|error| {
        tracing::error!(%error, "an incident's page was not rendered");
        Error::Internal
    })?;
    Ok(Document::new(html, "text/html; charset=utf-8", "no-cache", &[]))
}

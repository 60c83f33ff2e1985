//! The page, embedded. Fixed file names, so caches ask each time and get 304.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

use crate::error::ApiError;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../web/dist"]
struct Files;

/// The files that are worth it, compressed once. Answers of the API are not compressed: they hold secrets.
static COMPRESSED: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    let compress = |path: &str| {
        let file = Files::get(path)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&file.data).ok()?;
        let bytes = encoder.finish().ok()?;
        (bytes.len() < file.data.len()).then(|| (path.to_owned(), Bytes::from(bytes)))
    };
    Files::iter().filter_map(|path| compress(&path)).collect()
});

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|part| part.split(';').map(str::trim))
        .any(|mut part| part.next() == Some(encoding) && part.next() != Some("q=0"))
}

pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Only GET is answered here.",
        )
        .into_response();
    }
    let wanted = uri.path().trim_start_matches('/');
    let is_file = wanted.rsplit('/').next().is_some_and(|name| name.contains('.'));
    // Every other path is a view of the page.
    let path = if is_file { wanted } else { "index.html" };
    let Some(file) = Files::get(path) else { return ApiError::not_found("file").into_response() };
    let compressed = COMPRESSED.get(path).filter(|_| accepts(&headers, "gzip"));
    let [head @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = file.metadata.sha256_hash();
    // Weak: the same for the compressed and the plain form.
    let tag = format!("W/\"{:032x}\"", u128::from_be_bytes(head));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = match compressed {
        _ if known => StatusCode::NOT_MODIFIED.into_response(),
        Some(bytes) => bytes.clone().into_response(),
        None => file.data.into_response(),
    };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    if compressed.is_some() && !known {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

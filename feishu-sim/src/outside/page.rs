//! The chat page's files, inside the binary.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use rust_embed::RustEmbed;

use crate::server::empty_response;

#[derive(RustEmbed)]
#[folder = "web/"]
#[allow_missing = true]
struct Web;

pub(super) fn file(path: &str) -> Response {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let Some(file) = Web::get(name) else {
        return empty_response(StatusCode::NOT_FOUND);
    };
    let mime = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    let mut response = Response::new(file.data.into_owned().into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'self'; img-src 'self' data:; object-src 'none'"),
    );
    response
}

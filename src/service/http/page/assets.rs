//! The style, the script and the icon, which stand in the binary.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("files/page.css");

const SCRIPT: &str = include_str!("files/page.js");
const ICON: &str = include_str!("files/icon.svg");

/// `GET /page/files/{name}`.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "page.css" => ("text/css; charset=utf-8", STYLE),
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return (StatusCode::NOT_FOUND, "there is nothing here").into_response(),
    };
    // Asked for anew with each version of keywatch, and not with each page.
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, text).into_response()
}

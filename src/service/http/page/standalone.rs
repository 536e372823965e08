//! An incident as one file that needs no network and no keywatch: to be attached to a report. Its style stands in it, it has no
//! script, and its own policy lets nothing be loaded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_store::Instant;
use maud::{DOCTYPE, PreEscaped, html};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::assets::STYLE;
use super::incident::{content, responses};
use super::parts::{text, time};

/// The file of incidents, as `GET /v1/incidents/{id}` answers each. `note` says where they are from.
pub(crate) fn file(incidents: &[Value], note: &str, now: Instant) -> String {
    let title = incidents.first().map_or("keywatch", |incident| text(incident, "title"));
    let policy = format!("default-src 'none'; style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE)));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · keywatch" }
                // Our own file, in which no `<` stands.
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @for incident in incidents { (content(incident, now, &html! {}, &responses(incident))) }
                    @if incidents.is_empty() { p.nothing { "No incident." } }
                }
                footer { p { (note) " Written " (time(&now.to_string())) " UTC by keywatch " (env!("CARGO_PKG_VERSION")) ". Times are UTC." } }
            }
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_needs_nothing_else_and_holds_no_script() {
        let attack = "</style><script>alert(1)</script>";
        let incident = json!({ "id": attack, "title": attack, "severity": "high", "status": "open", "system": attack });
        let file = file(&[incident], attack, Instant(0));
        assert!(!file.contains("<script") && !file.contains("href=") && !file.contains("src="), "{file}");
        assert_eq!(file.matches("</style>").count(), 1, "{file}");
        assert!(file.contains("style-src &#39;sha256-") || file.contains("style-src 'sha256-"), "{file}");
        assert!(!STYLE.contains('<') && !STYLE.contains("url("), "the style loads nothing and ends where it ends");
    }
}

//! What a browser sends of a form, or in the query of an address.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::layout;
use super::sessions::Session;

/// The fields of a form, or of the query of an address.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` (WHATWG URL, 5.1).
    pub(super) fn read(text: &str) -> Fields {
        // A fragment would end the query; browsers send no bare `#`.
        let address = format!("http://keywatch/?{}", text.replace('#', "%23"));
        let url = reqwest::Url::parse(&address);
        let pairs = url.iter().flat_map(|url| url.query_pairs());
        Fields(pairs.map(|(name, value)| (name.into_owned(), value.trim().to_owned())).collect())
    }

    /// Reads the form of a session; one that does not bring its token along is refused.
    fn of_form(session: &Session, body: &str) -> Result<Fields, Box<Response>> {
        let fields = Fields::read(body);
        if session.has(fields.get("token").unwrap_or_default()) {
            return Ok(fields);
        }
        let problem = "This form is not of your session. Load the page again and repeat what you did.";
        Err(Box::new(layout::refused(Some(session), StatusCode::FORBIDDEN, problem)))
    }

    /// A field that was filled in.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A field, filled in or not.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

/// The last of what a handler takes of a request: the form of its session, or a refusal.
impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Fields, Response> {
        let session = request.extensions().get::<Session>().cloned();
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let session = session.ok_or_else(|| StatusCode::UNAUTHORIZED.into_response())?;
        Fields::of_form(&session, &String::from_utf8_lossy(&body)).map_err(|refused| *refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let fields = Fields::read("comment=a%26b+%3Cscript%3E&empty=&x=1#y");
        assert_eq!((fields.text("comment"), fields.get("empty"), fields.text("x")), ("a&b <script>", None, "1#y"));
    }
}

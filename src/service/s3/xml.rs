//! What is needed of XML to read the lists of a bucket, whose elements have no attributes. It knows no list.

/// What stands between the tags of each element of that name. The service writes no attributes there.
pub(crate) fn each<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inside, behind) = behind.split_once(&close)?;
        rest = behind;
        Some(inside)
    })
}

/// What stands within the first element of that name.
pub(crate) fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    each(text, name).next()
}

/// The text that was written with the entities of XML.
pub(crate) fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#13;", "\r"), ("&amp;", "&")];
    known.into_iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

//! What answers of REST services say beside their bodies: where a list goes on (RFC 8288), and how long they want to be left
//! alone. Asks nobody and knows no service.

/// The target of the first link with `rel="next"`, among the values of `Link` headers.
pub fn next_link<'h>(values: impl IntoIterator<Item = &'h str>) -> Option<&'h str> {
    values.into_iter().find_map(next_in)
}

fn next_in(mut links: &str) -> Option<&str> {
    loop {
        let (_, behind) = links.split_once('<')?;
        let (target, behind) = behind.split_once('>')?;
        let (parameters, others) = behind.split_at(parameters_end(behind));
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        links = others;
    }
}

/// Where the parameters of a link end: at a comma outside quotation marks.
fn parameters_end(text: &str) -> usize {
    let mut quoted = false;
    let ends = |character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    };
    text.find(ends).unwrap_or(text.len())
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// Seconds that a service asks at `now` to be left alone: `Retry-After` in seconds, or else until `X-Rate-Limit-Reset`,
/// unix seconds. At least one, where it says anything.
pub fn rest_seconds(retry_after: Option<&str>, reset: Option<&str>, now: i64) -> Option<u64> {
    let after = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    let until = || reset.and_then(|text| text.trim().parse::<i64>().ok()).map(|reset| reset.saturating_sub(now));
    let seconds = after.or_else(|| until().map(|seconds| u64::try_from(seconds).unwrap_or_default()));
    seconds.map(|seconds| seconds.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_all_links_and_their_parameters() {
        let own = "<https://a.example/logs?since=1>; rel=\"self\"";
        let next = "<https://a.example/logs?after=x,y>; title=\"a, b\"; rel=\"next\"";
        assert_eq!(next_link([own, next]), Some("https://a.example/logs?after=x,y"));
        let joined = format!("{own}, {next}");
        assert_eq!(next_link([joined.as_str()]), Some("https://a.example/logs?after=x,y"));
        assert_eq!(next_link(["<u>; REL=NEXT"]), Some("u"));
        assert_eq!(next_link(["<u>; rel=\"last next\""]), Some("u"));
        for none in ["", own, "rel=next", "<u; rel=next", "<u>; rel=\"nextish\"", "<u>; title=\", rel=next\""] {
            assert_eq!(next_link([none]), None, "{none}");
        }
    }

    #[test]
    fn a_service_is_left_alone_for_as_long_as_it_asks() {
        assert_eq!(rest_seconds(Some("7"), Some("9999999999"), 0), Some(7));
        assert_eq!(rest_seconds(None, Some("130"), 100), Some(30));
        assert_eq!(rest_seconds(None, Some("90"), 100), Some(1), "its window is over");
        assert_eq!(rest_seconds(Some("0"), None, 100), Some(1));
        assert_eq!(rest_seconds(Some("soon"), None, 100), None);
        assert_eq!(rest_seconds(None, None, 100), None);
    }
}

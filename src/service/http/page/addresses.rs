//! Paths and queries as addresses hold them, each part escaped.

/// A path of which each part is escaped.
pub(super) fn path(parts: &[&str]) -> String {
    address(parts, &[])
}

/// A path with a query; parameters without a value are left out.
pub(super) fn address(parts: &[&str], query: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://keywatch/").expect("it is an address");
    url.path_segments_mut().expect("http has a path").pop_if_empty().extend(parts);
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.as_str().trim_start_matches("http://keywatch").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_escaped() {
        assert_eq!(path(&["v1", "incidents", "a/../b?c"]), "/v1/incidents/a%2F..%2Fb%3Fc");
        assert_eq!(address(&["page"], &[("status", "open"), ("system", "")]), "/page?status=open");
    }

    #[test]
    fn a_name_of_dots_leads_nowhere_else() {
        assert_eq!(path(&["v1", "incidents", "..", "me"]), "/v1/incidents/me");
    }
}

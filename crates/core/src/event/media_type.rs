//! Which media types are JSON.

/// Whether a media type is JSON as CloudEvents 1.0 defines it (JSON format, §3.1): the subtype is `json` or ends in
/// `+json`. Parameters are allowed, such as `; charset=utf-8`.
pub(super) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or("").trim_matches([' ', '\t']);
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let suffix = subtype.rsplit('+').next().unwrap_or("");
    // A lone `+json` is a suffix of nothing.
    token(kind) && token(subtype) && suffix.eq_ignore_ascii_case("json") && !subtype.starts_with('+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_the_rest() {
        for json in [
            "application/json",
            "Application/JSON",
            " application/json ; charset=utf-8",
            "application/problem+json",
            "application/vnd.acme.order.v1+JSON;v=1",
            "text/json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            "json",
            "application/",
            "/json",
            "application/+json",
            "application/xml",
            "application/jsonl",
            "application/x-ndjson",
            "application/json+xml",
            "application/a/json",
            "application/json, text/plain",
            "application /json",
            "text/plain; a=application/json",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }
}

//! Where a page stands that sends a request: the origin that a browser names.
//!
//! Outside of browsers anybody can name any origin: it keeps other people's pages away, not other
//! people's programs.

use url::Url;

use crate::signature::Request;

/// The origin that a request names, by itself or by the page that it comes from.
pub fn of(request: &Request<'_>) -> Option<String> {
    if let Some(origin) = request.text("origin") {
        return Some(origin);
    }
    let page = Url::parse(&request.text("referer")?).ok()?;
    Some(page.origin().ascii_serialization())
}

/// Whether `origin` is among `allowed`: origins or names of hosts, parted by commas or spaces. `*`
/// is all of them; `empty` says what an empty list means.
pub fn allows(allowed: &str, origin: Option<&str>, empty: bool) -> bool {
    let mut entries = allowed.split([',', ' ', '\n', '\t']).filter(|entry| !entry.is_empty());
    let Some(first) = entries.next() else { return empty };
    let Some(origin) = origin else { return allowed.trim() == "*" };
    std::iter::once(first).chain(entries).any(|entry| entry == "*" || is_same(entry, origin))
}

fn is_same(entry: &str, origin: &str) -> bool {
    let (entry, origin) = (entry.trim_end_matches('/'), origin.trim_end_matches('/'));
    if entry.eq_ignore_ascii_case(origin) {
        return true;
    }
    // An entry without a scheme is a host, on whatever port and by whatever scheme.
    let host = Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned));
    !entry.contains("://") && host.is_some_and(|host| host.eq_ignore_ascii_case(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_allowed_by_itself_or_by_its_host() {
        let allowed = "https://acme.example, shop.example";
        for (origin, expected) in [
            ("https://acme.example", true),
            ("https://ACME.example/", true),
            ("http://acme.example", false),
            ("https://acme.example.evil", false),
            ("http://shop.example:8080", true),
            ("shop.example", true),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(allows(allowed, Some(origin), true), expected, "{origin}");
        }
        assert!(!allows(allowed, None, true));
        assert!(allows("", None, true) && !allows("", Some("https://a.example"), false));
        assert!(allows("*", Some("https://a.example"), false) && allows(" * ", None, false));
    }
}

//! Links in what a connector says to people.
//!
//! They are somebody else's text, shown with something to press. Only addresses of the web may
//! stand behind it: `javascript:`, `data:`, files and addresses of other programs are refused when
//! the connector is loaded, wherever they stand, also in code, so that nothing depends on how a
//! page takes its Markdown.

/// The first link in `markdown` that leads elsewhere than to the web.
pub(super) fn unfit(markdown: &str) -> Option<&str> {
    let inline = markdown.split("](").skip(1).map(|rest| until(rest, &[')', '\n']));
    let defined = markdown.lines().filter_map(definition);
    let bare = markdown.split('<').skip(1).filter(|rest| has_scheme(rest));
    let bare = bare.map(|rest| until(rest, &['>', '\n', ' ']));
    let mut links = inline.chain(defined).chain(bare);
    links.find(|link| !is_of_the_web(link))
}

/// Whether it is an address of the web, whole and without anything that could hide another.
pub(super) fn is_of_the_web(link: &str) -> bool {
    // A title may stand behind an address.
    let (address, title) = link.split_once(' ').unwrap_or((link, ""));
    let is_hidden = |letter: char| letter.is_control() || "\"'`\\<".contains(letter);
    let begins = ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme));
    begins
        && !address.chars().any(is_hidden)
        && (title.is_empty() || title.trim_start().starts_with(['"', '\'', '(']))
        && url::Url::parse(address).is_ok_and(|url| url.has_host())
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// The address of `[name]: address`.
fn definition(line: &str) -> Option<&str> {
    let (name, address) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
    (!name.contains(']')).then(|| address.trim())
}

/// Whether a text begins with the scheme of an address: `<mailto:a@b>` and its like. A tag has none.
fn has_scheme(text: &str) -> bool {
    let scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let end = text.find(|letter| !scheme(letter)).unwrap_or(text.len());
    end > 0 && text.starts_with(|it: char| it.is_ascii_alphabetic()) && text[end..].starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_web_are_links() {
        for text in [
            "1. Open [Settings](https://acme.example/a?b=c#d), then press *New*.",
            "[a](http://localhost:8080/x)",
            "[a](https://acme.example \"its title\")",
            "See <https://acme.example/docs>.",
            "[1]: https://acme.example",
            "A <form method=\"post\"> and `a < b: c`, 10 <= 11, <b>bold</b>",
            "no links, [brackets], (parentheses) and javascript in words",
        ] {
            assert_eq!(unfit(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for (text, link) in [
            ("[a](javascript:alert(1))", "javascript:alert(1"),
            ("[a](JavaScript:alert)", "JavaScript:alert"),
            ("[a]( javascript:x )", " javascript:x "),
            ("[a](java\tscript:x)", "java\tscript:x"),
            ("[a](&#106;avascript:x)", "&#106;avascript:x"),
            ("[a](data:text/html,<script>)", "data:text/html,<script>"),
            ("[a](file:///etc/passwd)", "file:///etc/passwd"),
            ("[a](mailto:ada@acme.example)", "mailto:ada@acme.example"),
            ("[a](patchbay:x)", "patchbay:x"),
            ("[a](//evil.example)", "//evil.example"),
            ("[a](/api/quit)", "/api/quit"),
            ("[a]()", ""),
            ("[a](https://)", "https://"),
            ("[a](https:javascript)", "https:javascript"),
            ("<javascript:alert(1)>", "javascript:alert(1)"),
            ("<vbscript:x>", "vbscript:x"),
            ("  [1]: javascript:x", "javascript:x"),
            ("```\n[a](javascript:x)\n```", "javascript:x"),
            ("good [a](https://acme.example) and [b](data:x)", "data:x"),
        ] {
            assert_eq!(unfit(text), Some(link), "{text}");
        }
    }
}

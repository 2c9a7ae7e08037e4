//! Other people's text, before it is shown, stored as a title or written to a log.

/// `text` on one line: without control characters, shortened to `most` characters.
///
/// Runs of white space become one space; what turns the direction of writing is left out too,
/// since it can make a line say something else than it does.
pub fn clean(text: &str, most: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(most * 4));
    let mut count = 0;
    let mut gap = false;
    for letter in text.chars() {
        if letter.is_whitespace() {
            gap = true;
            continue;
        }
        if letter.is_control() || is_invisible(letter) {
            continue;
        }
        let space = gap && !cleaned.is_empty();
        if count + 1 + usize::from(space) > most {
            shorten(&mut cleaned, most);
            return cleaned;
        }
        if space {
            cleaned.push(' ');
        }
        cleaned.push(letter);
        count += 1 + usize::from(space);
        gap = false;
    }
    cleaned
}

/// Puts an ellipsis in place of what does not fit.
fn shorten(cleaned: &mut String, most: usize) {
    while cleaned.chars().count() >= most.max(1) {
        cleaned.pop();
    }
    if most > 0 {
        cleaned.push('…');
    }
}

/// Marks that have no shape of their own: writing direction, zero width, tags, byte order.
pub(crate) fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{7}\nand\t blue\u{202e}", 200), "[31mred and blue");
    }

    #[test]
    fn what_is_too_long_ends_with_an_ellipsis() {
        assert_eq!(clean("12345", 5), "12345");
        assert_eq!(clean("123456", 5), "1234…");
        assert_eq!(clean("1234 5", 5), "1234…");
        assert_eq!(clean("1", 0), "");
    }

    proptest! {
        #[test]
        fn the_result_is_short_and_plain(text in any::<String>(), most in 0usize..50) {
            let cleaned = clean(&text, most);

            prop_assert!(cleaned.chars().count() <= most);
            prop_assert!(!cleaned.chars().any(char::is_control));
            prop_assert_eq!(clean(&cleaned, most), cleaned);
        }
    }
}

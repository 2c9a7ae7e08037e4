//! What this program is called where it was called from.
//!
//! Sentences for people name commands as `patchbay …`. Whoever runs a build out of its folder has no
//! such command; what they called it works, so that is what they read.

use std::path::Path;

/// `text` with the commands in it as they can be typed here.
pub(crate) fn as_called(text: &str) -> String {
    match std::env::args().next() {
        Some(called) => called_as(text, &called),
        None => text.to_owned(),
    }
}

fn called_as(text: &str, called: &str) -> String {
    // Found by its name alone: then the name works.
    if Path::new(called).components().nth(1).is_none() {
        return text.to_owned();
    }
    let typed = match called.contains(char::is_whitespace) {
        true => format!("\"{called}\""),
        false => called.to_owned(),
    };
    text.replace("`patchbay ", &format!("`{typed} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_as_it_can_be_typed() {
        let check = |called| called_as("Run `patchbay doctor`: Patchbay tells.", called);

        assert_eq!(check("patchbay"), "Run `patchbay doctor`: Patchbay tells.");
        assert_eq!(
            check("target/debug/patchbay"),
            "Run `target/debug/patchbay doctor`: Patchbay tells."
        );
        assert_eq!(check("/my own/patchbay"), "Run `\"/my own/patchbay\" doctor`: Patchbay tells.");
    }
}

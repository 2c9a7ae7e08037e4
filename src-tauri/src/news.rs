//! What the pages are told without asking: that something changed, and whether they would hear of it.

use engine::changes::Notice;
use serde::Serialize;

/// One message on the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum News {
    /// Something changed.
    Notice(Notice),
    /// Notices begin to come, or have stopped.
    Link {
        /// Which of the two.
        link: Link,
    },
}

/// Whether notices are coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Link {
    /// They are, from now on; what was before may have been missed.
    Live,
    /// They are not. Somebody tries again.
    Lost,
}

impl News {
    /// Notices come.
    pub(crate) const LIVE: Self = Self::Link { link: Link::Live };
    /// None come.
    pub(crate) const LOST: Self = Self::Link { link: Link::Lost };
}

#[cfg(test)]
mod tests {
    use engine::changes::Noun;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pages_tell_a_notice_from_a_link_by_its_field() {
        let text = |news| serde_json::to_value(news).unwrap();

        assert_eq!(text(News::LOST), json!({ "link": "lost" }));
        let notice = text(News::Notice(Notice::of(Noun::Events)));
        assert_eq!(notice, json!({ "noun": "events", "added": 0 }));
    }
}

//! From what a mail says to the bytes of one (RFC 5322).
//!
//! What becomes a header has no line ends and no other control characters: whoever could add one
//! would write headers of their own, and mail to others.

use std::time::{Duration, SystemTime};

use domain::text::clean;
use jiff::Timestamp;
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::field::Problem;

/// To how many a mail goes at most.
const MOST: usize = 100;
/// How long a header may be, in characters.
const LONGEST: usize = 1_000;
/// How large a body may be, in bytes.
const LARGEST: usize = 5 * 1024 * 1024;

/// A mail, as somebody writes it. An address is `ada@acme.example`, or with a name before it:
/// `Ada <ada@acme.example>`.
#[derive(Debug, Clone, Default)]
pub struct Mail {
    /// Whom it is to.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets one without the others' knowing.
    pub bcc: Vec<String>,
    /// Whom it is from; the connection's own where it is not given.
    pub from: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The same in HTML.
    pub html: Option<String>,
    /// The `Message-ID` of the mail that it answers.
    pub in_reply_to: Option<String>,
}

/// A mail, ready to be sent.
pub(super) struct Written {
    /// Its own `Message-ID`.
    pub(super) message_id: String,
    /// Whom it goes to, and who is told of what becomes of it.
    pub(super) envelope: Envelope,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

impl Mail {
    /// Writes it, from `from` where it says nothing else.
    ///
    /// # Errors
    ///
    /// The first field that does not fit.
    pub(super) fn write(&self, from: Option<&str>, now: Timestamp) -> Result<Written, Problem> {
        if self.to.is_empty() {
            return Err(wrong("to", "is missing"));
        }
        if self.to.len() + self.cc.len() + self.bcc.len() > MOST {
            return Err(wrong("to", "holds more addresses than one mail may go to"));
        }
        if self.text.len() + self.html.as_ref().map_or(0, String::len) > LARGEST {
            return Err(wrong("text", "is larger than a mail may be"));
        }
        let from = self.from.as_deref().or(from).ok_or_else(|| wrong("from", "is missing"))?;
        let from = mailbox("from", from)?;
        let unique = hex::encode(crate::random::<16>());
        let message_id = format!("<{unique}@{}>", from.email.domain());
        // No mail is older than that.
        let since = Duration::from_secs(now.as_second().try_into().unwrap_or_default());
        let mut builder = Message::builder()
            .date(SystemTime::UNIX_EPOCH + since)
            .message_id(Some(message_id.clone()))
            .from(from)
            .subject(line("subject", &self.subject)?);
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(mailbox("reply_to", reply_to)?);
        }
        for to in &self.to {
            builder = builder.to(mailbox("to", to)?);
        }
        for cc in &self.cc {
            builder = builder.cc(mailbox("cc", cc)?);
        }
        for bcc in &self.bcc {
            builder = builder.bcc(mailbox("bcc", bcc)?);
        }
        if let Some(id) = &self.in_reply_to {
            let id = answered(id)?;
            builder = builder.in_reply_to(id.clone()).references(id);
        }
        let message = match &self.html {
            Some(html) => builder
                .multipart(MultiPart::alternative_plain_html(self.text.clone(), html.clone())),
            None => builder.singlepart(SinglePart::plain(self.text.clone())),
        };
        let message = message.map_err(|error| wrong("to", &clean(&error.to_string(), 200)))?;
        let (envelope, bytes) = (message.envelope().clone(), message.formatted());
        Ok(Written { message_id, envelope, bytes })
    }
}

fn wrong(field: &str, problem: &str) -> Problem {
    Problem { field: field.into(), problem: problem.into() }
}

/// What becomes one line of the head.
fn line(field: &str, text: &str) -> Result<String, Problem> {
    if text.chars().any(char::is_control) {
        return Err(wrong(field, "has characters that cannot be printed"));
    }
    if text.chars().count() > LONGEST {
        return Err(wrong(field, "is too long"));
    }
    Ok(text.trim().to_owned())
}

/// One address, with a name before it or without.
fn mailbox(field: &str, text: &str) -> Result<Mailbox, Problem> {
    let text = line(field, text)?;
    let unfit = || wrong(field, "is not the address of a mailbox, such as ada@acme.example");
    let mailbox: Mailbox = text.parse().map_err(|_| unfit())?;
    let email = mailbox.email.to_string();
    // What stands after an address is not read, so there has to be nothing.
    let end = text.trim_end_matches('>').trim_end();
    if !end.ends_with(&email) || !email.is_ascii() {
        return Err(unfit());
    }
    Ok(mailbox)
}

/// The id of a mail, in angle brackets.
fn answered(id: &str) -> Result<String, Problem> {
    let id = line("in_reply_to", id)?;
    let bare = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(&id);
    let fits = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '<' | '>' | ',');
    if bare.is_empty() || !bare.contains('@') || !bare.chars().all(fits) {
        return Err(wrong("in_reply_to", "is not the Message-ID of a mail"));
    }
    Ok(format!("<{bare}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            to: vec!["Bob <bob@shop.example>".into()],
            subject: "Grüße".into(),
            text: "One\n.\nTwo\n".into(),
            ..Mail::default()
        }
    }

    fn written(mail: &Mail) -> (Written, String) {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        let written = mail.write(Some("Acme <ada@acme.example>"), now).ok().unwrap();
        let text = String::from_utf8(written.bytes.clone()).unwrap();
        (written, text)
    }

    fn refused(mail: &Mail) -> String {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        mail.write(Some("ada@acme.example"), now).err().expect("it does not fit").field
    }

    #[test]
    fn a_mail_has_what_it_needs_and_hides_whom_it_should() {
        let mail = Mail {
            cc: vec!["cy@shop.example".into()],
            bcc: vec!["dan@shop.example".into()],
            reply_to: Some("help@acme.example".into()),
            in_reply_to: Some("1@shop.example".into()),
            html: Some("<p>One</p>".into()),
            ..mail()
        };

        let (written, text) = written(&mail);

        for header in [
            "From: Acme <ada@acme.example>\r\n",
            "To: Bob <bob@shop.example>\r\n",
            "Cc: cy@shop.example\r\n",
            "Reply-To: help@acme.example\r\n",
            "In-Reply-To: <1@shop.example>\r\n",
            "References: <1@shop.example>\r\n",
            "Date: Wed, 25 Nov 2026 10:00:00 +0000\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/html; charset=utf-8\r\n",
        ] {
            assert!(text.contains(header), "{header}: {text}");
        }
        assert!(text.contains(&format!("Message-ID: {}\r\n", written.message_id)), "{text}");
        assert!(written.message_id.ends_with("@acme.example>"));
        assert!(!text.contains("dan@"), "{text}");
        assert_eq!(written.envelope.to().len(), 3);
        assert!(text.is_ascii());
    }

    #[test]
    fn nobody_adds_headers_or_addresses() {
        let evil = "x\r\nBcc: eve@evil.example";
        let address = "bob@shop.example\r\nBcc: eve@evil.example";
        for (field, mail) in [
            ("subject", Mail { subject: evil.into(), ..mail() }),
            ("to", Mail { to: vec![address.into()], ..mail() }),
            ("to", Mail { to: vec!["bob@shop.example, eve@evil.example".into()], ..mail() }),
            ("to", Mail { to: vec!["bob@shop.example eve".into()], ..mail() }),
            ("to", Mail { to: vec!["nobody".into()], ..mail() }),
            ("to", Mail { to: Vec::new(), ..mail() }),
            ("to", Mail { to: vec!["bob@shop.example".into(); 101], ..mail() }),
            ("cc", Mail { cc: vec![address.into()], ..mail() }),
            ("bcc", Mail { bcc: vec!["<>".into()], ..mail() }),
            ("from", Mail { from: Some("Ada\n<ada@acme.example>".into()), ..mail() }),
            ("reply_to", Mail { reply_to: Some(address.into()), ..mail() }),
            ("in_reply_to", Mail { in_reply_to: Some("<1@x>\r\nX: y".into()), ..mail() }),
            ("in_reply_to", Mail { in_reply_to: Some("<1@x> <2@x>".into()), ..mail() }),
            ("text", Mail { text: "x".repeat(LARGEST + 1), ..mail() }),
        ] {
            assert_eq!(refused(&mail), field);
        }
    }
}

//! Why an event was accepted, in a sentence for its owner. Made here and nowhere else.

use domain::event::{Event, Proof};

/// The sentence. `inbox` is the inbox's name, which is how the user calls the sender.
pub(crate) fn why(event: &Event, inbox: &str) -> String {
    let mut sentence = match event.summary.proof {
        Proof::Verified => verified(event, inbox),
        Proof::Unsigned => "Accepted without a signature, as this inbox allows.".to_owned(),
        Proof::Held => "Stored and acknowledged, but not verified yet: the vault was locked when \
                        it came."
            .to_owned(),
        Proof::Recovered => {
            "Fetched from the provider, because its webhook did not arrive.".to_owned()
        }
    };
    if event.summary.arrived > 1 {
        sentence.push_str(&format!(
            " It arrived {} times; a repeat changes nothing.",
            event.summary.arrived
        ));
    }
    sentence
}

fn verified(event: &Event, inbox: &str) -> String {
    let detail = &event.proof_detail;
    let checked = match (&detail.header, &detail.scheme) {
        (Some(header), _) => format!(", checked with {header}"),
        (None, Some(scheme)) => format!(", checked with {scheme}"),
        (None, None) => String::new(),
    };
    let secret = match detail.secret {
        Some(place) if place > 1 => " and an older secret",
        _ => "",
    };
    format!("Accepted: signed by {inbox}{checked}{secret}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::{EventSummary, Origin, ProofDetail};
    use domain::id::{EventId, InboxId};
    use jiff::Timestamp;

    fn check(proof: Proof, arrived: u32, header: &str, secret: u32) -> String {
        let at = Timestamp::UNIX_EPOCH;
        let summary = EventSummary {
            id: EventId::new(1),
            inbox: InboxId::new(1),
            event_type: String::new(),
            title: String::new(),
            external_id: None,
            received_at: at,
            size_bytes: 0,
            origin: Origin::Push,
            proof,
            arrived,
            sandbox: false,
        };
        let proof_detail = ProofDetail {
            header: (!header.is_empty()).then(|| header.to_owned()),
            secret: Some(secret),
            ..ProofDetail::default()
        };
        let event = Event {
            summary,
            connection: None,
            about: None,
            occurred_at: None,
            proof_detail,
            method: "POST".into(),
            query: None,
            headers: Vec::new(),
            first_at: at,
            last_at: at,
        };
        why(&event, "Sandbox shop")
    }

    #[test]
    fn a_sentence_names_the_signer_and_the_header() {
        assert_eq!(
            check(Proof::Verified, 1, "webhook-signature", 1),
            "Accepted: signed by Sandbox shop, checked with webhook-signature."
        );
        assert_eq!(
            check(Proof::Verified, 1, "webhook-signature", 2),
            "Accepted: signed by Sandbox shop, checked with webhook-signature and an older secret."
        );
    }

    #[test]
    fn a_repeat_is_told() {
        assert_eq!(
            check(Proof::Unsigned, 3, "", 1),
            "Accepted without a signature, as this inbox allows. It arrived 3 times; a repeat \
             changes nothing."
        );
    }
}

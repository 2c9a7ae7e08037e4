//! Connectors for senders that are not shipped, as their documentation describes them, each with
//! deliveries that are played: the words suffice.

use crate::connector;
use crate::fixture::play;

fn plays(id: &str, yaml: &str, fixtures: &[&str]) {
    let connector = connector::load(&format!("{id}/connector.yaml"), yaml, &|_| None)
        .unwrap_or_else(|error| panic!("{id}: {error}"));
    for (number, fixture) in fixtures.iter().enumerate() {
        play(&connector, fixture).unwrap_or_else(|problem| panic!("{id} {number}: {problem}"));
    }
}

/// Signed, and asked for a digest every three days.
#[test]
fn zoom_plays() {
    plays(
        "zoom",
        r#"format: 1
id: zoom
name: zoom
status: documented
webhooks:
  verify: { hmac: { sha256: ["v0:", { header: x-zm-request-timestamp }, ":", body], key: signing_secret, header: x-zm-signature, prefix: "v0=", encoding: hex, time: { header: x-zm-request-timestamp, tolerance: 5m } } }
  handshake: { hmac: { sha256: { path: .payload.plainToken }, key: signing_secret, encoding: hex }, in_json: "{ plainToken: .payload.plainToken, encryptedToken: $value }", when: '.event == "endpoint.url_validation"' }
  type: .event
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "zoomsecretzoomsecret"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["x-zm-request-timestamp", "1764000000"], ["x-zm-signature", "v0=faa993bf8ecf2e382e8f80f5aa47997ca89de8c6bacaa2daf0787f2facf763d1"]], "body": "{\"event\":\"endpoint.url_validation\",\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"}}"}, "expect": {"handshake": {"status": 200, "body": "{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\",\"encryptedToken\":\"efb105544f9cc78af5a5afd5ddc11da79db088a26d0cd568b7277d863f0829f0\"}", "headers": {"content-type": "application/json"}}}, "forged": []}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "zoomsecretzoomsecret"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["x-zm-request-timestamp", "1764000000"], ["x-zm-signature", "v0=99b71355955cc2e92262e63f766ad8b1d497c165a4bfcfb1fdc07bed8c332052"]], "body": "{\"event\":\"meeting.started\",\"payload\":{}}"}, "expect": {"accepted": {"proof": "verified", "type": "meeting.started"}}, "forged": [{"body": "{\"event\":\"endpoint.url_validation\",\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"}}"}, {"headers": {"x-zm-signature": null}, "refused": "unsigned"}, {"at": "2025-11-24T16:05:01Z", "refused": "stale"}]}}"#,
        ],
    );
}

/// The secret is said in the handshake, and kept.
#[test]
fn asana_plays() {
    plays(
        "asana",
        r#"format: 1
id: asana
name: asana
status: documented
webhooks:
  verify: { hmac: { sha256: body, key: signing_secret, header: x-hook-signature, encoding: hex } }
  handshake: { echo: { header: x-hook-secret }, in_header: x-hook-secret, keep: signing_secret }
  envelope: { items: .events }
  type: .action
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Hook-Secret", "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"]], "body": "{}"}, "expect": {"handshake": {"status": 200, "body": "", "headers": {"x-hook-secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}}}, "forged": []}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Hook-Secret", "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"]], "body": "{}"}, "expect": {"handshake": {"status": 200, "headers": {"x-hook-secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}}}, "forged": []}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Hook-Secret", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]], "body": "{}"}, "expect": {"refused": "unsigned"}, "forged": []}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Hook-Signature", "5f67204555e6ed6fa32c912f3d6ae7aad9e9686b11fc7be044f7cafe67b63f53"]], "body": "{\"events\":[{\"action\":\"changed\"}]}"}, "expect": {"accepted": {"proof": "verified", "type": "changed"}}, "forged": [{"headers": {"X-Hook-Signature": "232fbecdf7efd698f1fc90dd638d81a32fdc36f8f14c883fe4a84e7873c6d14c"}}]}}"#,
        ],
    );
}

/// Two keys, two headers: either is enough while the other is changed.
#[test]
fn box_plays() {
    plays(
        "box",
        r#"format: 1
id: box
name: box
status: documented
webhooks:
  verify: { hmac: { sha256: [body, { header: box-delivery-timestamp }], key: signing_secret, header: [box-signature-primary, box-signature-secondary], encoding: base64, time: { header: box-delivery-timestamp, unit: iso, tolerance: 10m } } }
  type: .trigger
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": ["p", "s"]}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["BOX-DELIVERY-TIMESTAMP", "2025-11-24T15:59:00Z"], ["BOX-SIGNATURE-PRIMARY", "eFCqGjauqxh9S4eo/QHSZOtjoToEDE8uPaAV/7iLyiU="], ["BOX-SIGNATURE-SECONDARY", "WZvHZgCCv3R1JfbJ4EBcOAu+R0265yxPVJxacCClWcQ="]], "body": "{\"type\":\"webhook_event\",\"trigger\":\"FILE.UPLOADED\"}"}, "expect": {"accepted": {"proof": "verified", "type": "FILE.UPLOADED"}}, "forged": [{"body": "{}"}, {"headers": {"BOX-SIGNATURE-PRIMARY": null, "BOX-SIGNATURE-SECONDARY": null}, "refused": "unsigned"}, {"headers": {"BOX-SIGNATURE-PRIMARY": "H+XyCIAqo5t0a1ikh6i1W75XMH9mHkqirN1ZM2HAdoQ=", "BOX-SIGNATURE-SECONDARY": "3D5jiiGPY8roNW8i/5xDly0BspS3sMFE6ZTKoaro9d0="}}]}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": ["p", "s"]}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["BOX-DELIVERY-TIMESTAMP", "2025-11-24T15:59:00Z"], ["BOX-SIGNATURE-PRIMARY", "ZKN+X6Nnzji3x+0pdw35cCYpz5OuTVlB9LlQS6e8xjQ="], ["BOX-SIGNATURE-SECONDARY", "WZvHZgCCv3R1JfbJ4EBcOAu+R0265yxPVJxacCClWcQ="]], "body": "{\"type\":\"webhook_event\",\"trigger\":\"FILE.UPLOADED\"}"}, "expect": {"accepted": {"proof": "verified"}}, "forged": []}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": ["p", "s"]}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["BOX-DELIVERY-TIMESTAMP", "2025-11-24T15:59:00Z"], ["BOX-SIGNATURE-PRIMARY", "ZKN+X6Nnzji3x+0pdw35cCYpz5OuTVlB9LlQS6e8xjQ="], ["BOX-SIGNATURE-SECONDARY", "eVAqQt70eCsWaLw7/1CZKmA4TYUrmNDfy/URcukHR8U="]], "body": "{\"type\":\"webhook_event\",\"trigger\":\"FILE.UPLOADED\"}"}, "expect": {"refused": "wrong_signature"}, "forged": []}}"#,
        ],
    );
}

/// A signature in JSON in a field of a form.
#[test]
fn dropbox_sign_plays() {
    plays(
        "dropbox-sign",
        r#"format: 1
id: dropbox-sign
name: dropbox-sign
status: documented
webhooks:
  verify: { hmac: { sha256: [{ field: json, path: .event.event_time }, { field: json, path: .event.event_type }], key: signing_secret, field: json, path: .event.event_hash, encoding: hex } }
  envelope: { form_field: json }
  type: .event.event_type
  answer: { body: Hello API Event Received }
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "api-key"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["content-type", "multipart/form-data; boundary=b"]], "body": "--b\r\ncontent-disposition: form-data; name=\"json\"\r\n\r\n{\"event\": {\"event_time\": \"1764000000\", \"event_type\": \"signature_request_sent\", \"event_hash\": \"f5da5b65a9cdf82ec126928eda65f992f1a11dd4ada5d704db830db3a377bfcc\"}}\r\n--b--\r\n"}, "expect": {"accepted": {"proof": "verified", "type": "signature_request_sent"}}, "forged": [{"body": "--b\r\ncontent-disposition: form-data; name=\"json\"\r\n\r\n{\"event\": {\"event_time\": \"1764000001\", \"event_type\": \"signature_request_sent\", \"event_hash\": \"f5da5b65a9cdf82ec126928eda65f992f1a11dd4ada5d704db830db3a377bfcc\"}}\r\n--b--\r\n"}, {"body": "{\"event\": {\"event_time\": \"1764000000\", \"event_type\": \"signature_request_sent\", \"event_hash\": \"f5da5b65a9cdf82ec126928eda65f992f1a11dd4ada5d704db830db3a377bfcc\"}}", "refused": "unsigned"}], "answered": {"status": 200, "body": "Hello API Event Received"}}}"#,
        ],
    );
}

/// A token that claims the digest of the body.
#[test]
fn netlify_plays() {
    plays(
        "netlify",
        r#"format: 1
id: netlify
name: netlify
status: documented
webhooks:
  verify: { jwt: { at: { header: x-webhook-signature }, alg: HS256, key: signing_secret, claims: { iss: netlify }, sha256: { sha256: body } } }
  type: .state
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "sec"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Webhook-Signature", "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAibmV0bGlmeSIsICJzaGEyNTYiOiAiMWY4Y2EyODk5MzQ4NWQwNDQ3YjVhNGNlNTk5MjNmYWE3OWNkYWEzYmM0YTE4ZmE1NTM3NWQ2ZjY4YjU4NjFjZiJ9.Xr-PBMfSiZISduZLfhIIeVytWT2J06SChe5Nv806XGM"]], "body": "{\"id\":\"d1\",\"state\":\"ready\"}"}, "expect": {"accepted": {"proof": "verified", "type": "ready"}}, "forged": [{"body": "{}"}, {"headers": {"X-Webhook-Signature": null}, "refused": "unsigned"}, {"headers": {"X-Webhook-Signature": "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAibmV0bGlmeSIsICJzaGEyNTYiOiAiMWY4Y2EyODk5MzQ4NWQwNDQ3YjVhNGNlNTk5MjNmYWE3OWNkYWEzYmM0YTE4ZmE1NTM3NWQ2ZjY4YjU4NjFjZiJ9.w6NaFwxLTpN7rz81Gu1VuIA_xrQOq_WRsrWToTkOoXI"}}, {"headers": {"X-Webhook-Signature": "eyJhbGciOiAibm9uZSIsICJ0eXAiOiAiSldUIn0.eyJpc3MiOiAibmV0bGlmeSIsICJzaGEyNTYiOiAiMWY4Y2EyODk5MzQ4NWQwNDQ3YjVhNGNlNTk5MjNmYWE3OWNkYWEzYmM0YTE4ZmE1NTM3NWQ2ZjY4YjU4NjFjZiJ9.XIcDx6H88fbJPTYrYGphHAKXujRMwk25W3Mk9_0UDH4"}}, {"headers": {"X-Webhook-Signature": "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAiYWNtZSIsICJzaGEyNTYiOiAiMWY4Y2EyODk5MzQ4NWQwNDQ3YjVhNGNlNTk5MjNmYWE3OWNkYWEzYmM0YTE4ZmE1NTM3NWQ2ZjY4YjU4NjFjZiJ9.DkZKnABuvM89d_kyYmk6vemE49sVRMMA6iAGyhxiQfA"}, "refused": "unwanted"}, {"headers": {"X-Webhook-Signature": "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJpc3MiOiAibmV0bGlmeSIsICJzaGEyNTYiOiAiMWY4Y2EyODk5MzQ4NWQwNDQ3YjVhNGNlNTk5MjNmYWE3OWNkYWEzYmM0YTE4ZmE1NTM3NWQ2ZjY4YjU4NjFjZiIsICJleHAiOiAxNzYzOTk5MDAwfQ.FMRoe37265evINtDTgFR_l1BP340TD-YiUnBHM_qUJI"}, "refused": "stale"}]}}"#,
        ],
    );
}

/// A question with a token of the inbox's own.
#[test]
fn meta_plays() {
    plays(
        "meta",
        r#"format: 1
id: meta
name: meta
status: documented
webhooks:
  verify: { hmac: { sha256: body, key: signing_secret, header: x-hub-signature-256, prefix: "sha256=", encoding: hex } }
  settings: { verify_token: { title: Verify token } }
  handshake: { echo: { query: hub.challenge }, expect: [{ path: '.["hub.verify_token"]', setting: verify_token }], when: '.["hub.mode"] == "subscribe"' }
"#,
        &[
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "sec"}, "request": {"method": "GET", "url": "https://example.com/h?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock", "headers": [], "body": ""}, "expect": {"handshake": {"status": 200, "body": "1158201444", "headers": {"content-type": "text/plain; charset=utf-8"}}}, "forged": [], "settings": {"verify_token": "meatyhamhock"}}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "sec"}, "request": {"method": "GET", "url": "https://example.com/h?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=other", "headers": [], "body": ""}, "expect": {"refused": "unsigned"}, "forged": [], "settings": {"verify_token": "meatyhamhock"}}}"#,
            r#"{"delivery": {"source": "made", "at": "2025-11-24T16:00:00Z", "secrets": {"signing_secret": "sec"}, "request": {"method": "POST", "url": "https://example.com/h", "headers": [["X-Hub-Signature-256", "sha256=12b7b56714caeedf58a5f079e7627aa49f484eef99c8991fdc7a5364669355fb"]], "body": "{\"object\":\"page\"}"}, "expect": {"accepted": {"proof": "verified"}}, "forged": [{"body": "{}"}]}}"#,
        ],
    );
}

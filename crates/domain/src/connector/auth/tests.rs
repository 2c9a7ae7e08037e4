use super::*;

fn way(text: &str) -> Way {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_kind_is_read_by_its_name() {
    for (kind, text) in [
        (
            "oauth_code",
            "{ authorize_url: https://a.example/a, token_url: https://a.example/t, secret: optional, \
             pkce: alone, scopes: [a, b], scope_separator: ',', scope_param: user_scope, \
             refresh: rotating, refresh_lives: 30d, expires: only_by_401, lives: 2h, \
             keep: { url: { at: .instance_url, pattern: 'https://[a-z]+\\.example' } }, \
             redirect: [custom, { loopback_at: { port: 1717, host: localhost } }, https], \
             token_body: json, client: basic, error_in_200: .error, \
             access_token: .authed_user.access_token, revoke: https://a.example/r }",
        ),
        ("client_credentials", "{ token_url: https://a.example/t, send: { header: x-token } }"),
        (
            "device",
            "{ device_url: https://a.example/d, token_url: https://a.example/t, scopes: [repo] }",
        ),
        (
            "jwt_bearer",
            "{ token_url: https://a.example/t, expires: only_by_401, \
             jwt: { claims: { iss: '{{ settings.client_id }}', aud: https://a.example } } }",
        ),
        (
            "app_jwt_exchange",
            "{ jwt: { alg: ES256, claims: { iss: '1' }, valid_for: 10m, backdate: 60s }, \
             call: { post: 'https://a.example/{{ settings.id }}/tokens' }, access_token: .token, \
             expires: { at: { at: .end, in: epoch_seconds } } }",
        ),
        (
            "token_exchange",
            "{ from: { oauth_code: { authorize_url: https://a.example/a, token_url: https://a.example/t } }, \
             call: { post: /oauth/part, form: { part: '{{ settings.part }}' } } }",
        ),
        ("header_token", "{ prefix: 'Bot ', headers: { x-account: '{{ settings.account }}' } }"),
        ("query_token", "{ param: access_token }"),
        ("basic", "{ user: '{{ secrets.key }}' }"),
        ("url_secret", "{ pattern: 'https://hooks\\.example/[A-Za-z0-9/]+' }"),
        (
            "oauth1",
            "{ consumer_key: '{{ secrets.k }}', consumer_secret: '{{ secrets.s }}', in: query }",
        ),
        (
            "key_hand_over",
            "{ open: 'https://a.example/authorize', params: { callback_url: '{{ callback.url }}' }, \
             nonce: .user_id, secrets: { k: .consumer_key, s: .consumer_secret }, \
             basic: { user: '{{ secrets.k }}', pass: '{{ secrets.s }}' } }",
        ),
        (
            "smtp_login",
            "{ user: '{{ settings.user }}', pass: '{{ secrets.p }}', mechanisms: [plain] }",
        ),
        ("none", "{}"),
    ] {
        let way = way(&format!("{kind}: {text}\n"));
        assert_eq!((way.id.as_str(), way.kind.name()), (kind, kind));
    }
}

#[test]
fn a_way_says_what_it_needs_and_its_fields_say_more() {
    let way = way("client_credentials: { token_url: https://a.example/t }\n\
         fields:\n  client_id: { title: Key of your app, example: '12ab' }\n  \
         realm: { title: Realm, default: main, advanced: true }\n  \
         pin: { title: Pin, secret: true, optional: true }\n");

    let fields: Vec<_> =
        way.fields().into_iter().map(|it| (it.name, it.field.title, it.secret)).collect();

    assert_eq!(
        fields,
        [
            ("client_id".into(), "Key of your app".into(), false),
            ("client_secret".to_owned(), "Client secret".to_owned(), true),
            ("realm".into(), "Realm".into(), false),
            ("pin".into(), "Pin".into(), true),
        ]
    );
}

#[test]
fn test_and_live_are_told_by_how_a_key_begins() {
    let way =
        way("header_token: {}\ntest_or_live: { test: '(sk|rk)_test_', live: '(sk|rk)_live_' }\n");
    let tell = way.test_or_live.unwrap();

    assert_eq!(tell.tell("sk_test_1"), Some(Mode::Test));
    assert_eq!(tell.tell("rk_live_1"), Some(Mode::Live));
    assert_eq!(tell.tell("xsk_live_1"), None);
}

#[test]
fn a_token_goes_by_bearer_unless_a_header_is_named() {
    let send = |text: &str| serde_saphyr::from_str::<Send>(text).map_err(|it| it.to_string());

    assert_eq!(send("{}").unwrap(), Send::default());
    assert_eq!(send("{ header: x-t }").unwrap().header(), Some(("x-t", "")));
    assert_eq!(send("{ prefix: 'Token ' }").unwrap().header(), Some(("authorization", "Token ")));
    assert!(matches!(send("{ query: t }").unwrap(), Send::Query(_)));
    assert!(send("{ query: t, header: x }").unwrap_err().contains("exclude each other"));
}

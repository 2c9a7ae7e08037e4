//! A sign-in whose browser comes back by an address of Patchbay's own kind, which is handed over in a
//! terminal.

use serde_json::json;
use url::Url;

use crate::api::Api;
use crate::home::{Home, text};
use crate::stand_in::{Answer, StandIn};

const CONNECTOR: &str = r#"
format: 1
id: shop
name: Shop
status: documented
settings: { shop: { title: Address, pattern: '^http://127[.]0[.]0[.]1:[0-9]+$' } }
base_url: '{{ settings.shop }}'
auth:
  - oauth_code: &code
      authorize_url: '{{ settings.shop }}/authorize'
      token_url: '{{ settings.shop }}/token'
      client_id: ours
      secret: forbidden
      pkce: alone
      redirect: custom
  - id: loopback
    oauth_code: { <<: *code, redirect: [custom, loopback] }
check: { get: /me, account: .name }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_our_own_kind_is_handed_over_to_the_sign_in_that_waits_for_it() {
    let home = Home::new();
    assert_eq!(home.patchbay(&["vault", "init"]).status.code(), Some(0));
    let folder = home.data().join("connectors/shop");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("connector.yaml"), CONNECTOR).unwrap();
    let provider = StandIn::start(|asked| match asked.path.as_str() {
        "/token" => Answer::json(200, &json!({ "access_token": "canary-token" })),
        _ => Answer::json(200, &json!({ "name": "Acme" })),
    })
    .await;
    let nobody = home.patchbay(&["open", "patchbay://oauth/callback?code=a&state=b"]);
    assert_eq!(nobody.status.code(), Some(3), "{}", text(&nobody.stderr));
    let _serve = home.serve(&[]);
    let api = Api::of(&home);
    let request = |way: &str| {
        json!({ "connector": "shop", "name": "Acme shop", "way": way,
            "settings": { "shop": provider.url } })
    };
    let id = api.make("/api/connections", request("oauth_code")).await;
    let page = api.authorize(&id).await;
    let told = |page: &Url, name: &str| {
        page.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
    };
    assert_eq!(told(&page, "redirect_uri"), "patchbay://oauth/callback");
    let state = told(&page, "state");
    let open = |address: &str| {
        let out = home.patchbay(&["open", address]);
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        (out.status.code(), said)
    };
    // Where there is another way back, this host without a window takes that one.
    let other = api.make("/api/connections", request("loopback")).await;
    let others = api.authorize(&other).await;
    assert!(told(&others, "redirect_uri").starts_with("http://127.0.0.1:"));

    let others = told(&others, "state");
    for (address, code) in [
        ("patchbay://oauth/callback".to_owned(), 1),
        ("patchbay://oauth/callback?code=canary-code&state=canary-state".to_owned(), 1),
        (format!("patchbay://oauth/callback?code=canary-code&state={others}"), 1),
        (format!("patchbay://elsewhere/callback?code=canary-code&state={state}"), 1),
        (format!("patchbay:/oauth/callback?code=canary-code&state={state}"), 1),
        (format!("http://127.0.0.1/oauth/callback?code=canary-code&state={state}"), 2),
        ("nothing".to_owned(), 2),
    ] {
        let (status, said) = open(&address);
        assert_eq!(status, Some(code), "{address}: {said}");
    }
    assert!(provider.seen().is_empty());
    assert_eq!(api.connection(&id).await["state"], "signing_in");
    assert_eq!(api.connection(&other).await["state"], "signing_in");

    let right = format!("patchbay://oauth/callback?code=canary-code&state={state}");
    assert_eq!(open(&right), (Some(0), "Acme shop is signed in.\n".to_owned()));

    let asked = provider.seen()[0].form();
    assert_eq!(asked["redirect_uri"], "patchbay://oauth/callback");
    assert_eq!(asked["code"], "canary-code");
    assert!(asked["code_verifier"].len() >= 43);
    assert_eq!(api.connection(&id).await["state"], "ready");
    let (status, said) = open(&right);
    assert_eq!(status, Some(1), "{said}");
    let mut log = String::new();
    for file in std::fs::read_dir(home.data().join("logs")).unwrap() {
        log += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    assert!(log.contains("an address of ours was opened that no sign-in waits for"), "{log}");
    assert!(!log.contains("canary") && !log.contains(&state) && !log.contains(&others), "{log}");
}

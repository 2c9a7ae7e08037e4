use super::*;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// What is said under the `limit` of `text`, with the `errors` of `errors`.
fn hear(text: &str, errors: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Said {
    let limit: Limit = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    let errors: Errors = serde_saphyr::from_str(errors).unwrap();
    said(&limit, &errors, &Heard::new(status, headers, body.as_bytes()), now())
}

fn wait(text: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Option<f64> {
    hear(text, "{}", status, headers, body).wait.map(|wait| wait.as_secs_f64())
}

#[test]
fn an_answer_that_was_too_much_says_how_long_to_wait() {
    for (rule, header, value, seconds) in [
        ("any", "retry-after", "3", 3.0),
        ("any", "retry-after", "Tue, 24 Nov 2026 12:01:00 GMT", 60.0),
        ("decimal_seconds", "retry-after", "2.5", 2.5),
        ("http_date", "retry-after", "Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("http_date", "retry-after", "Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("epoch_seconds", "retry-after", "1795521610", 10.0),
        ("epoch_millis", "retry-after", "1795521610500", 10.5),
        ("{ header: x-interval, in: milliseconds }", "x-interval", "10000", 10.0),
        ("{ header: x-reset, in: epoch }", "x-reset", "1795521607", 7.0),
        ("{ header: x-reset, in: epoch }", "x-reset", "1795521607000", 7.0),
        ("{ wait: 1m }", "x", "1", 60.0),
    ] {
        let text = format!("{{ retry_after: {rule} }}");
        assert_eq!(wait(&text, 429, &[(header, value)], ""), Some(seconds), "{rule}: {value}");
        assert_eq!(wait(&text, 200, &[(header, value)], ""), None, "{rule}");
    }
    let body = r#"{"retry_after": 0.25}"#;
    assert_eq!(wait("{ retry_after: { body: .retry_after } }", 429, &[], body), Some(0.25));
    for nothing in ["soon", "-1", "1e300"] {
        assert_eq!(wait("{ retry_after: seconds }", 429, &[("retry-after", nothing)], ""), None);
    }
    for (seconds, waits) in [("86400", 86_400.0), ("86401", 900.0), ("99999999", 900.0)] {
        let headers = [("retry-after", seconds)];
        assert_eq!(wait("{ retry_after: seconds }", 429, &headers, ""), Some(waits));
        assert_eq!(wait("{ retry_after: any }", 429, &headers, ""), Some(waits));
    }
    assert_eq!(wait("{ retry_after: none }", 429, &[("retry-after", "9")], ""), None);
}

#[test]
fn it_is_too_much_by_status_code_or_header() {
    let over = |text: &str, errors: &str, status, headers: &[(&str, &str)], body: &str| {
        hear(text, errors, status, headers, body).over
    };
    let salesforce = "{ over: { status: 403, code: REQUEST_LIMIT_EXCEEDED } }";
    let errors = "{ code: '.[0].errorCode' }";
    let exceeded = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#;
    assert!(over(salesforce, errors, 403, &[], exceeded));
    assert!(!over(salesforce, errors, 403, &[], r#"[{"errorCode":"INSUFFICIENT_ACCESS"}]"#));
    assert!(over(salesforce, errors, 429, &[], ""));

    let linear = "{ over: { status: 400, code: RATELIMITED } }";
    let errors = "{ code: '.errors[0].extensions.code' }";
    assert!(over(
        linear,
        errors,
        400,
        &[],
        r#"{"errors":[{"extensions":{"code":"RATELIMITED"}}]}"#
    ));
    assert!(!over(linear, errors, 400, &[], r#"{"errors":[{"message":"syntax"}]}"#));

    let shopify = "{ cost_in_body: { at: .extensions.cost.throttleStatus, over: { status: 200, code: THROTTLED } }, over: 430 }";
    let errors = "{ in_200: { when: '.errors != null', code: '.errors[0].extensions.code' } }";
    let throttled = r#"{"errors":[{"extensions":{"code":"THROTTLED"}}]}"#;
    assert!(over(shopify, errors, 200, &[], throttled));
    assert!(!over(shopify, errors, 200, &[], r#"{"data":{}}"#));
    assert!(over(shopify, errors, 430, &[], ""));

    let github = "{ over: [{ status: 403, headers: { x-ratelimit-remaining: '0' } }, { status: 403, headers: { retry-after: '*' } }] }";
    assert!(over(github, "{}", 403, &[("x-ratelimit-remaining", "0")], ""));
    assert!(over(github, "{}", 403, &[("retry-after", "60"), ("x-ratelimit-remaining", "7")], ""));
    assert!(!over(github, "{}", 403, &[("x-ratelimit-remaining", "7")], ""));
}

#[test]
fn a_window_that_is_used_up_is_waited_for() {
    let text = "{ headers: { limit: x-limit, remaining: x-left, reset: { header: x-reset, in: seconds } } }";
    let check = |left, reset| wait(text, 200, &[("x-left", left), ("x-reset", reset)], "");

    assert_eq!(check("0", "12.5"), Some(12.5));
    assert_eq!(check("1", "12.5"), None);
    assert_eq!(check("none", "12.5"), None);
    assert_eq!(
        wait("{ headers: { remaining: x-left, per: 10s } }", 200, &[("x-left", "0")], ""),
        Some(10.0)
    );
}

#[test]
fn three_windows_stand_in_one_header() {
    let text = "{ headers: { limit: x-limit, remaining: x-left, reset: { header: x-reset, in: seconds }, split: / } }";
    let headers =
        [("x-limit", "300/3000/12000"), ("x-left", "12/0/500"), ("x-reset", "100/1800/50000")];

    let said = hear(text, "{}", 200, &headers, "");

    assert_eq!(said.wait, Some(SignedDuration::from_secs(1_800)));
    assert_eq!(said.left, Some(Left { left: 0.0, size: Some(3_000.0) }));
}

#[test]
fn several_windows_hold_at_once() {
    let text = "{ headers: [{ remaining: x-burst, reset: { header: x-interval, in: milliseconds } }, \
                { limit: x-daily, remaining: x-daily-left, per: 1d }] }";
    let check = |burst, daily| {
        let headers = [
            ("x-burst", burst),
            ("x-interval", "10000"),
            ("x-daily", "1000"),
            ("x-daily-left", daily),
        ];
        wait(text, 200, &headers, "")
    };

    assert_eq!(check("0", "9"), Some(10.0));
    assert_eq!(check("9", "0"), Some(900.0));
    assert_eq!(check("9", "9"), None);
}

#[test]
fn numbers_may_stand_in_one_header_by_name() {
    let text = "{ headers: { remaining: x-export, parts: { limit: total, remaining: remaining, reset: resets } } }";
    let check = |value| wait(text, 200, &[("x-export", value)], "");

    assert_eq!(check("total=100; remaining=0; resets=41"), Some(41.0));
    assert_eq!(check("total=100; remaining=99; resets=41"), None);
}

#[test]
fn a_bucket_that_leaks_is_waited_for_until_the_next_call_fits() {
    let shopify = "{ used: { header: x-call-limit, leak: { size: 2, per: 1s } } }";
    assert_eq!(wait(shopify, 200, &[("x-call-limit", "32/40")], ""), None);
    assert_eq!(wait(shopify, 200, &[("x-call-limit", "40/40")], ""), Some(1.0));

    let lightspeed = "{ used: { header: x-level, drip: x-drip, cost: x-cost } }";
    let check = |level, cost| {
        wait(lightspeed, 200, &[("x-level", level), ("x-drip", "1"), ("x-cost", cost)], "")
    };
    assert_eq!(check("85/90", "10"), Some(5.0));
    assert_eq!(check("12/90", "10"), None);

    let salesforce = "{ used: { header: sforce-limit-info, prefix: api-usage=, per: 1d } }";
    let check = |info| hear(salesforce, "{}", 200, &[("sforce-limit-info", info)], "");
    let left = check("api-usage=18/15000; per-app-api-usage=17/250(appName=x)").left;
    assert_eq!(left, Some(Left { left: 14_982.0, size: Some(15_000.0) }));
    assert_eq!(check("api-usage=15000/15000").wait, Some(UNKNOWN));
    assert_eq!(check("api-usage=15000").left, None);
}

#[test]
fn points_are_told_of_in_the_body() {
    let text = "{ cost_in_body: { at: .extensions.cost.throttleStatus, cost: .extensions.cost.requestedQueryCost } }";
    let check = |left: u32| {
        let body = format!(
            r#"{{"extensions":{{"cost":{{"requestedQueryCost":500,"throttleStatus":
               {{"maximumAvailable":2000.0,"currentlyAvailable":{left},"restoreRate":100.0}}}}}}}}"#
        );
        hear(text, "{}", 200, &[], &body)
    };

    assert_eq!(check(1_500).wait, None);
    assert_eq!(check(1_500).left, Some(Left { left: 1_500.0, size: Some(2_000.0) }));
    assert_eq!(check(150).wait, Some(SignedDuration::from_secs(4)));
    assert_eq!(hear(text, "{}", 200, &[], "<html>").left, None);
}

#[test]
fn what_an_answer_asks_for_is_not_made_longer_by_a_window() {
    let text = "{ headers: { remaining: x-left, reset: { header: x-reset, in: seconds } } }";
    let headers = [("x-left", "0"), ("x-reset", "3600"), ("retry-after", "5")];

    assert_eq!(wait(text, 429, &headers, ""), Some(5.0));
    assert_eq!(wait(text, 200, &headers, ""), Some(3_600.0));
}

use serde_json::json;

use super::*;
use crate::connector::Content;

fn action(text: &str) -> Action {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn body(rendered: &Rendered) -> Value {
    match &rendered.content {
        Some(Content::Json(body)) => body.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_speaks_of_an_input_that_is_left_out_is_left_out_with_it() {
    let action = action(
        "post: '/contacts/{{ input.id }}'\nquery: { note: '{{ input.note }}', at: '{{ input.at }}' }\n\
         json: { name: '{{ input.name }}', tags: ['{{ input.tag }}', vip], n: '{{ input.n }}' }\n\
         input: { id: {}, name: {}, note: { optional: true }, tag: { optional: true }, \
         n: { type: integer, default: 5 }, at: {} }\n",
    );
    let input = json!({ "id": "a/b", "name": "Ada", "at": "x y" });

    let rendered = action.render(&json!({ "input": input }), None).unwrap();

    assert_eq!(rendered.path, "/contacts/a%2Fb");
    assert_eq!(rendered.query, [("at".to_owned(), "x y".to_owned())]);
    assert_eq!(body(&rendered), json!({ "name": "Ada", "tags": ["vip"], "n": 5 }));
}

#[test]
fn the_user_of_a_general_action_says_path_and_query_whole() {
    let action = action(
        "get: '/{{ input.path | path }}'\nquery: '{{ input.query }}'\n\
         input: { path: {}, query: { type: object, optional: true } }\n",
    );
    let input = json!({ "path": "orders/12", "query": { "limit": 5, "ids[]": ["a", "b"] } });

    let rendered = action.render(&json!({ "input": input }), None).unwrap();

    assert_eq!(rendered.path, "/orders/12");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(rendered.query, [pair("ids[]", "a"), pair("ids[]", "b"), pair("limit", "5")]);
    let without = action.render(&json!({ "input": { "path": "a" } }), None).unwrap();
    assert!(without.query.is_empty());
    let text = action.render(&json!({ "input": { "path": "a", "query": "b" } }), None);
    assert!(text.unwrap_err().to_string().contains("should be an object"));
}

#[test]
fn variables_of_graphql_may_be_one_object() {
    let action = action(
        "graphql: 'query A($a: Int) { a(a: $a) }'\nvariables: '{{ input.variables }}'\n\
         input: { variables: { type: object } }\n",
    );

    let rendered = action.render(&json!({ "input": { "variables": { "a": 1 } } }), None).unwrap();

    assert_eq!(body(&rendered)["variables"], json!({ "a": 1 }));
}

#[test]
fn what_holds_only_what_was_left_out_is_left_out_too() {
    let action = action(
        "post: /a\njson: { amount: { value: '{{ input.value }}', currency: '{{ input.currency }}' }, \
         lines: [{ sku: '{{ input.sku }}' }], nothing: {}, none: [], deep: { a: { b: '{{ input.sku }}' } } }\n\
         input: { value: { optional: true }, currency: { optional: true }, sku: { optional: true } }\n",
    );
    let render = |input: Value| body(&action.render(&json!({ "input": input }), None).unwrap());

    assert_eq!(render(json!({})), json!({ "nothing": {}, "none": [] }));
    assert_eq!(
        render(json!({ "value": "1.00" })),
        json!({ "amount": { "value": "1.00" }, "nothing": {}, "none": [] })
    );
    let whole = render(json!({ "sku": "A" }));
    assert_eq!(
        (&whole["lines"], &whole["deep"]),
        (&json!([{ "sku": "A" }]), &json!({ "a": { "b": "A" } }))
    );
}

#[test]
fn a_form_repeats_lists_and_names_members() {
    let action = action(
        "post: /links\nform: { 'events[]': '{{ input.events }}', line: [{ price: p, quantity: 2 }], on: true }\n\
         input: { events: { type: list } }\n",
    );

    let rendered = action.render(&json!({ "input": { "events": ["a", "b"] } }), None).unwrap();

    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![
        pair("events[]", "a"),
        pair("events[]", "b"),
        pair("line[price]", "p"),
        pair("line[quantity]", "2"),
        pair("on", "true"),
    ];
    assert_eq!(rendered.content, Some(Content::Form(expected)));
}

#[test]
fn a_key_goes_where_the_other_side_looks_for_it() {
    let render = |text: &str| action(text).render(&json!({}), Some("k-1")).unwrap();

    let header = render("post: /a\nidempotency: { header: Idempotency-Key, remembered: 24h }\n");
    assert_eq!(header.headers, [("idempotency-key".to_owned(), "k-1".to_owned())]);
    let field = render("post: /a\njson: { a: 1 }\nidempotency: { body: meta.key }\n");
    assert_eq!(body(&field), json!({ "a": 1, "meta": { "key": "k-1" } }));
    let variable =
        render("graphql: 'mutation($id: String!) { x(id: $id) }'\nidempotency: { variable: id }\n");
    assert_eq!(body(&variable)["variables"], json!({ "id": "k-1" }));
    let directive = render(
        "graphql: 'mutation { set @idempotent { id } other @idempotent(key: \"x\") @idempotentish }'\n\
         idempotency: { directive: idempotent }\n",
    );
    assert_eq!(
        body(&directive)["query"],
        "mutation { set @idempotent(key: \"k-1\") { id } other @idempotent(key: \"x\") @idempotentish }"
    );
}

#[test]
fn a_key_never_ends_the_text_it_stands_in() {
    let text = with_directive("@idempotent", "idempotent", "a\") { evil } #");

    assert_eq!(text, "@idempotent(key: \"aevil\")");
}

#[test]
fn an_input_that_is_needed_is_missed() {
    let action = action("get: '/orders/{{ input.id }}'\ninput: { id: {} }\nreads: true\n");

    assert!(matches!(action.render(&json!({}), None), Err(template::Error::Missing { .. })));
}

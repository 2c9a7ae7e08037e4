//! The contract is a file. `UPDATE_EXPECT=1 cargo test -p api --test contract` writes it anew.

use expect_test::expect_file;

#[test]
fn the_router_answers_what_the_contract_says() {
    let mut document = serde_json::to_string_pretty(&api::openapi()).unwrap();
    document.push('\n');

    expect_file!["../../../ui/openapi.json"].assert_eq(&document);
}

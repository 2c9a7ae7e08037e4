//! The connector that `CONTRIBUTING.md` walks through is read, counted and played as it stands there.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use std::path::Path;

use domain::connector::{self, Connector};

const FILE: &str = "paddle/connector.yaml";

fn text() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../CONTRIBUTING.md");
    let text = std::fs::read_to_string(file).unwrap().replace("\r\n", "\n");
    let section = text.split("\n## ").find(|section| section.starts_with("Add a connector"));
    section.unwrap().to_owned()
}

/// What stands between fences of this kind.
fn blocks(kind: &str) -> Vec<String> {
    let text = text();
    let open = format!("\n```{kind}\n");
    text.split(&open).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

fn yaml() -> String {
    blocks("yaml").join("\n") + "\n"
}

fn load(yaml: &str) -> Result<Connector, String> {
    let beside =
        |name: &str| (name == "auth-key.md").then(|| "1. Open Developer tools.".to_owned());
    connector::load(FILE, yaml, &beside).map_err(|error| error.to_string())
}

#[test]
fn the_connector_is_shorter_than_sixty_lines_and_has_what_is_asked_of_one() {
    let yaml = yaml();

    let connector = load(&yaml).unwrap();

    assert!(yaml.lines().count() < 60, "{} lines", yaml.lines().count());
    assert_eq!(connector.streams.len(), 3);
    assert!(connector.webhooks.is_some_and(|hooks| hooks.signed()));
    assert!(connector.register.is_some());
}

#[test]
fn its_fixtures_play() {
    let connector = load(&yaml()).unwrap();
    let fixtures = blocks("json");
    assert_eq!(fixtures.len(), 2);
    for fixture in fixtures {
        domain::fixture::play(&connector, &fixture).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

#[test]
fn a_fixture_that_expects_something_else_is_told_what_was_asked() {
    let connector = load(&yaml()).unwrap();
    let pages = blocks("json").pop().unwrap().replacen("per_page=30", "per_page=31", 1);

    let problem = domain::fixture::play(&connector, &pages).unwrap_err();

    assert!(problem.contains("but it is \"/transactions?per_page=30&"), "{problem}");
}

#[test]
fn the_mistake_is_told_as_it_is_shown() {
    let mistaken = yaml().replace("take: h1", "tke: h1");

    let told = load(&mistaken).unwrap_err();

    assert!(text().contains(&format!("× paddle: {told}\n")), "{told}");
}

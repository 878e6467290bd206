//! The page holds only what is there.

use std::path::Path;

use super::{page, proof, run};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_page_is_up_to_date() {
    run(root(), "--check").unwrap();
}

#[test]
fn every_fixture_is_of_a_row_and_every_row_has_one() {
    let fixtures = proof::fixtures(root()).unwrap();
    let text = page::page(&fixtures, root()).unwrap();
    for fixture in &fixtures {
        let row = format!("| `{}` | ", fixture.model_type);
        assert!(text.contains(&row), "{} is of {}, which no row has", fixture.name, fixture.model_type);
    }
}

#[test]
fn a_row_without_a_fixture_is_an_error() {
    let mut fixtures = proof::fixtures(root()).unwrap();
    fixtures.retain(|fixture| fixture.model_type != "gemma2");
    let error = page::page(&fixtures, root()).unwrap_err();
    assert!(error.contains("Gemma 2 has no fixture"), "{error}");
    let mut fixtures = proof::fixtures(root()).unwrap();
    for fixture in &mut fixtures {
        fixture.gguf = None;
    }
    assert!(page::page(&fixtures, root()).unwrap_err().contains("expected one of llama"));
}

#[test]
fn a_fixture_is_found_in_a_table_and_in_a_body() {
    let source =
        "families! {\n    gemma: \"gemma\", \"gguf\";\n}\n\nfn other() {}\n\nfn whole() {\n    read(\"odd\");\n}\n";
    assert_eq!(proof::test_of(source, "gemma").as_deref(), Some("gemma"));
    assert_eq!(proof::test_of(source, "odd").as_deref(), Some("whole"));
    assert_eq!(proof::test_of(source, "gone"), None);
    assert_eq!(proof::named(source, "whole"), Some("whole"));
    assert_eq!(proof::named(source, "hole"), None);
}

//! Adapters beside a model that has files, and on the command line.

use std::fs;

use alcazar_store::{FetchError, Inspect as _};

use super::*;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(path)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A model with these adapters in its folder: their names, and where they come from.
fn model(base: &str, adapters: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(base), dir.path());
    for (name, from) in adapters {
        copy(&fixture("adapters").join(from), &dir.path().join("adapters").join(name));
    }
    dir
}

fn given(name: &str, path: &Path) -> Given {
    parse_given(&format!("{name}={}", path.display())).unwrap()
}

#[test]
fn the_folder_comes_first_and_the_command_line_after() {
    let model = model("decoders/phi3/gguf", &[("b", "phi3/all"), ("a", "phi3/attention")]);
    let elsewhere = fixture("adapters/phi3/all");
    let opened = open(&alcazar_formats::Plain, model.path(), "phi", &[given("c", &elsewhere)], false).unwrap();
    let names: Vec<_> = opened.served.iter().map(|served| served.name.as_str()).collect();
    assert_eq!((names, opened.adapters.len()), (vec!["a", "b", "c"], 3));
    assert_eq!(opened.served[1].root, "adapters/b");
    assert_eq!(id_of(&opened.served, "c"), Some(AdapterId(2)));
    assert_eq!(id_of(&opened.served, "phi"), None);
    // A name is one thing's.
    for (base, name) in [("a", "c"), ("phi", "a"), ("c", "c")] {
        let error = open(&alcazar_formats::Plain, model.path(), base, &[given(name, &elsewhere)], false).unwrap_err();
        assert!(matches!(error, AdaptersError::NameTaken { .. }), "{error}");
    }
}

#[test]
fn beside_a_verified_model_only_what_was_verified_with_it_is_served() {
    let model = model("decoders/phi3/gguf", &[("a", "phi3/all")]);
    let outside = given("b", &fixture("adapters/phi3/all"));
    let error = open(&alcazar_formats::Plain, model.path(), "phi", &[outside], true).unwrap_err();
    assert!(matches!(error, AdaptersError::Unverified { .. }), "{error}");
    let within = given("again", &model.path().join("adapters/a"));
    assert_eq!(open(&alcazar_formats::Plain, model.path(), "phi", &[within], true).unwrap().served.len(), 2);
}

#[test]
fn arguments_are_a_name_and_a_directory() {
    assert_eq!(parse_given("a=/b=c").unwrap().path, Path::new("/b=c"));
    for bad in ["a", "a=", "=/b", "a,b=/c"] {
        assert!(parse_given(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_adapter_that_does_not_fit_keeps_a_model_from_being_sealed() {
    let good = model("decoders/phi3/gguf", &[("a", "phi3/all")]);
    let (told, refused) = inspect(&alcazar_formats::Plain, good.path()).unwrap();
    assert_eq!((told.len(), refused.len()), (1, 0));
    let told = serde_json::to_value(&told[0]).unwrap();
    assert_eq!((&told["name"], &told["rank"]), (&"a".into(), &4.into()));
    assert_eq!(told["targets"], serde_json::json!(["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]));
    assert!(told["memoryBytes"].as_u64().unwrap() > 0);
    assert_eq!(ModelInspector.inspect(&alcazar_formats::Plain, good.path()).unwrap().architecture, "phi3");
    let bad = model("decoders/phi3/gguf", &[("a", "phi3/all"), ("b", "gpt2/all")]);
    let (told, refused) = inspect(&alcazar_formats::Plain, bad.path()).unwrap();
    assert_eq!((told.len(), refused.len()), (1, 1));
    assert!(refused[0].starts_with("adapter b: ") && refused[0].contains("qkv_proj"), "{refused:?}");
    let error = ModelInspector.inspect(&alcazar_formats::Plain, bad.path()).unwrap_err();
    assert!(matches!(error, FetchError::UnsupportedModel { .. }), "{error}");
}

#[test]
fn encoders_have_none() {
    let model = model("encoders/bert-classify", &[("a", "phi3/all")]);
    let (_, refused) = inspect(&alcazar_formats::Plain, model.path()).unwrap();
    assert!(refused[0].contains("an encoder"), "{refused:?}");
    let opened = open(&alcazar_formats::Plain, model.path(), "bert", &[], false).unwrap();
    assert_eq!(refuse_for_encoder(&opened.adapters).unwrap_err().class(), Class::Unsupported);
}

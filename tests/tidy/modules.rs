//! Every file is compiled: one that no module names is dead text that no compiler checks.

use std::collections::BTreeSet;

use crate::tree::{Source, none, rust};

/// Files that a cargo manifest names, or that cargo finds by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [.., "src" | "support", "lib.rs"]
        | [.., "main.rs" | "build.rs"]
        | [.., "src", "bin", _]
        | [.., "fuzz_targets" | "benches" | "examples", _] => true,
        // runtime/server/tests/process.rs, but not what lies deeper.
        [first, .., "tests", _] => *first != "tests" && !parts.contains(&"src"),
        _ => false,
    }
}

/// The files that `source` may mean by its `mod name;` and `#[path]`.
fn named(source: &Source) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let below = match file {
        "lib.rs" | "main.rs" => folder.to_owned(),
        file => format!("{folder}/{}", file.trim_end_matches(".rs")),
    };
    let declared = source.code.match_indices("mod ").filter_map(|(at, word)| {
        let (name, rest) = source.code[at + word.len()..].split_once(';')?;
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        (is_name && !rest.is_empty()).then(|| format!("{below}/{name}.rs"))
    });
    let by_path = source.text.split("#[path = \"").skip(1).filter_map(|rest| rest.split_once('"'));
    declared.chain(by_path.map(|(path, _)| format!("{folder}/{path}"))).collect()
}

fn unreached(sources: &[Source]) -> Vec<String> {
    let named: BTreeSet<String> = sources.iter().flat_map(named).collect();
    let dead = sources.iter().filter(|source| !is_root(&source.path) && !named.contains(&source.path));
    dead.map(|source| format!("{}: no module names it; remove it or say `mod`", source.path)).collect()
}

#[test]
fn every_file_is_part_of_a_crate() {
    none(&unreached(&rust()));
}

#[test]
fn notices_a_file_that_nobody_names() {
    let sources = [
        Source::new("runtime/a/src/lib.rs", "//! x\nmod used;\n// mod dead;\n"),
        Source::new("runtime/a/src/used.rs", "mod inner;\nmod inline { }\n"),
        Source::new("runtime/a/src/used/inner.rs", ""),
        Source::new("runtime/a/src/dead.rs", ""),
        Source::new("runtime/a/tests/whole.rs", "#[path = \"whole/part.rs\"]\nmod part;\n"),
        Source::new("runtime/a/tests/whole/part.rs", ""),
        Source::new("tests/tidy/main.rs", "mod rule;\n"),
        Source::new("tests/tidy/rule.rs", ""),
        Source::new("tests/tidy/gone.rs", ""),
    ];
    let found = unreached(&sources);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("runtime/a/src/dead.rs") && found[1].starts_with("tests/tidy/gone.rs"), "{found:?}");
}

//! What every source file has and none has.

use crate::tree::{Source, none, root, rust};

const VAGUE: [&str; 5] = ["utils", "util", "common", "helpers", "manager"];

/// A `tests.rs` beside `foo.rs` has said it by its place.
fn without_purpose(source: &Source) -> Option<String> {
    if source.path.ends_with("/tests.rs") {
        return None;
    }
    let first = source.text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    (!first.starts_with("//!")).then(|| format!("{}: must open with //! and say what it is for", source.path))
}

/// Roots of programs and libraries, by cargo's layout.
fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs")
        || path.ends_with("/src/main.rs")
        || path.split_once("/src/bin/").is_some_and(|(_, file)| !file.contains('/') || file.ends_with("/main.rs"))
        || path == "tests/support/lib.rs"
        || path.starts_with("tests/") && path.ends_with("/main.rs")
}

fn without_forbid(source: &Source) -> Option<String> {
    let may = source.path.starts_with("runtime/backend-cpu/");
    (is_crate_root(&source.path) && !may && !source.code.contains("#![forbid(unsafe_code)]"))
        .then(|| format!("{}: must say #![forbid(unsafe_code)]; only runtime/backend-cpu may hold unsafe", source.path))
}

fn detached(source: &Source) -> Vec<String> {
    let code = source.program();
    let spawns = ["tokio::spawn", "task::spawn(", "spawn_local("].into_iter().flat_map(|word| code.match_indices(word));
    spawns
        .map(|(at, word)| format!("{}:{}: {word} detaches a task; use a JoinSet", source.path, source.line_of(at)))
        .collect()
}

fn vague_name(source: &Source) -> Option<String> {
    let parts = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    let mut vague = parts.filter(|part| VAGUE.contains(part) || *part == "mod");
    vague.next().map(|part| {
        format!(
            "{}: '{part}' says nothing; name it for what it holds (and foo.rs + foo/ instead of mod.rs)",
            source.path
        )
    })
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("#[ig", "nore")];
    let hits = marks.into_iter().flat_map(|mark| source.text.match_indices(mark));
    hits.map(|(at, mark)| format!("{}:{}: {mark}: do it, or write an issue", source.path, source.line_of(at))).collect()
}

/// Programs that run beside people's texts: their logs are set up in one place each.
const LOGS: [&str; 3] =
    ["operator/src/telemetry/logging.rs", "runtime/server/src/run.rs", "runtime/gateway/src/run.rs"];

/// A subscriber that is set up elsewhere would have no ceiling, and a program without the hook prints a panic's text.
fn indiscreet(source: &Source) -> Vec<String> {
    let code = source.program();
    let sets_up = ["tracing_subscriber::", "set_global_default", "set_hook"].iter().any(|word| code.contains(word));
    let may = LOGS.contains(&source.path.as_str());
    let mut found = Vec::new();
    if sets_up && !may && !source.path.starts_with("runtime/telemetry/") {
        found.push(format!("{}: sets up logs or a panic hook outside of {LOGS:?}", source.path));
    }
    if may && !["Ceiling::parse(", "panics::install()"].iter().all(|word| code.contains(word)) {
        found.push(format!("{}: logs need alcazar_telemetry's Ceiling and panics::install()", source.path));
    }
    found
}

#[test]
fn logs_have_a_ceiling_and_panics_no_text() {
    none(&rust().iter().flat_map(indiscreet).collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is_for() {
    none(&rust().iter().filter_map(without_purpose).collect::<Vec<_>>());
}

#[test]
fn unsafe_is_forbidden_outside_of_the_kernels() {
    none(&rust().iter().filter_map(without_forbid).collect::<Vec<_>>());
}

#[test]
fn no_task_is_detached() {
    none(&rust().iter().flat_map(detached).collect::<Vec<_>>());
}

#[test]
fn no_module_has_a_vague_name() {
    none(&rust().iter().filter_map(vague_name).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    none(&rust().iter().flat_map(unfinished).collect::<Vec<_>>());
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let missing = crate::crates::members().into_iter().filter(|folder| {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap_or_default();
        !manifest.contains("[lints]\nworkspace = true")
    });
    none(&missing.map(|folder| format!("{folder}/Cargo.toml: must say [lints] workspace = true")).collect::<Vec<_>>());
}

#[test]
fn notices_what_is_wrong() {
    let bad = Source::new("operator/src/lib.rs", "use x;\nfn f() { tokio::spawn(async {}); }\n");
    assert!(without_purpose(&bad).is_some());
    assert!(without_forbid(&bad).is_some());
    let set_up = "use tracing_subscriber::fmt;";
    assert_eq!(
        (indiscreet(&Source::new("a.rs", set_up)).len(), indiscreet(&Source::new(LOGS[0], set_up)).len()),
        (1, 1)
    );
    assert_eq!(detached(&bad).len(), 1);
    assert!(vague_name(&Source::new("operator/src/utils/a.rs", "")).is_some());
    assert!(vague_name(&Source::new("operator/src/a/mod.rs", "")).is_some());
    assert_eq!(unfinished(&Source::new("a.rs", concat!("// TO", "DO later"))).len(), 1);
}

#[test]
fn allows_what_is_right() {
    let good =
        Source::new("operator/src/lib.rs", "//! Says it.\n#![forbid(unsafe_code)]\n// tokio::spawn is not used\n");
    assert_eq!((without_purpose(&good), without_forbid(&good), detached(&good)), (None, None, Vec::new()));
    let test = Source::new("a.rs", "#[cfg(test)]\nmod tests {\n fn f() { tokio::spawn(x()); }\n}");
    assert_eq!(detached(&test), Vec::<String>::new());
    assert_eq!(without_forbid(&Source::new("runtime/backend-cpu/src/lib.rs", "//! Kernels.")), None);
}

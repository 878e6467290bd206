//! validate, plan, build and the computation of status: no await, clock, environment, randomness; build cannot fail.

use crate::tree::{Source, none, rust};

const IMPURE: [(&str, &str); 11] = [
    ("async fn", "waits"),
    (".await", "waits"),
    ("Timestamp::now", "reads the clock"),
    ("Instant::now", "reads the clock"),
    ("SystemTime", "reads the clock"),
    ("Zoned::now", "reads the clock"),
    ("env::var", "reads the environment"),
    ("env_vars::", "reads the environment"),
    ("rand::", "rolls dice"),
    ("std::fs", "does IO"),
    ("Context", "carries a client"),
];

/// Below operator/src/controller/<kind>/.
fn is_pure_step(path: &str) -> bool {
    let inner = path.strip_prefix("operator/src/controller/").and_then(|rest| rest.split_once('/'));
    inner.is_some_and(|(_, step)| {
        ["validate", "plan", "build", "status"]
            .iter()
            .any(|pure| step == format!("{pure}.rs") || step.starts_with(&format!("{pure}/")))
    })
}

fn is_build(path: &str) -> bool {
    path.starts_with("operator/src/controller/") && (path.ends_with("/build.rs") || path.contains("/build/"))
}

fn impure(source: &Source) -> Vec<String> {
    if !is_pure_step(&source.path) {
        return Vec::new();
    }
    let code = source.program();
    let hits = IMPURE.iter().flat_map(|(word, why)| {
        code.match_indices(word)
            .filter(|(at, _)| is_word(code, *at, at + word.len()))
            .map(move |(at, _)| (at, *word, *why))
    });
    hits.map(|(at, word, why)| format!("{}:{}: {word} {why}, and this step is pure", source.path, source.line_of(at)))
        .collect()
}

fn is_word(code: &str, start: usize, end: usize) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let begins = !code[start..].starts_with(inside) || !code[..start].ends_with(inside);
    begins && (!code[end..].starts_with(inside) || code[..end].ends_with(':'))
}

fn build_that_can_fail(source: &Source) -> Vec<String> {
    if !is_build(&source.path) {
        return Vec::new();
    }
    let code = source.program();
    code.match_indices("Result<")
        .map(|(at, _)| {
            format!(
                "{}:{}: build has no error type; what can fail belongs into validate",
                source.path,
                source.line_of(at)
            )
        })
        .collect()
}

#[test]
fn pure_steps_are_pure() {
    none(&rust().iter().flat_map(impure).collect::<Vec<_>>());
}

#[test]
fn build_cannot_fail() {
    none(&rust().iter().flat_map(build_that_can_fail).collect::<Vec<_>>());
}

#[test]
fn there_are_pure_steps() {
    let pure = rust().iter().filter(|source| is_pure_step(&source.path)).count();
    assert!(pure >= 8, "both controllers should have validate, plan, build and status, but {pure} files were found");
}

#[test]
fn notices_impurity() {
    let plan = |text| Source::new("operator/src/controller/model/plan.rs", text);
    assert_eq!(impure(&plan("let now = Timestamp::now();")).len(), 1);
    assert_eq!(impure(&plan("async fn f() { g().await }")).len(), 2);
    assert_eq!(impure(&plan("// .await\nlet pod: PodSecurityContext;")), Vec::<String>::new());
    let build = Source::new("operator/src/controller/model/build/job.rs", "fn f() -> Result<Job, E> {}");
    assert_eq!(build_that_can_fail(&build).len(), 1);
}

//! What the pages say must be so: targets, links, reasons, metrics, alerts.

use std::{collections::BTreeSet, path::Path};

use alcazar_crds::reasons::{ApiKeyReason, DeploymentReason, ModelReason, VpnPeerReason};

use crate::tree::{none, read, root, with_extension};

/// Reasons that tell of no trouble.
const FINE: [&str; 23] = [
    "Active",
    "PromptLoggingEnabled",
    "Accepted",
    "Pending",
    "VolumeBound",
    "WaitingForConsumer",
    "Fetching",
    "Verifying",
    "Sealed",
    "Deleting",
    "Serving",
    "PartlyServing",
    "Suspended",
    "ScaledToZero",
    "RollingOut",
    "RolledOut",
    "Loading",
    "Scheduled",
    "ModelSealed",
    "ModelNotReady",
    "IsolationProven",
    "Replaced",
    "Completed",
];

fn pages() -> Vec<(String, String)> {
    with_extension(&["md"])
}

/// Words after `make` in code spans and blocks.
fn targets_named(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let spans: Vec<&str> = if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for span in spans {
            // What stands after two blanks explains.
            let code = span.trim().split(" #").next().and_then(|code| code.split("  ").next()).unwrap_or_default();
            for part in code.split("&&") {
                let mut words = part.split_whitespace().skip_while(|word| word.contains('=')).peekable();
                if words.next() == Some("make") {
                    named.extend(words.filter(|word| !word.contains('=') && !word.starts_with('-')).map(str::to_owned));
                }
            }
        }
    }
    named
}

fn targets_known(makefile: &str) -> BTreeSet<String> {
    let rules = makefile.lines().filter(|line| !line.starts_with(['\t', '#', '.', ' ']) && !line.contains(":="));
    rules.filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect()
}

/// Links to files of the repository that are not there.
fn broken_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    // What is in a code span is no link.
    let prose: String = text.split('`').step_by(2).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let local =
        targets.filter(|target| !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:"));
    local
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !exists(&join(folder, target)))
        .map(|target| format!("{path}: links to {target}, which is not there"))
        .collect()
}

fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// GitHub's anchors of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            title.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
        })
        .collect()
}

/// Words that tell of one machine or of how the work is organised.
fn inside_talk(path: &str, text: &str) -> Vec<String> {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("design", ".md"),
        concat!("style", ".md"),
        concat!("stand", "ards.md"),
    ];
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| begins_with(line, word)) {
            found.push(format!("{path}:{}: {word} means nothing to a reader", number + 1));
        }
    }
    found
}

/// `word` where a path may begin.
fn begins_with(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'))
}

#[test]
fn make_targets_that_pages_name_exist() {
    let known = targets_known(&read("Makefile"));
    assert!(known.contains("demo"), "the Makefile should have been read: {known:?}");
    let wrong = pages().into_iter().flat_map(|(path, text)| {
        let unknown: Vec<_> = targets_named(&text).into_iter().filter(|target| !known.contains(target)).collect();
        unknown.into_iter().map(move |target| format!("{path}: there is no `make {target}`"))
    });
    none(&wrong.collect::<Vec<_>>());
}

#[test]
fn links_lead_somewhere() {
    let exists = |target: &str| root().join(target).exists();
    none(&pages().iter().flat_map(|(path, text)| broken_links(path, text, exists)).collect::<Vec<_>>());
}

#[test]
fn the_architecture_fits_its_budget() {
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 200, "ARCHITECTURE.md has {lines} lines, at most 200");
}

#[test]
fn every_trouble_has_a_row() {
    let page = read("docs/troubleshooting.md");
    let models = ModelReason::ALL.iter().map(|reason| reason.as_str());
    let deployments = DeploymentReason::ALL.iter().map(|reason| reason.as_str());
    let keys = ApiKeyReason::ALL.iter().map(|reason| reason.as_str());
    let peers = VpnPeerReason::ALL.iter().map(|reason| reason.as_str());
    let all: BTreeSet<_> = models.chain(deployments).chain(keys).chain(peers).collect();
    let missing = all.iter().filter(|reason| !FINE.contains(reason) && !page.contains(&format!("| `{reason}` |")));
    none(&missing.map(|reason| format!("docs/troubleshooting.md has no row for {reason}")).collect::<Vec<_>>());
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|(reason, _)| reason);
    let gone = rows.filter(|reason| !all.contains(reason) && reason.starts_with(char::is_uppercase));
    none(
        &gone
            .map(|reason| format!("docs/troubleshooting.md explains {reason}, which no longer exists"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_alert_has_a_runbook_and_every_metric_in_it_exists() {
    let rules = read("charts/alcazar/files/rules.yaml");
    let page = anchors(&read("docs/operations.md"));
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let without: Vec<_> = alerts.filter(|alert| !page.contains(&alert.to_lowercase())).collect();
    assert!(without.is_empty(), "docs/operations.md has no section for {without:?}");
    let code: String = crate::tree::rust().into_iter().map(|source| source.text).collect();
    for (at, _) in rules.match_indices("alcazar_operator_") {
        let name: String = rules[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let stem = name.trim_start_matches("alcazar_operator_");
        assert!(
            code.contains(&format!("\"{stem}\"")) || code.contains(&format!("\"{name}\"")),
            "no code makes the metric {name}"
        );
    }
}

/// Code spans of the form `path/to/file.rs::test`.
fn tests_named(text: &str) -> Vec<(&str, &str)> {
    let spans = text.split('`').skip(1).step_by(2).filter_map(|span| span.split_once("::"));
    let is_source = |file: &str| Path::new(file).extension().is_some_and(|extension| extension == "rs");
    spans.filter(|(file, test)| is_source(file) && file.contains('/') && !test.contains(' ')).collect()
}

/// Whether a file holds a test of this name: an attribute stands at most a few lines above.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    let signature = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        line.contains(&signature) && lines[at.saturating_sub(4)..at].iter().any(|line| line.contains("test"))
    })
}

#[test]
fn every_test_that_security_pages_name_exists() {
    let pages = pages().into_iter().filter(|(path, _)| path.starts_with("docs/security/") || path == "SECURITY.md");
    let (mut wrong, mut n_named) = (Vec::new(), 0);
    for (path, text) in pages {
        for (file, test) in tests_named(&text) {
            n_named += 1;
            if !has_test(&read(file), test) {
                wrong.push(format!("{path}: there is no test {test} in {file}"));
            }
        }
    }
    none(&wrong);
    assert!(n_named > 50, "only {n_named} tests are named: the pages should have been read");
}

#[test]
fn pages_and_code_speak_to_readers() {
    let files = with_extension(&["md", "rs", "toml", "yaml", "sh", "go", "tpl"]).into_iter();
    none(&files.flat_map(|(path, text)| inside_talk(&path, &text)).collect::<Vec<_>>());
}

#[test]
fn notices_what_is_wrong() {
    let named = targets_named(
        "Run `make nothing` or\n```\nNODE=0 make cluster-up STATE=x  # make tea\nmake up    what it does\n```\nmake sure of it",
    );
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["cluster-up", "nothing", "up"]);
    let known = targets_known("A := b:c\ndemo: x ## y\n\techo a:\n.PHONY: demo\n");
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["demo"]);
    let text = "[a](../b.md#x) [c](https://example.com) [d](#here) `[f](x)` [e](gone.md)";
    assert_eq!(
        broken_links("docs/a.md", text, |target| target == "b.md"),
        ["docs/a.md: links to gone.md, which is not there"]
    );
    assert_eq!(tests_named("`a/b.rs::c`, `d.rs::e`, `a::b`, `a/b.sh::c`"), [("a/b.rs", "c")]);
    assert!(has_test("    #[tokio::test]\n    async fn c() {", "c"));
    assert!(!has_test("fn c() {", "c") && !has_test("#[test]\nfn cd() {", "c"));
    assert!(anchors("## AlcazarNoLeader\n### Two words, here").contains("two-words-here"));
    assert_eq!(inside_talk("a.md", concat!("see /wo", "rk/x")).len(), 1);
    assert_eq!(inside_talk("a.md", concat!("rm target/wo", "rk/x")).len(), 0);
}

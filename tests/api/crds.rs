//! The schema and its rules, judged by the API server itself: every file of `tests/cases/crds`.

use std::path::Path;

use alcazar_tests::{
    Cluster, TestNamespace,
    apply::{apply, delete, parse},
    cluster::repo,
};

/// Every `.yaml` file of a folder of cases, sorted, with its text.
fn cases(folder: &str) -> Vec<(String, String)> {
    let folder = repo("tests/cases/crds").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of cases should exist")
        .map(|entry| entry.expect("the folder should be readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| (file_name(path), std::fs::read_to_string(path).expect("a case should be readable")))
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a case says of itself in its first line.
fn expectation<'a>(file: &str, text: &'a str) -> &'a str {
    let first = text.lines().next().and_then(|line| line.strip_prefix("# expect: "));
    first.unwrap_or_else(|| panic!("{file} should start with '# expect: '"))
}

#[tokio::test]
async fn accepted() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "accepted").await;
    let cases = cases("accepted");
    assert!(cases.len() >= 15, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (file, text) in cases {
        for object in parse(&text) {
            if let Err(error) = apply(&cluster.client, &namespace.name, &object).await {
                wrong.push(format!("{file}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "should be accepted:\n{}", wrong.join("\n"));
    namespace.close().await;
}

/// Each file says in its first line what the message must contain: an error that does not help fails the test.
#[tokio::test]
async fn refused_with_the_mend() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "refused").await;
    let cases = cases("refused");
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (file, text) in cases {
        let expected = expectation(&file, &text);
        for object in parse(&text) {
            match apply(&cluster.client, &namespace.name, &object).await {
                Ok(_) => wrong.push(format!("{file}: was accepted")),
                Err(error) if error.to_string().contains(expected) => {}
                Err(error) => wrong.push(format!("{file}: expected '{expected}', the API server says: {error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    namespace.close().await;
}

/// Each file holds an object and what somebody makes of it later; its first line says whether that is accepted, or what the
/// message must contain.
#[tokio::test]
async fn updates() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "updates").await;
    let cases = cases("updates");
    assert!(cases.len() >= 15, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (file, text) in cases {
        let expected = expectation(&file, &text);
        let [before, after] = <[_; 2]>::try_from(parse(&text))
            .unwrap_or_else(|objects| panic!("{file} should hold two objects, not {}", objects.len()));
        apply(&cluster.client, &namespace.name, &before).await.unwrap_or_else(|error| panic!("{file}: {error}"));
        match (expected, apply(&cluster.client, &namespace.name, &after).await) {
            ("accepted", Ok(_)) => {}
            (expected, Ok(_)) => wrong.push(format!("{file}: was accepted, expected '{expected}'")),
            (expected, Err(error)) if error.to_string().contains(expected) => {}
            (expected, Err(error)) => {
                wrong.push(format!("{file}: expected '{expected}', the API server says: {error}"));
            }
        }
        delete(&cluster.client, &namespace.name, &before).await;
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    namespace.close().await;
}

/// The same YAML applied twice changes nothing: GitOps tools see no drift.
#[tokio::test]
async fn examples_apply_twice_without_a_difference() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "examples").await;
    let mut seen = 0;
    for entry in std::fs::read_dir(repo("examples")).expect("examples/ should exist") {
        let path = entry.expect("examples/ should be readable").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("an example should be readable");
        for object in parse(&text) {
            if object.types.as_ref().is_none_or(|types| !types.api_version.starts_with("alcazar.dev/")) {
                continue;
            }
            let first = apply(&cluster.client, &namespace.name, &object).await.expect("an example should be accepted");
            let second = apply(&cluster.client, &namespace.name, &object).await.expect("an example should be accepted");
            // Not the resource version: the status that the schema's default adds is stored with the second write.
            assert_eq!(first.metadata.generation, second.metadata.generation, "{}", path.display());
            assert_eq!(first.data["spec"], second.data["spec"], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} objects in examples/");
    namespace.close().await;
}

/// A new object must not look healthy before anybody saw it (kstatus: `InProgress` by the observed generation -1).
#[tokio::test]
async fn a_new_object_is_not_yet_observed() {
    let cluster = Cluster::connect().await;
    let namespace = TestNamespace::create(&cluster.client, "newborn").await;
    let text = std::fs::read_to_string(repo("examples/assistant.yaml")).expect("the example should be readable");
    let object = parse(&text)
        .into_iter()
        .find(|object| object.types.as_ref().is_some_and(|types| types.kind == "LlmDeployment"))
        .expect("the example should hold an LlmDeployment");
    let made = apply(&cluster.client, &namespace.name, &object).await.expect("the example should be accepted");
    assert_eq!(made.data["status"]["observedGeneration"], -1);
    namespace.close().await;
}

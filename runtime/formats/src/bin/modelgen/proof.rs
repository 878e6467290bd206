//! What is tested: the models under the test folders, in which formats they are there, and the tests that open them.

use std::path::{Path, PathBuf};

use alcazar_formats::Facts;
use serde_json::Value;

/// A tiny model with its answers by the reference, and the test that compares with them.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) name: String,
    /// Folder of the fixture, below the root.
    pub(crate) folder: String,
    pub(crate) model_type: String,
    pub(crate) task: String,
    /// `general.architecture`, where it is there as GGUF too.
    pub(crate) gguf: Option<String>,
    /// Paths of the tests within their crate.
    pub(crate) tests: Vec<String>,
}

/// A folder of fixtures, the file of the tests that open them, and how that calls its module.
struct Suite {
    folder: &'static str,
    source: &'static str,
    module: &'static str,
    /// The one test that opens all of them; empty: each has its own, which names it.
    test: &'static str,
    /// Where GGUF has a test of its own: its file, module and name.
    gguf: Option<[&'static str; 3]>,
}

const SUITES: [Suite; 4] = [
    Suite {
        folder: "runtime/models/testdata",
        source: "runtime/models/src/tests.rs",
        module: "tests",
        test: "scores_are_the_reference_in_both_formats_and_on_both_paths",
        gguf: None,
    },
    Suite {
        folder: "tests/fixtures/decoders",
        source: "runtime/models/src/tests/families.rs",
        module: "tests::families",
        test: "",
        gguf: None,
    },
    Suite {
        folder: "tests/fixtures/encoders",
        source: "runtime/models/src/encoder/tests.rs",
        module: "encoder::tests",
        test: "every_family_and_head_answers_as_the_reference",
        gguf: Some([
            "runtime/models/src/encoder/tests/gguf.rs",
            "encoder::tests::gguf",
            "every_encoder_is_the_same_from_gguf",
        ]),
    },
    Suite {
        folder: "tests/fixtures/embedders",
        source: "runtime/models/src/encoder/tests/decoders.rs",
        module: "encoder::tests::decoders",
        test: "decoders_make_vectors_and_judge_as_the_reference",
        gguf: None,
    },
];

/// All of them, opened as they would be to be served.
pub(crate) fn fixtures(root: &Path) -> Result<Vec<Fixture>, String> {
    let mut all = Vec::new();
    for suite in &SUITES {
        let source = read(root, suite.source)?;
        for path in folders(&root.join(suite.folder))? {
            all.push(fixture(root, suite, &source, &path)?);
        }
    }
    Ok(all)
}

/// A file of the repository.
pub(crate) fn read(root: &Path, path: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(path)).map_err(|error| format!("failed to read {path}: {error}"))
}

/// Those that hold a model, by name.
fn folders(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("failed to list {}: {error}", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join("config.json").exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn fixture(root: &Path, suite: &Suite, source: &str, path: &Path) -> Result<Fixture, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let test =
        if suite.test.is_empty() { test_of(source, &name) } else { named(source, suite.test).map(str::to_owned) };
    let test = test.ok_or_else(|| format!("{} has no test in {}", path.display(), suite.source))?;
    // Where one test opens many, their answers are in one file.
    let answers = path.with_file_name("expected.json");
    if std::fs::read_to_string(answers).is_ok_and(|answers| !answers.contains(&format!("\"{name}\": "))) {
        return Err(format!("{} has no answers in expected.json beside it", path.display()));
    }
    let facts = open(path)?;
    let [inside, beside] = [path.join("gguf"), path.with_extension("gguf")];
    let gguf = [inside, beside].into_iter().find(|path| path.exists()).map(|path| open(&path)).transpose()?;
    let mut tests = vec![format!("{}::{test}", suite.module)];
    if let (Some([source, module, test]), Some(_)) = (suite.gguf, &gguf) {
        named(&read(root, source)?, test).ok_or_else(|| format!("{source} has no test {test}"))?;
        tests.push(format!("{module}::{test}"));
    }
    Ok(Fixture {
        folder: format!("{}/{name}", suite.folder),
        model_type: model_type(path)?,
        task: facts.task,
        gguf: gguf.map(|facts| facts.architecture),
        tests,
        name,
    })
}

fn open(path: &Path) -> Result<Facts, String> {
    alcazar_formats::open(path).map(|files| files.facts().clone()).map_err(|error| error.to_string())
}

fn model_type(path: &Path) -> Result<String, String> {
    let path = path.join("config.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    json["model_type"].as_str().map(str::to_owned).ok_or_else(|| format!("{} has no model_type", path.display()))
}

/// The function of this name, if the source has it.
pub(crate) fn named<'a>(source: &str, name: &'a str) -> Option<&'a str> {
    source.contains(&format!("fn {name}()")).then_some(name)
}

/// The test that names the fixture: in a table as `test: "fixture"`, or in its body.
pub(crate) fn test_of(source: &str, fixture: &str) -> Option<String> {
    let quoted = format!("\"{fixture}\"");
    let line = |line: &str| {
        let (name, rest) = line.trim().split_once(": ")?;
        (rest.starts_with(&quoted) && rest.ends_with(';')).then(|| name.to_owned())
    };
    source.lines().find_map(line).or_else(|| {
        let before = source.split_once(&quoted)?.0;
        let (_, from) = before.rsplit_once("\nfn ")?;
        from.split_once("()").map(|(name, _)| name.to_owned())
    })
}

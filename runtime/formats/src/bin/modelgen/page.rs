//! The page: families by format and device, families by task, and the test behind each fixture.

use std::path::Path;

use alcazar_formats::{ARCHITECTURES, ENCODERS};

use crate::proof::{Fixture, named, read};

/// The test that takes every fixture through PyTorch's format.
const PYTORCH: (&str, &str) =
    ("runtime/formats/src/pytorch/tests/families.rs", "every_family_comes_through_pytorch_as_it_was");
const FAMILIES: &str = "keras_files_of_the_other_families_become_what_transformers_makes_of_them";
const TENSORFLOW_TESTS: &str = "runtime/formats/src/tensorflow/tests.rs";
/// Families of which transformers 4 can write TensorFlow files, and the test that reads such files.
const TENSORFLOW: [(&str, &str); 13] = [
    ("bert", "keras_files_become_what_transformers_makes_of_them"),
    ("gpt2", "keras_files_become_what_transformers_makes_of_them"),
    ("albert", FAMILIES),
    ("camembert", FAMILIES),
    ("deberta-v2", FAMILIES),
    ("distilbert", FAMILIES),
    ("electra", FAMILIES),
    ("gptj", FAMILIES),
    ("mistral", FAMILIES),
    ("mpnet", FAMILIES),
    ("opt", FAMILIES),
    ("roberta", FAMILIES),
    ("xlm-roberta", FAMILIES),
];
/// What people call a task, and what the publishers' hub does.
const TASKS: [(&str, &str); 6] = [
    ("Text generation", "text-generation"),
    ("Embeddings", "sentence-similarity"),
    ("Text classification", "text-classification"),
    ("Token classification", "token-classification"),
    ("Fill-mask", "fill-mask"),
    ("Question answering", "question-answering"),
];
const NONE: &str = "–";

const TOP: &str = "<!-- Generated from runtime/formats/src/config and the test fixtures by `make generate`. Do not edit. -->

# Models: what is tested

Every `yes` is a comparison with the publisher's code (transformers, sentence-transformers), number by number, on a small
model of the family; the last table names the model and the test. What is right for these is right for the published ones
as far as they have the same options; an option that is not followed is refused by name.

## Formats and devices

`–`: there is no such file, or nothing here shows that it works. PyTorch and TensorFlow are converted when they are
fetched; TensorFlow's files are of the class for masked words, or for the next token. A GGUF cell holds for F32 and F16;
quantised types are compared in tests of their own.
";

struct Row {
    title: &'static str,
    model_type: &'static str,
    /// What its own GGUF files must say; empty: those of another family, or none.
    gguf: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    let decoders = ARCHITECTURES.iter().map(|row| Row { title: row.title, model_type: row.model_type, gguf: row.gguf });
    let encoders = ENCODERS.iter().map(|row| Row { title: row.title, model_type: row.model_type, gguf: row.gguf });
    decoders.chain(encoders)
}

/// The text of the page; an error when a row has nothing behind it.
pub(crate) fn page(fixtures: &[Fixture], root: &Path) -> Result<String, String> {
    for (source, test) in std::iter::once(PYTORCH).chain(tensorflow_tests()) {
        named(&read(root, source)?, test).ok_or_else(|| format!("{source} has no test {test}"))?;
    }
    let mut text = format!(
        "{TOP}\n| Models | `model_type` | GGUF architecture | Safetensors | GGUF | PyTorch | TensorFlow | CPU | CPU, candle | CUDA |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    for row in rows() {
        text += &formats(&row, fixtures)?;
    }
    text += "\n`CPU` is what serves there, `CPU, candle` the same in candle's tensors, which serve on GPUs. No test runs on a GPU.\n\n## Tasks\n\n";
    text += "In which formats a model with that head is tested.\n\n| Models | `model_type` | ";
    text += &TASKS.map(|(title, _)| title).join(" | ");
    text += " |\n|---|---|";
    text += &"---|".repeat(TASKS.len());
    text += "\n";
    for row in rows() {
        text += &tasks(&row, fixtures);
    }
    text += &tests(fixtures);
    Ok(text)
}

fn tensorflow_tests() -> impl Iterator<Item = (&'static str, &'static str)> {
    TENSORFLOW.iter().map(|(_, test)| (TENSORFLOW_TESTS, *test))
}

fn of<'a>(row: &Row, fixtures: &'a [Fixture]) -> impl Iterator<Item = &'a Fixture> {
    let model_type = row.model_type;
    fixtures.iter().filter(move |fixture| fixture.model_type == model_type)
}

fn formats(row: &Row, fixtures: &[Fixture]) -> Result<String, String> {
    let Row { title, model_type, gguf } = row;
    if of(row, fixtures).next().is_none() {
        return Err(format!("{title} has no fixture: make one of model_type {model_type} (tests/reference)"));
    }
    let found = of(row, fixtures).find_map(|fixture| fixture.gguf.as_deref());
    if !gguf.is_empty() && found != Some(gguf) {
        return Err(format!("{title} has GGUF fixtures of {found:?}, expected one of {gguf}"));
    }
    let (architecture, gguf) = found.map_or((NONE.to_owned(), NONE), |found| (format!("`{found}`"), "yes"));
    let tensorflow = match TENSORFLOW.iter().find(|(name, _)| name == model_type) {
        None => NONE,
        Some(_) => "yes",
    };
    Ok(format!(
        "| {title} | `{model_type}` | {architecture} | yes | {gguf} | yes | {tensorflow} | yes | yes | not run |\n"
    ))
}

fn tasks(row: &Row, fixtures: &[Fixture]) -> String {
    let cell = |task: &str| {
        let with = || of(row, fixtures).filter(|fixture| fixture.task == task);
        match (with().next(), with().any(|fixture| fixture.gguf.is_some())) {
            (None, _) => NONE,
            (Some(_), false) => "safetensors, PyTorch",
            (Some(_), true) => "safetensors, PyTorch, GGUF",
        }
    };
    let cells = TASKS.map(|(_, task)| cell(task)).join(" | ");
    format!("| {} | `{}` | {cells} |\n", row.title, row.model_type)
}

fn tests(fixtures: &[Fixture]) -> String {
    let (pytorch, tensorflow) = (PYTORCH.1, tensorflow_tests().next().map_or("", |(_, test)| test));
    let mut text = format!(
        "\n## Tests\n\nTests of `alcazar-models`, each on both backends and in every format that the fixture has. All of them go through PyTorch's \
         format and back in `{pytorch}` of `alcazar-formats`, and its `{tensorflow}` and `{FAMILIES}` \
         read what TensorFlow and Keras wrote.\n\n\
         | Fixture | `model_type` | Task | GGUF | Test |\n|---|---|---|---|---|\n"
    );
    text.extend(fixtures.iter().map(|Fixture { name, folder, model_type, task, gguf, tests }| {
        let gguf = gguf.as_ref().map_or(NONE.to_owned(), |architecture| format!("`{architecture}`"));
        format!("| [{name}](../../{folder}) | `{model_type}` | {task} | {gguf} | `{}` |\n", tests.join("`, `"))
    }));
    text
}

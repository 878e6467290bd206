//! Files and functions stay small enough to be read at once.

use crate::tree::{Source, none, rust};

/// Lines above which a file is named in the test's output.
const FILE_TARGET: usize = 250;
const FILE_STOP: usize = 500;
const FUNCTION_STOP: usize = 100;

fn long_files(sources: &[Source], limit: usize) -> Vec<String> {
    let long = sources.iter().map(|source| (&source.path, source.text.lines().count()));
    long.filter(|(_, lines)| *lines > limit)
        .map(|(path, lines)| format!("{path}: {lines} lines, at most {limit}"))
        .collect()
}

fn long_functions(source: &Source, limit: usize) -> Vec<String> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word =
            at == 0 || !code.as_bytes()[at - 1].is_ascii_alphanumeric() && code.as_bytes()[at - 1] != b'_';
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(code, at) {
            let lines = source.line_of(end) - source.line_of(at) + 1;
            if lines > limit {
                found.push(format!(
                    "{}:{}: fn {name} has {lines} lines, at most {limit}",
                    source.path,
                    source.line_of(at)
                ));
            }
        }
    }
    found
}

/// Where the function that begins here closes; `None` for a declaration.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let (mut depth, mut inside) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' if depth == 0 => inside += 1,
            b')' | b']' if depth == 0 => inside = inside.checked_sub(1)?,
            b';' if depth == 0 && inside == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && inside == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn no_file_is_over_its_budget() {
    let sources = rust();
    for line in long_files(&sources, FILE_TARGET) {
        println!("over the target: {line}");
    }
    none(&long_files(&sources, FILE_STOP));
}

#[test]
fn no_function_is_over_its_budget() {
    none(&rust().iter().flat_map(|source| long_functions(source, FUNCTION_STOP)).collect::<Vec<_>>());
}

#[test]
fn notices_a_long_file_and_a_long_function() {
    let body = "    // }\n    work(\"}\");\n".repeat(60);
    let text = format!(
        "fn short(x: [u8; 3]) {{ x; }}\ntrait T {{ fn declared(&self); }}\nfn long<T>() -> Result<(), ()>\n{{\n{body}}}\n"
    );
    let source = Source::new("a.rs", &text);
    assert_eq!(long_functions(&source, FUNCTION_STOP), ["a.rs:3: fn long has 123 lines, at most 100"]);
    assert_eq!(long_files(&[source], 100).len(), 1);
}

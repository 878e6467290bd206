//! What an answer must look like: a JSON schema, a regular expression, a grammar. llguidance says which tokens may follow.
//!
//! Grammars come with requests, so they are bounded: in size, in the work to compile them, and in the work of each step.

use std::sync::Arc;

use alcazar_core::TokenId;
use llguidance::{
    Matcher, ParserFactory,
    api::{StopReason, TopLevelGrammar},
    toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie},
};
use serde_json::{Value, json};

use crate::Tokenizer;

mod closed;
mod fault;

#[cfg(test)]
mod tests;

/// Bytes of a schema, an expression or a grammar.
pub const MAX_GRAMMAR_BYTES: usize = 64 << 10;
/// Alternatives of a choice.
const MAX_CHOICES: usize = 1024;
/// Symbols of a compiled grammar; the largest schemas in public use have some 200,000.
const MAX_SYMBOLS: usize = 200_000;
/// States that matching may build, of up to 2 kB each.
const MAX_LEXER_STATES: usize = 20_000;

/// Ways in which one point of an answer may be understood; every token is checked against all of them, so this bounds a step.
const MAX_AMBIGUITY: usize = 500;

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema accepts.
    JsonSchema(Value),
    /// Text that a regular expression matches from beginning to end.
    Regex(String),
    /// Text of a context-free grammar in llguidance's form of Lark.
    Lark(String),
    /// One of these.
    Choice(Vec<String>),
}

/// Why there is no grammar, or no way on in it. Nothing of a grammar is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// The request's grammar is at fault.
    #[error("{fault}")]
    Invalid {
        /// Begins with a verb.
        fault: String,
    },
    /// The vocabulary is.
    #[error("failed to prepare the vocabulary for grammars: {message}")]
    Vocabulary {
        /// What the library said.
        message: String,
    },
    /// Following the grammar took more work than one step may.
    #[error("failed to follow the grammar: it is too ambiguous, or nothing in the vocabulary fits it")]
    Stuck,
}

/// Compiles grammars for one vocabulary.
pub struct GrammarCompiler {
    factory: ParserFactory,
}

/// How far one answer has come in its grammar.
pub struct GrammarState {
    matcher: Matcher,
}

impl GrammarCompiler {
    /// Takes some milliseconds for a large vocabulary.
    pub fn new(tokenizer: &Tokenizer) -> Result<Self, GrammarError> {
        Self::of_words((0u32..).map(TokenId).take(tokenizer.vocabulary()).map(|token| word(tokenizer, token)))
    }

    /// For a vocabulary whose tokens are these bytes.
    pub fn of_words(words: impl Iterator<Item = Vec<u8>>) -> Result<Self, GrammarError> {
        let mut words: Vec<Vec<u8>> = words.collect();
        // The end is the caller's: here it is a token of its own that no model has.
        let end = u32::try_from(words.len()).map_err(|error| vocabulary(&error))?;
        words.push(special("end of the answer"));
        let trie = TokTrie::from(&TokRxInfo::new(end + 1, end), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&environment).map_err(|error| vocabulary(&*error))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.max_grammar_size = MAX_SYMBOLS;
        limits.max_lexer_states = MAX_LEXER_STATES;
        limits.max_items_in_row = MAX_AMBIGUITY;
        limits.verbose_errors = false;
        Ok(Self { factory })
    }

    /// Compiles a grammar. Bounded, yet up to some hundred milliseconds: not for a thread that serves others.
    pub fn compile(&self, grammar: &Grammar) -> Result<GrammarState, GrammarError> {
        grammar.check_size()?;
        let parser =
            self.factory.create_parser(grammar.compiled()).map_err(|error| fault::describe(grammar, &error))?;
        let mut matcher = Matcher::new(Ok(parser));
        if matcher.is_error() || matcher.compute_mask().is_err() {
            return Err(fault::invalid("accepts no text at all, or takes too much work to follow"));
        }
        Ok(GrammarState { matcher })
    }
}

impl Grammar {
    fn check_size(&self) -> Result<(), GrammarError> {
        let bytes = match self {
            Self::JsonObject => 0,
            Self::JsonSchema(schema) => schema.to_string().len(),
            Self::Regex(text) | Self::Lark(text) => text.len(),
            Self::Choice(choices) if choices.is_empty() => return Err(fault::invalid("must hold at least one choice")),
            Self::Choice(choices) if choices.len() > MAX_CHOICES => {
                return Err(fault::invalid(&format!("must hold at most {MAX_CHOICES} choices")));
            }
            Self::Choice(choices) => choices.iter().map(String::len).sum(),
        };
        if bytes > MAX_GRAMMAR_BYTES {
            return Err(fault::invalid(&format!("must have at most {MAX_GRAMMAR_BYTES} bytes")));
        }
        Ok(())
    }

    fn compiled(&self) -> TopLevelGrammar {
        match self {
            Self::JsonObject => TopLevelGrammar::from_json_schema(spaced(json!({"type": "object"}))),
            Self::JsonSchema(schema) => TopLevelGrammar::from_json_schema(spaced(closed::closed(schema.clone()))),
            Self::Regex(expression) => TopLevelGrammar::from_regex(expression),
            Self::Lark(grammar) => TopLevelGrammar::from_lark(grammar.clone()),
            Self::Choice(choices) => {
                let quoted = choices.iter().map(|choice| Value::from(choice.as_str()).to_string());
                TopLevelGrammar::from_lark(format!("start: {}", quoted.collect::<Vec<_>>().join(" | ")))
            }
        }
    }
}

/// JSON with the spaces that Python writes, and no others: where any may stand, small models write them for ever.
fn spaced(schema: Value) -> Value {
    let options = json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "});
    match schema {
        Value::Object(mut schema) => {
            schema.insert("x-guidance".to_owned(), options);
            schema.into()
        }
        Value::Bool(true) => json!({"x-guidance": options}),
        other => other,
    }
}

impl GrammarState {
    /// Sets the scores of tokens that may not come next to minus infinity.
    pub fn mask(&mut self, scores: &mut [f32]) -> Result<(), GrammarError> {
        self.is_complete()?;
        let mask = self.matcher.compute_mask_or_eos().map_err(|_| GrammarError::Stuck)?;
        for (token, score) in scores.iter_mut().enumerate() {
            // A model may have more scores than its tokenizer has tokens; the mask's last is the end, which is the caller's.
            if token + 1 >= mask.len() || !mask.get(token) {
                *score = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Whether the answer may end here.
    pub fn may_end(&mut self) -> Result<bool, GrammarError> {
        if self.is_complete()? {
            return Ok(true);
        }
        self.matcher.is_accepting().map_err(|_| GrammarError::Stuck)
    }

    /// Takes the next token. `true`: nothing may follow it.
    pub fn advance(&mut self, token: TokenId) -> Result<bool, GrammarError> {
        self.matcher.consume_token(token.0).map_err(|_| GrammarError::Stuck)?;
        self.is_complete()
    }

    /// Whether nothing may follow. To have given up is another thing.
    fn is_complete(&self) -> Result<bool, GrammarError> {
        match self.matcher.stop_reason() {
            StopReason::NotStopped => Ok(false),
            StopReason::NoExtension | StopReason::EndOfSentence => Ok(true),
            _ => Err(GrammarError::Stuck),
        }
    }
}

impl Clone for GrammarState {
    fn clone(&self) -> Self {
        // Not the shallow one, whose copies share a lock.
        Self { matcher: self.matcher.deep_clone() }
    }
}

impl std::fmt::Debug for GrammarState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrammarState").finish_non_exhaustive()
    }
}

fn word(tokenizer: &Tokenizer, token: TokenId) -> Vec<u8> {
    match tokenizer.bytes(token) {
        [] => special(&tokenizer.token_text(token).unwrap_or_else(|| format!("hole {token}"))),
        bytes => bytes.to_vec(),
    }
}

/// A token that is no text; only a grammar that names it allows it.
fn special(name: &str) -> Vec<u8> {
    let marker = TokTrie::SPECIAL_TOKEN_MARKER;
    if name.starts_with('<') && name.ends_with('>') {
        return [&[marker], name.as_bytes()].concat();
    }
    [&[marker], b"<".as_slice(), name.as_bytes(), b">"].concat()
}

fn vocabulary(error: &(impl std::fmt::Display + ?Sized)) -> GrammarError {
    GrammarError::Vocabulary { message: error.to_string() }
}

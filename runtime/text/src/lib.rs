//! Text in and out of a model: tokenizers, chat templates, stop strings.
//!
//! ```text
//!  messages ──ChatTemplate──► text ──Tokenizer──► tokens ──(engine)──► tokens ──Detokenizer──► text ──StopMatcher──► client
//! ```
#![forbid(unsafe_code)]

pub mod detokenizer;
pub mod grammar;
pub mod output;
pub mod stop;
pub mod template;
pub mod texts;
pub mod tokenizer;

pub use detokenizer::Detokenizer;
pub use grammar::{Grammar, GrammarCompiler, GrammarError, GrammarState};
pub use output::{Delta, Expected, OutputFormat, OutputParser, ToolFormat};
pub use stop::{StopMatcher, StopStep};
pub use template::{ChatTemplate, RenderInput, TemplateError};
pub use texts::{EncodedText, Span};
pub use tokenizer::{Legacy, Special, Tokenizer, TokenizerError};

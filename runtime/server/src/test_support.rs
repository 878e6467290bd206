//! A model of bytes that tests can foretell, behind the real engine.
//!
//! After a small letter comes the next one, and after `z` the end; after a capital the next one, around and around;
//! adapters leave letters out; after `?` the scores are not numbers; after a digit any digit, each as likely; after anything else comes `a`.

pub(crate) mod encoders;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alcazar_core::{BackendError, Batch, CacheShape, Logits, Model, SeqId, TokenId};
use alcazar_engine::{Engine, EngineConfig, Gate, Speculation};
use alcazar_text::{Grammar, GrammarCompiler, GrammarError, GrammarState, OutputFormat, ToolFormat};

use crate::{
    adapters::ServedAdapter,
    app::{App, Served},
    engine_thread::EngineThread,
    language::{Encoded, Input, Language, LanguageError, TokenText, Writer},
    metrics::Metrics,
};

const END: u32 = 256;
const VOCABULARY: usize = 257;
/// The first leaves one letter out each time, the second two.
const ADAPTERS: [&str; 2] = ["evens", "thirds"];

pub(crate) struct ByteModel {
    pub delay: Duration,
    pub n_steps: Arc<AtomicUsize>,
    /// What is answered to everything, when there is something.
    pub script: &'static str,
    /// How much of it each sequence has said.
    pub said: HashMap<SeqId, usize>,
}

impl Model for ByteModel {
    fn vocabulary(&self) -> usize {
        VOCABULARY
    }

    fn cache_shape(&self) -> CacheShape {
        CacheShape { n_blocks: 4096, block_tokens: 16 }
    }

    fn n_adapters(&self) -> usize {
        ADAPTERS.len()
    }

    fn forward(&mut self, batch: &Batch) -> Result<Logits, BackendError> {
        std::thread::sleep(self.delay);
        self.n_steps.fetch_add(1, Ordering::SeqCst);
        let mut values = vec![0.0; batch.logit_rows.len() * VOCABULARY];
        for (scores, row) in values.chunks_mut(VOCABULARY).zip(&batch.logit_rows) {
            if !self.script.is_empty() {
                let owner = batch.sequences.iter().find(|s| s.first_row + s.n_tokens == row + 1).expect("an owner");
                let said = self.said.entry(owner.id).or_default();
                let next = self.script.as_bytes().get(*said).map_or(END as usize, |byte| usize::from(*byte));
                scores[next] = 1000.0;
                *said += 1;
                continue;
            }
            let last = batch.tokens[*row].0;
            if (48..58).contains(&last) {
                scores[48..58].fill(1000.0);
                continue;
            }
            let owner = batch.sequences.iter().find(|s| (s.first_row..s.first_row + s.n_tokens).contains(row));
            let skipped = owner.and_then(|owner| owner.adapter).map_or(0, |adapter| adapter.0 + 1);
            match next(last).map(|token| if token == END { END } else { token + skipped }) {
                Some(token) => scores[token as usize] = 1000.0,
                None => scores.fill(f32::NAN),
            }
        }
        Logits::new(VOCABULARY, values)
    }
}

fn next(last: u32) -> Option<u32> {
    match u8::try_from(last) {
        Ok(b'?') => None,
        Ok(b'z') => Some(END),
        Ok(b'Z') => Some(u32::from(b'A')),
        Ok(letter) if letter.is_ascii_alphabetic() => Some(last + 1),
        _ => Some(u32::from(b'a')),
    }
}

/// Tokens are bytes; a conversation is its contents, one after the other.
pub(crate) struct ByteLanguage;

impl Language for ByteLanguage {
    fn encode(&self, input: &Input) -> Result<Encoded, LanguageError> {
        let of = |text: &str| text.bytes().map(|byte| TokenId(byte.into())).collect();
        let conversation = match input {
            Input::Text { text, .. } => return Ok(Encoded { tokens: of(text), rendered: String::new() }),
            Input::Tokens(tokens) => return Ok(Encoded { tokens: tokens.clone(), rendered: String::new() }),
            Input::Chat(conversation) => conversation,
        };
        let messages = conversation.messages.as_array().cloned().unwrap_or_default();
        if messages.iter().any(|message| message["content"] == "refuse me") {
            return Err(LanguageError::Template { fault: "the template says no".to_owned() });
        }
        let texts: Vec<&str> = messages.iter().filter_map(|message| message["content"].as_str()).collect();
        let rendered = texts.concat();
        Ok(Encoded { tokens: of(&rendered), rendered })
    }

    fn writer(&self, _: &[&str]) -> Box<dyn Writer> {
        Box::new(ByteWriter)
    }

    fn format(&self) -> OutputFormat {
        OutputFormat { tools: ToolFormat::Hermes, thinks: true }
    }

    fn compile(&self, grammar: &Grammar) -> Result<GrammarState, GrammarError> {
        static COMPILER: OnceLock<GrammarCompiler> = OnceLock::new();
        let words = || (0..=255u8).map(|byte| vec![byte]);
        COMPILER.get_or_init(|| GrammarCompiler::of_words(words()).expect("a compiler")).compile(grammar)
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        tokens.iter().filter_map(|token| u8::try_from(token.0).ok()).map(char::from).collect()
    }

    fn token(&self, token: TokenId) -> TokenText {
        let text = if token.0 == END { "<end>".to_owned() } else { self.text(&[token]) };
        TokenText { bytes: text.clone().into_bytes(), text }
    }

    fn stop_tokens(&self) -> Vec<TokenId> {
        vec![TokenId(END)]
    }
}

struct ByteWriter;

impl Writer for ByteWriter {
    fn push(&mut self, token: TokenId) -> String {
        u8::try_from(token.0).map(|byte| char::from(byte).to_string()).unwrap_or_default()
    }

    fn finish(&mut self) -> String {
        String::new()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub delay: Duration,
    pub max_sequences: usize,
    pub max_queued: usize,
    pub context_length: usize,
    pub script: &'static str,
    pub request_timeout: Duration,
    pub with_adapters: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            max_sequences: 4,
            max_queued: 4,
            context_length: 2000,
            script: "",
            request_timeout: Duration::from_mins(1),
            with_adapters: false,
        }
    }
}

impl Setup {
    pub(crate) fn engine(&self, n_steps: &Arc<AtomicUsize>) -> Engine {
        let model =
            ByteModel { delay: self.delay, n_steps: Arc::clone(n_steps), script: self.script, said: HashMap::new() };
        let config = EngineConfig {
            max_sequences: self.max_sequences,
            // The gate bounds the queue; to the engine, what it is about to start waits too.
            max_queued: self.max_sequences + self.max_queued,
            max_queued_tokens: 100_000,
            step_tokens: 4096,
            context_length: self.context_length,
            seed: 1,
            speculation: Speculation::OFF,
        };
        Engine::new(Box::new(model), config)
    }
}

fn served_adapters() -> Vec<ServedAdapter> {
    let one = |name: &str| ServedAdapter { name: name.to_owned(), root: format!("adapters/{name}") };
    ADAPTERS.map(one).into()
}

/// An app that serves the byte model under the name `bytes`.
pub(crate) struct TestApp {
    pub app: Arc<App>,
    pub n_steps: Arc<AtomicUsize>,
    thread: Option<EngineThread>,
}

impl TestApp {
    pub(crate) fn loading() -> Self {
        let metrics = Arc::new(Metrics::new("bytes").unwrap());
        let app = Arc::new(App::new("bytes".to_owned(), metrics, Instant::now(), false));
        Self { app, n_steps: Arc::default(), thread: None }
    }

    pub(crate) fn serving(setup: Setup) -> Self {
        let mut test = Self::loading();
        let thread = EngineThread::start(setup.engine(&test.n_steps), Arc::clone(&test.app.metrics)).unwrap();
        let served = Served {
            language: Arc::new(ByteLanguage),
            engine: thread.handle(),
            gate: Gate::new(setup.max_sequences + setup.max_queued, 1_000_000),
            context_length: setup.context_length,
            request_timeout: setup.request_timeout,
            vocabulary: VOCABULARY,
            adapters: setup.with_adapters.then(served_adapters).unwrap_or_default(),
        };
        test.app.metrics.serve_adapters(served.adapters.iter().map(|adapter| adapter.name.clone()).collect());
        test.app.serve(served, |_| {});
        test.thread = Some(thread);
        test
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.app.served().unwrap().gate.in_flight()
    }

    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        sample(&self.app.metrics.render().unwrap(), name, labels).parse().unwrap()
    }
}

/// The value of a metric whose labels include these, each written `name="value"`; their order is not fixed.
pub(crate) fn sample(text: &str, name: &str, labels: &[&str]) -> String {
    let matches = |line: &&str| {
        let found =
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix('{')).and_then(|rest| rest.split_once("} "));
        found.is_some_and(|(found, _)| labels.iter().all(|label| found.split(',').any(|one| one == *label)))
    };
    let line = text.lines().find(matches).unwrap_or_else(|| panic!("{name} with {labels:?} is not in\n{text}"));
    line.rsplit_once(' ').unwrap().1.to_owned()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.quit();
        }
    }
}

/// Waits for something that happens on another thread.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !check() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Writes `tls.crt` and `tls.key` for `localhost`, signed by itself.
pub(crate) fn write_certificate(dir: &Path) -> rustls_pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(dir.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

//! The tiny encoders of tests/fixtures behind the real thread and routes.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use alcazar_core::Encoder;
use alcazar_engine::Gate;
use alcazar_text::Tokenizer;
use serde_json::Value;

use crate::{
    app::{App, ServedEncoder},
    device::Device,
    encoder_thread::EncoderThread,
    metrics::Metrics,
};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/encoders")
}

/// What transformers answers for texts (tests/reference/pipelines.py).
pub(crate) fn pipelines() -> Value {
    serde_json::from_slice(&std::fs::read(fixtures().join("pipelines.json")).unwrap()).unwrap()
}

pub(crate) fn encoder(name: &str) -> (Arc<Tokenizer>, Box<dyn Encoder>) {
    let files = alcazar_formats::open(&fixtures().join(name)).unwrap();
    let device = Device::open(NonZeroUsize::MIN).unwrap();
    let encoder = device.load_encoder(files.config().encoder().unwrap(), &files).unwrap();
    (Arc::new(Tokenizer::open(&files).unwrap()), encoder)
}

/// An app that serves a fixture under its own name.
pub(crate) struct EncoderApp {
    pub app: Arc<App>,
    thread: Option<EncoderThread>,
}

impl EncoderApp {
    pub(crate) fn serving(name: &str) -> Self {
        let (tokenizer, encoder) = encoder(name);
        let metrics = Arc::new(Metrics::new(name).unwrap());
        let app = Arc::new(App::new(name.to_owned(), Arc::clone(&metrics), Instant::now(), false));
        let config = encoder.config().clone();
        let thread = EncoderThread::start(encoder, metrics).unwrap();
        let gate = Gate::new(4, 1000);
        app.serve_encoder(ServedEncoder { tokenizer, encoder: thread.handle(), config, gate }, |_| {});
        Self { app, thread: Some(thread) }
    }
}

impl Drop for EncoderApp {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.quit();
        }
    }
}

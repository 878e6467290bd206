//! The one thread that owns an encoder: packs the texts of all requests, runs them, hands the rows back.

mod open;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Instant,
};

use alcazar_core::{BackendError, Encoder, EncoderConfig};
use alcazar_engine::{
    Permit,
    packer::{Pack, Packer, Text},
};
use tokio::sync::oneshot;

use self::open::Requests;
use crate::metrics::Metrics;

/// Tokens of one pass: enough for whole matrices to pay, few enough that nobody waits for long.
const PASS_TOKENS: usize = 1024;

/// Rows of one text: one, or one for each token that was wanted.
pub(crate) type Rows = Vec<Vec<f32>>;

/// Why there are no rows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    /// The cause is in the log.
    #[error("the model failed on this text")]
    Failed,
    #[error("the encoder has stopped")]
    Gone,
}

enum Command {
    Encode(Box<Submission>),
    Quit,
}

struct Submission {
    texts: Vec<Text>,
    reply: oneshot::Sender<Result<Vec<Rows>, EncodeError>>,
    arrived: Instant,
    permit: Option<Permit>,
}

/// Reaches the encoder from any task.
#[derive(Clone)]
pub(crate) struct EncoderHandle {
    commands: mpsc::Sender<Command>,
}

/// The thread itself; joined by [`EncoderThread::quit`].
pub(crate) struct EncoderThread {
    handle: EncoderHandle,
    thread: JoinHandle<()>,
}

impl EncoderThread {
    pub(crate) fn start(encoder: Box<dyn Encoder>, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (commands, queue) = mpsc::channel();
        let work = move || run(encoder, &queue, &metrics);
        let thread = thread::Builder::new().name("encoder".to_owned()).spawn(work)?;
        Ok(Self { handle: EncoderHandle { commands }, thread })
    }

    pub(crate) fn handle(&self) -> EncoderHandle {
        self.handle.clone()
    }

    /// Ends the thread after its current pass and waits for it. Blocking.
    pub(crate) fn quit(self) {
        // An encoder that is gone already needs no command.
        let _ = self.handle.commands.send(Command::Quit);
        if self.thread.join().is_err() {
            tracing::error!("the encoder's thread had panicked");
        }
    }
}

impl EncoderHandle {
    /// The rows of each text. Dropping the future takes what has not run yet out of the queue.
    pub(crate) async fn encode(&self, texts: Vec<Text>, permit: Option<Permit>) -> Result<Vec<Rows>, EncodeError> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { texts, reply, arrived: Instant::now(), permit };
        self.commands.send(Command::Encode(Box::new(submission))).map_err(|_| EncodeError::Gone)?;
        answer.await.map_err(|_| EncodeError::Gone)?
    }
}

/// A text that any encoder can take: one token, which the vocabulary has.
pub(crate) fn smallest(config: &EncoderConfig) -> Text {
    let wanted = if config.head.is_per_token() { vec![0] } else { vec![] };
    Text { tokens: vec![0], types: vec![0], wanted }
}

fn run(mut encoder: Box<dyn Encoder>, queue: &mpsc::Receiver<Command>, metrics: &Metrics) {
    let (mut packer, mut requests) = (Packer::new(PASS_TOKENS), Requests::new(metrics));
    loop {
        // Idle: sleep until something comes. Busy: take what came, then run.
        let mut next = if packer.is_empty() {
            match queue.recv() {
                Ok(command) => Some(command),
                Err(mpsc::RecvError) => return,
            }
        } else {
            queue.try_recv().ok()
        };
        while let Some(command) = next {
            match command {
                Command::Encode(submission) => requests.open(&mut packer, *submission),
                Command::Quit => return,
            }
            next = queue.try_recv().ok();
        }
        requests.forget_those_that_left(&mut packer);
        let pack = packer.next_pack();
        if !pack.texts.is_empty() {
            step(&mut *encoder, &pack, &mut packer, &mut requests);
        }
    }
}

/// One pass. When it fails, each text is tried by itself, so that only those that cannot be computed fail.
fn step(encoder: &mut dyn Encoder, pack: &Pack, packer: &mut Packer, requests: &mut Requests<'_>) {
    if let Some(rows) = forward(encoder, pack) {
        return requests.deliver(packer, pack, rows);
    }
    let texts = pack.texts.iter().zip(&pack.places);
    for (text, place) in texts {
        let alone = Pack { texts: vec![text.clone()], places: vec![*place] };
        match forward(encoder, &alone) {
            Some(rows) => requests.deliver(packer, &alone, rows),
            None => requests.fail(packer, place.request),
        }
    }
}

/// `None`: the pass failed, panicked, or gave what is no number.
fn forward(encoder: &mut dyn Encoder, pack: &Pack) -> Option<Rows> {
    let batch = pack.batch();
    // An encoder keeps nothing between passes, so a panic leaves nothing half-done.
    match catch_unwind(AssertUnwindSafe(|| encoder.forward(&batch))) {
        Ok(Ok(rows)) if rows.iter().flatten().all(|x| x.is_finite()) => Some(rows),
        Ok(Ok(_)) => {
            tracing::error!(texts = pack.texts.len(), "the model gave what is no number");
            None
        }
        Ok(Err(error)) => {
            tracing::error!(texts = pack.texts.len(), "{}", told(&error));
            None
        }
        Err(_) => {
            tracing::error!(texts = pack.texts.len(), "the model panicked; this is a fault of the runtime");
            None
        }
    }
}

fn told(error: &BackendError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;

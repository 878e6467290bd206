//! The one thread that owns the engine: takes commands, steps, hands each effect to its stream.

mod streams;

use std::{
    sync::{Arc, mpsc},
    task::{Context, Poll},
    thread::{self, JoinHandle},
    time::Instant,
};

use alcazar_core::{SeqId, TokenId};
use alcazar_engine::{Engine, FinishReason, Permit, Refused, Request, TokenLogprobs, Usage};
use tokio::sync::{mpsc as stream, oneshot};

use self::streams::Streams;
use crate::metrics::Metrics;

/// What happens to one request.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// A token of the prompt, where its probability was asked for; these come first.
    Scored(TokenLogprobs),
    Token {
        token: TokenId,
        logprobs: Option<TokenLogprobs>,
    },
    Finished {
        reason: FinishReason,
        usage: Usage,
    },
    /// The model failed on it; the cause is in the log.
    Failed,
}

/// Why a caller ends a request early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A stop string was found: the answer is complete.
    Stop,
    /// Nobody reads any more.
    Abort,
}

enum Command {
    Submit(Box<Submission>),
    Cancel { id: SeqId, ended: Ended },
    CancelAll,
    Quit,
}

struct Submission {
    request: Request,
    events: stream::UnboundedSender<Event>,
    reply: oneshot::Sender<Result<SeqId, Refused>>,
    arrived: Instant,
    permit: Option<Permit>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the engine has stopped")]
    Gone,
}

/// Reaches the engine from any task.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    commands: mpsc::Sender<Command>,
    metrics: Arc<Metrics>,
}

/// The thread itself; joined by [`EngineThread::quit`].
pub(crate) struct EngineThread {
    handle: EngineHandle,
    thread: JoinHandle<()>,
}

/// Without its engine a pod is of no use, and looks alive all the same: when the thread panics the process ends, and the
/// kubelet starts another.
struct EndsTheProcess;

impl Drop for EndsTheProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("the engine panicked; this is a fault of the runtime, which ends and is started again");
            std::process::abort();
        }
    }
}

impl EngineThread {
    pub(crate) fn start(engine: Engine, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (commands, queue) = mpsc::channel();
        let handle = EngineHandle { commands, metrics: Arc::clone(&metrics) };
        let thread = thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let _guard = EndsTheProcess;
            run(engine, &queue, &metrics);
        })?;
        Ok(Self { handle, thread })
    }

    pub(crate) fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Ends the thread after its current step and waits for it. Blocking.
    pub(crate) fn quit(self) {
        // An engine that is gone already needs no command.
        let _ = self.handle.commands.send(Command::Quit);
        if self.thread.join().is_err() {
            tracing::error!("the engine's thread had panicked");
        }
    }
}

impl EngineHandle {
    /// Queues a request. The permit is given back when the sequence ends.
    pub(crate) async fn submit(&self, request: Request, permit: Option<Permit>) -> Result<Generation, SubmitError> {
        let (events, receiver) = stream::unbounded_channel();
        let (reply, answer) = oneshot::channel();
        let submission = Submission { request, events, reply, arrived: Instant::now(), permit };
        self.commands.send(Command::Submit(Box::new(submission))).map_err(|_| SubmitError::Gone)?;
        let id = answer.await.map_err(|_| SubmitError::Gone)??;
        Ok(Generation { id, events: receiver, handle: self.clone(), is_open: true })
    }

    /// A request is about to ask for so many answers to each of its prompts.
    pub(crate) fn asked(&self, n: usize) {
        self.metrics.asked(n);
    }

    /// Ends everything that runs or waits, as at the end of a drain.
    pub(crate) fn cancel_all(&self) {
        let _ = self.commands.send(Command::CancelAll);
    }
}

/// A running request. Dropping it cancels the sequence before the engine's next step.
pub(crate) struct Generation {
    id: SeqId,
    events: stream::UnboundedReceiver<Event>,
    handle: EngineHandle,
    is_open: bool,
}

impl Generation {
    /// Waits for the next event; `None` when the engine is gone. Losing the future loses no event.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Self::next`], for who waits for several.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let event = std::task::ready!(self.events.poll_recv(context));
        if !matches!(event, Some(Event::Scored(_) | Event::Token { .. })) {
            self.is_open = false;
        }
        Poll::Ready(event)
    }

    /// The answer is complete as far as the caller is concerned.
    pub(crate) fn stop(&mut self) {
        self.end(Ended::Stop);
    }

    fn end(&mut self, ended: Ended) {
        if std::mem::replace(&mut self.is_open, false) {
            let _ = self.handle.commands.send(Command::Cancel { id: self.id, ended });
        }
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.end(Ended::Abort);
    }
}

fn run(mut engine: Engine, queue: &mpsc::Receiver<Command>, metrics: &Metrics) {
    let mut streams = Streams::new(metrics);
    loop {
        // Idle: sleep until something comes. Busy: take what came, then step.
        let mut next = if engine.is_idle() {
            metrics.load(&engine.load());
            metrics.adapters(engine.adapters());
            match queue.recv() {
                Ok(command) => Some(command),
                Err(mpsc::RecvError) => return,
            }
        } else {
            queue.try_recv().ok()
        };
        while let Some(command) = next {
            if obey(&mut engine, &mut streams, command).is_break() {
                return;
            }
            next = queue.try_recv().ok();
        }
        let effects = engine.step();
        metrics.adapters(engine.adapters());
        // Counted before it is told: whoever has its answer finds it in the metrics.
        let load = engine.load();
        metrics.load(&load);
        if load.last_step_tokens > 0 {
            metrics.step(load.last_step_tokens);
        }
        for effect in effects {
            streams.deliver(&mut engine, effect);
        }
    }
}

fn obey(engine: &mut Engine, streams: &mut Streams<'_>, command: Command) -> std::ops::ControlFlow<()> {
    match command {
        Command::Submit(submission) => {
            let Submission { request, events, reply, arrived, permit } = *submission;
            let (prompt_tokens, max_tokens) = (request.prompt.len(), request.max_tokens);
            let outcome = engine.submit(request);
            let id = outcome.as_ref().ok().copied();
            let is_heard = reply.send(outcome).is_ok();
            match id {
                Some(id) if is_heard => {
                    streams.open(id, events, streams::Meta { arrived, prompt_tokens, max_tokens, permit });
                }
                // The caller left while its request was on the way.
                Some(id) => drop(engine.cancel(id)),
                None => {}
            }
        }
        Command::Cancel { id, ended } => {
            engine.cancel(id);
            streams.close(id, ended);
        }
        Command::CancelAll => {
            for id in streams.ids() {
                engine.cancel(id);
                streams.close(id, Ended::Abort);
            }
        }
        Command::Quit => return std::ops::ControlFlow::Break(()),
    }
    std::ops::ControlFlow::Continue(())
}

#[cfg(test)]
mod tests;

//! Texts of several requests through one thread.

use std::{sync::Arc, time::Duration};

use alcazar_core::{BackendError, Encoder, EncoderConfig, PackedBatch};
use alcazar_engine::{Gate, packer::Text};

use super::{EncodeError, EncoderThread};
use crate::{
    metrics::Metrics,
    test_support::{encoders, sample},
};

/// Gives each text the sum of its tokens; 13 is no number, 66 fails the pass, 99 panics.
struct Sums {
    config: EncoderConfig,
    delay: Duration,
}

impl Encoder for Sums {
    fn config(&self) -> &EncoderConfig {
        &self.config
    }

    fn forward(&mut self, batch: &PackedBatch) -> Result<Vec<Vec<f32>>, BackendError> {
        std::thread::sleep(self.delay);
        assert!(!batch.tokens.contains(&99), "a fault of the runtime");
        if batch.tokens.contains(&66) {
            return Err(BackendError::Batch { message: "66".to_owned() });
        }
        let mut tokens = batch.tokens.iter();
        let sum = |length: &usize| match tokens.by_ref().take(*length).sum::<u32>() {
            13 => vec![f32::NAN],
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            sum => vec![sum as f32],
        };
        Ok(batch.lengths.iter().map(sum).collect())
    }
}

fn start(delay: Duration) -> (EncoderThread, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new("sums").unwrap());
    let config = encoders::encoder("bert").1.config().clone();
    let thread = EncoderThread::start(Box::new(Sums { config, delay }), Arc::clone(&metrics)).unwrap();
    (thread, metrics)
}

fn text(tokens: &[u32]) -> Text {
    Text { tokens: tokens.to_vec(), types: vec![0; tokens.len()], wanted: vec![] }
}

#[tokio::test]
async fn rows_come_back_in_order_and_places_are_given_back() {
    let (thread, _) = start(Duration::ZERO);
    let gate = Gate::new(1, 10);
    let texts = vec![text(&[1, 2]), text(&[5]), text(&[1000; 2000])];
    let found = thread.handle().encode(texts, Some(gate.try_enter(1).unwrap())).await.unwrap();
    assert_eq!(found, [[[3.0]], [[5.0]], [[2_000_000.0]]]);
    assert_eq!(gate.in_flight(), 0);
    assert_eq!(thread.handle().encode(vec![], None).await, Ok(vec![]));
    thread.quit();
}

#[tokio::test]
async fn a_text_that_cannot_be_computed_fails_alone() {
    let (thread, _) = start(Duration::from_millis(20));
    let handle = thread.handle();
    // While the first one runs the others gather into one pass.
    let (first, poisoned, failing, panicking, good) = tokio::join!(
        handle.encode(vec![text(&[1])], None),
        handle.encode(vec![text(&[1]), text(&[13])], None),
        handle.encode(vec![text(&[66])], None),
        handle.encode(vec![text(&[99])], None),
        handle.encode(vec![text(&[2]), text(&[3])], None),
    );
    assert_eq!(first, Ok(vec![vec![vec![1.0]]]));
    assert_eq!(
        [poisoned, failing, panicking],
        [Err(EncodeError::Failed), Err(EncodeError::Failed), Err(EncodeError::Failed)]
    );
    assert_eq!(good, Ok(vec![vec![vec![2.0]], vec![vec![3.0]]]));
    thread.quit();
}

#[tokio::test]
async fn a_caller_that_leaves_frees_its_place() {
    let (thread, metrics) = start(Duration::from_millis(10));
    let (handle, gate) = (thread.handle(), Gate::new(1, 10));
    let many = vec![text(&[1; 1024]); 1000];
    let permit = gate.try_enter(1).unwrap();
    let left = tokio::time::timeout(Duration::from_millis(30), handle.encode(many, Some(permit))).await;
    assert!(left.is_err(), "ten seconds of work");
    tokio::time::timeout(Duration::from_secs(5), async {
        while gate.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the place should be free soon");
    let told = sample(&metrics.render().unwrap(), "vllm:request_success_total", &["finished_reason=\"abort\""]);
    assert_eq!(told, "1");
    thread.quit();
}

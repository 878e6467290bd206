//! A model that fails or panics on one sequence: the others go on.

use super::*;

fn faulty(fault: Fault) -> Engine {
    let shape = CacheShape { n_blocks: 99, block_tokens: 4 };
    let model = HashModel { shape, slots: vec![None; shape.n_tokens()], seen: Arc::default(), fault };
    let config = EngineConfig {
        max_sequences: 8,
        max_queued: 99,
        max_queued_tokens: 9999,
        step_tokens: 64,
        context_length: 60,
        seed: 0,
        speculation: Speculation::default(),
    };
    Engine::new(Box::new(model), config)
}

/// Never answers the trigger itself.
fn healthy(prompt: &[u32]) -> Request {
    let sampling = Sampling { temperature: 0.0, logit_bias: vec![(TRIGGER, -100.0)], ..Sampling::default() };
    Request { sampling, ..request(prompt, 9, 1) }
}

#[test]
fn whoever_makes_a_pass_fail_or_panic_fails_alone() {
    for fault in [Fault::Error, Fault::Panic] {
        let mut engine = faulty(fault);
        let ids = [engine.submit(healthy(&[1, 2])).unwrap(), engine.submit(healthy(&[3])).unwrap()];
        let mut answers = Answers::new();
        take(engine.step(), &mut answers);
        let hit = engine.submit(healthy(&[1, TRIGGER.0, 2])).unwrap();
        let effects = engine.step();
        let failed: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Failed { .. })).collect();
        assert!(matches!(failed.as_slice(), [Effect::Failed { id, .. }] if *id == hit), "{failed:?}");
        take(effects.into_iter().filter(|effect| !matches!(effect, Effect::Failed { .. })).collect(), &mut answers);
        run(&mut engine, &mut answers);
        for (id, prompt) in ids.into_iter().zip([&[1, 2][..], &[3]]) {
            assert_eq!(answers.remove(&id).unwrap(), alone(healthy(prompt)));
        }
    }
}

#[test]
fn a_model_that_only_panics_is_given_up() {
    let mut engine = faulty(Fault::Panic);
    for _ in 0..3 {
        engine.submit(healthy(&[TRIGGER.0])).unwrap();
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.step()));
    assert!(outcome.is_err(), "the process must start again");
}

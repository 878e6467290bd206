//! Who sends many requests waits for his own, and nobody waits for ever.

use super::*;

fn of(tenant: &str, prompt: &[u32], max_tokens: usize) -> Request {
    Request { tenant: Some(tenant.to_owned()), stop_tokens: vec![], ..request(prompt, max_tokens, 1) }
}

/// In which order sequences end.
fn order(engine: &mut Engine) -> Vec<u64> {
    let mut order = Vec::new();
    while !engine.is_idle() {
        order.extend(engine.step().into_iter().filter_map(|effect| match effect {
            Effect::Finished { id, .. } => Some(id.0),
            _ => None,
        }));
    }
    order
}

#[test]
fn tenants_take_turns_and_keep_their_own_order() {
    let (mut engine, _) = engine(Setup { max_sequences: 1, ..ROOMY });
    for tenant in ["many", "many", "many", "many", "few", "few", "one"] {
        engine.submit(of(tenant, &[1, 2], 2)).unwrap();
    }
    engine.submit(Request { tenant: None, ..of("", &[1], 1) }).unwrap();
    assert_eq!(engine.load().waiting, 8);
    assert!(engine.cancel(SeqId(1)) && !engine.cancel(SeqId(1)));
    assert!(engine.cancel(SeqId(6)), "the last of its tenant");
    assert_eq!(order(&mut engine), [0, 4, 7, 2, 5, 3]);
}

#[test]
fn who_gave_way_comes_before_all_who_have_not_begun() {
    // Room for two prompts, not for their answers.
    let (mut engine, _) = engine(Setup { n_blocks: 15, max_sequences: 2, ..ROOMY });
    for (tenant, token) in [("a", 1), ("b", 2), ("c", 3), ("a", 4), ("d", 5)] {
        engine.submit(of(tenant, &[token; 20], 20)).unwrap();
    }
    let order = order(&mut engine);
    assert!(engine.load().preemptions_total > 0);
    assert_eq!(order[..2], [0, 1], "{order:?}");
}

proptest! {
    #[test]
    fn a_single_request_waits_for_one_of_each_other_tenant(
        n_tenants in 1usize..5, max_sequences in 1usize..4, n_blocks in 15usize..60, n_before in 1usize..20,
    ) {
        let (mut engine, _) = engine(Setup { n_blocks, max_sequences, ..ROOMY });
        let mut n_sent = 0;
        let mut flood = |engine: &mut Engine, n: usize| for _ in 0..n {
            n_sent += 1;
            engine.submit(of(&(n_sent % n_tenants).to_string(), &[1, 2, 3], 10)).unwrap();
        };
        flood(&mut engine, n_before.max(n_tenants));
        let late = engine.submit(of("late", &[4], 10)).unwrap();
        let mut n_before = 0;
        loop {
            let effects = engine.step();
            let is_end = |effect: &&Effect| matches!(effect, Effect::Finished { .. });
            let n_ended = effects.iter().filter(is_end).count();
            if effects.iter().any(|effect| matches!(effect, Effect::Finished { id, .. } if *id == late)) {
                break;
            }
            n_before += n_ended;
            // As many come as go: the flood does not end.
            flood(&mut engine, n_ended);
            prop_assert!(n_before <= n_tenants + max_sequences, "it has waited for {n_before}");
        }
    }
}

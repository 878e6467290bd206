use alcazar_contract::report::FetchReason;
use k8s_openapi::api::core::v1::PodStatus;
use proptest::prelude::*;

use super::*;
use crate::{
    controller::model::tests::{DIGEST, OTHER_DIGEST, REASONS, World, claim},
    secrets::SecretKeys,
};

fn attempt(world: &World) -> Option<String> {
    world.observed.job.as_ref()?.metadata.annotations.as_ref()?.get(ATTEMPT).cloned()
}

fn count(world: &World) -> u32 {
    world.observed.job.as_ref().and_then(Attempt::of).map_or(0, |attempt| attempt.count)
}

#[test]
fn begins_runs_and_rests() {
    let mut world = World::smol();
    assert!(matches!(world.next(), Next::Begin(_)));
    world.pass();
    assert_eq!(world.next(), Next::Run);
    world.after(60).seals(DIGEST).pass();
    assert!(matches!(world.next(), Next::Rest(facts) if facts.digest == DIGEST));
    assert_eq!(world.n_jobs, 1);
}

#[test]
fn a_deleted_job_does_not_fetch_again() {
    let mut world = World::smol();
    world.pass().after(60).seals(DIGEST).pass();
    world.observed.job = None;
    world.observed.pod = None;
    assert!(matches!(world.next(), Next::Rest(facts) if facts.digest == DIGEST && facts.context_length == 8192));
    world.pass();
    assert_eq!(world.n_jobs, 1);
    assert!(world.plan().job.is_none());
}

#[test]
fn a_collected_pod_does_not_fetch_again() {
    let mut world = World::smol();
    world.pass().after(60).seals(DIGEST).pass();
    world.observed.pod = None;
    assert!(matches!(world.next(), Next::Rest(_)));
    world.model.status = None;
    assert!(matches!(world.next(), Next::Begin(_)), "with the status gone too, the Job must look again");
}

#[test]
fn a_volume_that_was_made_anew_is_filled_again() {
    let mut world = World::smol();
    world.pass().after(600).seals(DIGEST).pass();
    world.observed.own_claim = None;
    world.observed.claim = None;
    world.after(60).pass();
    assert_eq!(world.n_jobs, 2);
    world.after(60).seals(DIGEST).pass();
    assert!(matches!(world.next(), Next::Rest(_)));
    world.observed.job = None;
    assert!(matches!(world.next(), Next::Rest(_)));
    world.observed.claim = Some(claim("smol-weights", world.now + SignedDuration::from_secs(9)));
    assert!(matches!(world.next(), Next::Begin(_)));
}

#[test]
fn what_may_pass_is_tried_again_later_each_time() {
    let mut world = World::smol();
    world.pass();
    for (failures, wait) in [(1, 5), (2, 10), (3, 20)] {
        world.fails(FetchReason::SourceUnreachable, "no connection").pass();
        assert!(matches!(world.next(), Next::Wait(trouble, pause)
            if trouble.reason == Reason::SourceUnreachable && pause.as_secs() == wait));
        assert_eq!(world.n_jobs, failures);
        world.after(i64::try_from(wait).unwrap()).pass();
        assert_eq!((world.n_jobs, count(&world)), (failures + 1, failures + 1));
    }
    assert_eq!(pause(Retry::Soon, 40, Some(world.now), world.now), Some(Duration::from_mins(5)));
}

#[test]
fn what_does_not_pass_waits_for_a_change() {
    for reason in [FetchReason::DigestMismatch, FetchReason::SourceUnauthorized, FetchReason::UnsupportedModel] {
        let failed = || {
            let mut world = World::of(include_str!("../testdata/mirror-with-token.yaml"));
            world.pass().after(5).fails(reason, "no").pass().after(3600).pass();
            assert_eq!(world.n_jobs, 1, "{reason:?}");
            world
        };
        let mut edited = failed();
        edited.model.metadata.generation = Some(2);
        assert_eq!(edited.pass().n_jobs, 2, "a change of the spec");
        let mut renewed = failed();
        renewed.observed.secret =
            SecretSeen::Found(SecretKeys { version: "u/2".into(), keys: ["token".to_owned()].into() });
        assert_eq!(renewed.pass().n_jobs, 2, "a change of the Secret");
        assert_eq!(count(&renewed), 1, "the count begins anew");
        let mut upgraded = failed();
        upgraded.settings.runtime_image = "registry.example.com/runtime:2".into();
        assert_eq!(upgraded.pass().n_jobs, 2, "another runtime");
    }
}

#[test]
fn an_upgrade_does_not_touch_what_runs_or_rests() {
    let mut world = World::smol();
    world.pass();
    let first = attempt(&world);
    world.settings.runtime_image = "registry.example.com/runtime:2".into();
    world.pass();
    assert_eq!(attempt(&world), first);
    world.seals(DIGEST).pass();
    world.settings.runtime_image = "registry.example.com/runtime:3".into();
    world.pass();
    assert_eq!((attempt(&world), world.n_jobs), (first, 1));
}

#[test]
fn without_its_secret_nothing_begins() {
    let mut world = World::of(include_str!("../testdata/mirror-with-token.yaml"));
    world.observed.secret = SecretSeen::Missing;
    assert!(matches!(world.next(), Next::Wait(trouble, pause)
        if trouble.reason == Reason::SecretMissing && trouble.message.contains("hub-token") && pause <= Duration::from_secs(5)));
    world.pass();
    assert_eq!(world.n_jobs, 0);
    world.observed.secret =
        SecretSeen::Found(SecretKeys { version: "u/1".into(), keys: ["password".to_owned()].into() });
    assert!(matches!(world.next(), Next::Wait(trouble, _) if trouble.reason == Reason::SecretInvalid));
    world.observed.secret = SecretSeen::Found(SecretKeys { version: "u/2".into(), keys: ["token".to_owned()].into() });
    assert_eq!(world.pass().n_jobs, 1);
}

#[test]
fn a_host_that_does_not_resolve_makes_no_job() {
    let mut world = World::smol();
    world.reach = Err(Unreachable { reason: Reason::SourceNotResolved, message: "no".into() });
    let plan = world.plan();
    assert!(
        plan.job.is_none()
            && matches!(&plan.stage, Stage::Held(trouble) if trouble.reason == Reason::SourceNotResolved)
    );
    assert!(plan.recorded.reach.peers.is_empty(), "and opens nothing");
    assert_eq!(world.pass().n_jobs, 0);
}

#[test]
fn the_firewall_is_looked_up_anew_for_each_attempt_only() {
    let mut world = World::smol();
    world.pass();
    let first = world.plan().recorded;
    world.reach = Ok(Reach { dns: true, peers: Vec::new() });
    assert_eq!(world.plan().recorded, first, "while it runs, names that resolve anew change nothing");
    world.fails(FetchReason::SourceUnreachable, "no").pass().after(60);
    assert_ne!(world.plan().recorded, first);
}

#[test]
fn a_claim_that_is_missing_is_waited_for() {
    let mut world = World::of(include_str!("../testdata/claim.yaml"));
    let there = world.observed.claim.take();
    assert!(matches!(world.next(), Next::Wait(trouble, _) if trouble.reason == Reason::ClaimMissing));
    world.observed.claim = there;
    assert_eq!(world.pass().n_jobs, 1);
}

#[test]
fn files_that_serve_keep_their_volume_until_the_new_ones_are_verified() {
    let mut world = World::smol();
    world.pass().after(60).seals(DIGEST).pass();
    world.edit(|spec| {
        spec.source =
            serde_json::from_value(serde_json::json!({"persistentVolumeClaim": {"claimName": "team-models"}})).unwrap();
    });
    world.observed.claim = Some(claim("team-models", world.now));
    world.pass();
    assert!(world.observed.own_claim.is_some());
    assert_eq!(world.model.status.as_ref().unwrap().claim_name.as_deref(), Some("smol-weights"));
    world.after(60).seals(OTHER_DIGEST).pass();
    assert_eq!(world.model.status.as_ref().unwrap().claim_name.as_deref(), Some("team-models"));
    world.pass();
    assert!(world.observed.own_claim.is_none(), "now it goes");
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Seal,
    Fail(u8),
    Crash,
    Run,
    LoseJob,
    LosePod,
    Edit,
    Wait(u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        Just(Act::Seal),
        (0..12u8).prop_map(Act::Fail),
        Just(Act::Crash),
        Just(Act::Run),
        Just(Act::LoseJob),
        Just(Act::LosePod),
        Just(Act::Edit),
        (0..400u16).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 0..12)
}

proptest! {
    /// Whatever happened before: after a pass, another pass at the same moment makes nothing, changes nothing and says the
    /// same. And what was ever sealed stays in the status.
    #[test]
    fn reaches_a_fixed_point(acts in acts()) {
        let mut world = World::smol();
        world.pass();
        let mut sealed = None;
        for act in acts {
            let runs = world.observed.job.as_ref().is_some_and(cause::is_running);
            match act {
                Act::Seal if runs => {
                    world.seals(DIGEST);
                    sealed = Some(DIGEST.to_owned());
                }
                Act::Fail(n) if runs => { world.fails(REASONS[usize::from(n)], "no"); }
                Act::Crash if runs => { world.crashes("Error", None); }
                Act::Run if runs => { world.pod_says(PodStatus { phase: Some("Running".into()), ..PodStatus::default() }); }
                Act::LoseJob => world.observed.job = None,
                Act::LosePod => world.observed.pod = None,
                Act::Edit => { world.edit(|spec| spec.source.hugging_face.as_mut().unwrap().revision.push('0')); }
                Act::Wait(seconds) => { world.after(i64::from(seconds)); }
                _ => {}
            }
            world.pass();
            let (jobs, status, attempt_before) = (world.n_jobs, world.model.status.clone(), attempt(&world));
            world.pass();
            prop_assert_eq!(world.n_jobs, jobs);
            prop_assert_eq!(&world.model.status, &status);
            prop_assert_eq!(attempt(&world), attempt_before);
            prop_assert_eq!(status.and_then(|status| status.digest), sealed.clone());
        }
    }
}

#[test]
fn a_key_that_is_missing_is_waited_for_and_named() {
    let mut world = World::of(include_str!("../testdata/protected.yaml"));
    let found = |key: &str| SecretSeen::Found(SecretKeys { version: "u/1".into(), keys: [key.to_owned()].into() });
    world.observed.secret = SecretSeen::NotNamed;
    world.observed.signature_key = found("public.pem");
    world.observed.encryption_key = SecretSeen::Missing;
    let waits = |world: &World, reason: Reason, name: &str| matches!(world.next(), Next::Wait(trouble, _) if trouble.reason == reason && trouble.message.contains(name));
    assert!(waits(&world, Reason::KeyMissing, "weights-key"));
    world.observed.encryption_key = found("identity");
    assert!(waits(&world, Reason::KeyInvalid, "weights-key"));
    world.observed.encryption_key = found("key");
    assert!(matches!(world.next(), Next::Begin(_)));
    world.observed.signature_key = SecretSeen::Missing;
    assert!(waits(&world, Reason::KeyMissing, "model-signing"));
}

#[test]
fn a_key_that_vanishes_takes_nothing_from_what_is_sealed() {
    let mut world = World::of(include_str!("../testdata/protected.yaml"));
    let found = |key: &str| SecretSeen::Found(SecretKeys { version: "u/1".into(), keys: [key.to_owned()].into() });
    world.observed.secret = SecretSeen::NotNamed;
    (world.observed.signature_key, world.observed.encryption_key) = (found("public.pem"), found("key"));
    world.pass().seals(DIGEST).pass();
    world.observed.encryption_key = SecretSeen::Missing;
    assert!(matches!(world.next(), Next::Rest(_)));
}

//! Which model the pods serve, what becomes of the certificate, and that a plan once carried out is the same again.

use proptest::prelude::*;

use super::*;
use crate::controller::deployment::test_support::{
    DIGEST, LOADING, OTHER_DIGEST, World, model_condition, now, pod, serving_pod,
};

fn serving(world: &World) -> Option<String> {
    world.plan().serving.map(|serving| serving.digest)
}

fn model(world: &mut World) -> &mut LlmModel {
    world.observed.model.as_mut().unwrap()
}

fn model_status(world: &mut World) -> &mut alcazar_crds::llm_model::LlmModelStatus {
    model(world).status.as_mut().unwrap()
}

type Case = (&'static str, fn(&mut World));

#[test]
fn serves_what_is_verified_for_the_spec_as_it_is() {
    assert_eq!(serving(&World::assistant()).as_deref(), Some(DIGEST));
    let refusals: [Case; 6] = [
        ("no model", |world| world.observed.model = None),
        ("no status", |world| model(world).status = None),
        ("a status of an earlier spec", |world| model(world).metadata.generation = Some(2)),
        ("not ready", |world| model_status(world).conditions = vec![model_condition("Ready", "False", "Fetching", "")]),
        ("no digest", |world| model_status(world).digest = None),
        ("no claim", |world| model_status(world).claim_name = Some(String::new())),
    ];
    for (case, change) in refusals {
        let mut world = World::assistant();
        change(&mut world);
        assert_eq!(serving(&world), None, "{case}");
    }
}

#[test]
fn a_change_that_fails_leaves_what_serves() {
    let mut world = World::assistant().deployed([1, 1, 1]);
    model(&mut world).metadata.generation = Some(2);
    let status = model_status(&mut world);
    status.observed_generation = Some(2);
    status.conditions = vec![model_condition("Ready", "False", "DigestMismatch", "found a, expected b")];
    let kept = world.plan().serving.unwrap();
    assert_eq!(kept, plan_of(&World::assistant()).serving.unwrap(), "all of it, from the Deployment's own record");
    world.observed.model = None;
    assert_eq!(serving(&world).as_deref(), Some(DIGEST), "the model object itself may be gone");
}

fn plan_of(world: &World) -> Plan {
    world.plan()
}

#[test]
fn a_new_digest_replaces_the_old() {
    let mut world = World::assistant().deployed([1, 1, 1]);
    model_status(&mut world).digest = Some(OTHER_DIGEST.to_owned());
    let serving = world.plan().serving.unwrap();
    assert_eq!(serving.digest, OTHER_DIGEST);
    assert_eq!(serving.path, OTHER_DIGEST.replace(':', "-"));
}

#[test]
fn weights_on_somebodys_volume_are_served_where_they_lie() {
    let world = World::of(include_str!("../testdata/own-volume.yaml"));
    let serving = world.plan().serving.unwrap();
    assert_eq!((serving.claim_name.as_str(), serving.path.as_str()), ("team-models", "llama/8b-q4"));
}

/// Deleting the former inline model would take the volume from under pods that serve.
#[test]
fn a_former_inline_model_stays_while_its_volume_is_mounted() {
    let mut world = World::assistant().deployed([1, 1, 1]);
    world.object.spec.model = None;
    world.object.spec.model_name = Some("shared".to_owned());
    world.observed.model = None;
    assert!(world.plan().model.is_some(), "the Deployment still says that it serves it");
    let shared = World::of(include_str!("../testdata/network.yaml"));
    world.observed.model.clone_from(&shared.observed.model);
    world.apply();
    let mut old = serving_pod();
    old.pod.metadata.annotations.get_or_insert_default().insert(MODEL_CLAIM.to_owned(), "assistant-weights".to_owned());
    world.observed.pods = vec![old];
    assert!(world.plan().model.is_some(), "an old pod still mounts it");
    world.observed.pods.clear();
    assert!(world.plan().model.is_none(), "nobody needs it");
}

#[test]
fn certificates_are_judged_against_the_authority() {
    let authority = Arc::new(Authority::for_tests(now()));
    let mut world = World::assistant();
    world.observed.authority = Ok(Arc::clone(&authority));
    world.observed.leaf = None;
    let decide = |world: &World, at| plan(&world.valid().unwrap(), &world.observed, at).leaf;
    assert!(matches!(decide(&world, now()), LeafPlan::Issue { why: LeafVerdict::Missing, .. }));
    let leaf = authority.issue(&LeafNames::of("assistant", "team-a"), now()).unwrap();
    let bundle = authority.bundle_pem(now());
    let read = |bundle: &str| {
        let key = leaf.key_pem.expose().as_bytes();
        crate::authority::KnownLeaf::read(leaf.certificate_pem.as_bytes(), key, bundle.as_bytes())
    };
    world.observed.leaf = read(&Authority::for_tests(now()).bundle_pem(now()));
    assert!(
        matches!(decide(&world, now()), LeafPlan::Rebundle { fingerprint, bundle_pem }
            if fingerprint == leaf.fingerprint && bundle_pem == bundle),
        "the pods go on with their certificate"
    );
    world.observed.leaf = read(&bundle);
    assert!(matches!(decide(&world, now()), LeafPlan::Keep(kept) if kept == leaf.fingerprint));
    let later = now() + jiff::SignedDuration::from_hours(24 * 61);
    assert!(matches!(decide(&world, later), LeafPlan::Issue { why: LeafVerdict::Due, .. }));
    world.observed.authority = Err("no rights".to_owned());
    assert!(matches!(decide(&world, later), LeafPlan::Keep(_)), "without an authority what is there goes on");
    world.observed.leaf = None;
    let without = plan(&world.valid().unwrap(), &world.observed, now());
    assert!(matches!(without.leaf, LeafPlan::Lacking { running: None, .. }) && without.serving.is_none());
    let mut running = World::assistant().deployed([1, 1, 1]);
    (running.observed.leaf, running.observed.authority) = (None, Err("no rights".to_owned()));
    let without = plan(&running.valid().unwrap(), &running.observed, now());
    assert!(matches!(without.leaf, LeafPlan::Lacking { running: Some(_), .. }) && without.serving.is_some());
}

#[test]
fn looks_again_only_while_something_hangs() {
    let mut world = World::assistant().deployed([1, 1, 0]).with_pod(pod(LOADING));
    assert_eq!(world.plan().look_again, None);
    world.observed.pods[0].hangs = true;
    assert_eq!(world.plan().look_again, Some(LOOK_AGAIN));
    let mut world = World::assistant();
    (world.observed.leaf, world.observed.authority) = (None, Err("damaged".to_owned()));
    assert_eq!(world.plan().look_again, Some(LOOK_AGAIN), "until somebody has mended the authority");
}

proptest! {
    /// Carried out, a plan is the same again: steady state has nothing to do.
    #[test]
    fn reaches_a_fixed_point(
        replicas in 0..4i32,
        suspended in any::<bool>(),
        sealed in any::<bool>(),
        other in any::<bool>(),
        deployed in any::<bool>(),
    ) {
        let mut world = World::assistant();
        world.object.spec.replicas = Some(replicas);
        if suspended {
            world.object.spec.state = alcazar_crds::llm_deployment::DesiredState::Suspended;
        }
        if deployed {
            world = world.deployed([replicas, replicas, replicas]);
        }
        if other {
            model_status(&mut world).digest = Some(OTHER_DIGEST.to_owned());
        }
        if !sealed {
            model_status(&mut world).conditions.clear();
        }
        let first = world.plan();
        if first.serving.is_some() {
            world.apply();
        }
        let second = world.plan();
        prop_assert_eq!(&first.serving, &second.serving);
        prop_assert_eq!(&first.model, &second.model);
        prop_assert_eq!(second.look_again, None);
    }
}

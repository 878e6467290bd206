//! What is refused and with which words, and that nothing makes it panic.

use proptest::{
    prelude::{any, prop_assert},
    proptest,
};

use super::{Strategy, *};
use crate::controller::deployment::test_support::{World, now, settings};

/// The smallest deployment with another spec, refused.
fn refusal(spec: &str) -> String {
    refusal_with("", spec)
}

fn refusal_with(extra: &str, spec: &str) -> String {
    let mut world = World::assistant();
    world.settings = settings(extra);
    world.object.spec = serde_yaml::from_str(spec).unwrap();
    world.valid().expect_err(spec).to_string()
}

const MODEL: &str = "model: {source: {huggingFace: {repo: a/b, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac}}}";

#[test]
fn says_what_was_found_and_what_to_write() {
    for (spec, told) in [
        ("{}", "exactly one of model and modelName"),
        ("{modelName: assistant}", "the deployment's own name"),
        (&format!("{{{MODEL}, modelName: m}}"), "exactly one of model and modelName"),
        (&format!("{{{MODEL}, replicas: -1}}"), "spec.replicas is -1; it must be 0 to 1000"),
        (&format!("{{{MODEL}, resources: {{gpus: 1}}}}"), "runtimeCudaImage"),
        (&format!("{{{MODEL}, resources: {{cpu: lots}}}}"), "spec.resources.cpu is \"lots\""),
        (&format!("{{{MODEL}, resources: {{memory: '0'}}}}"), "for example 8Gi"),
        (
            &format!("{{{MODEL}, rollout: {{drainSeconds: 9999}}}}"),
            "spec.rollout.drainSeconds is 9999; it must be 0 to 3600",
        ),
        (&format!("{{{MODEL}, runtime: {{contextLength: 0}}}}"), "spec.runtime.contextLength is 0"),
        (&format!("{{{MODEL}, network: {{allowFrom: [{{podSelector: {{}}}}]}}}}"), "write access: {mode: Direct}"),
        (&format!("{{{MODEL}, privacy: {{promptLogging: Enabled}}}}"), "for how many days"),
        (
            &format!("{{{MODEL}, privacy: {{promptLogging: Enabled, retentionDays: 91}}}}"),
            "spec.privacy.retentionDays is 91; it must be 1 to 90",
        ),
        (
            &format!("{{{MODEL}, podTemplate: {{annotations: {{k8s.v1.cni.cncf.io/networks: open}}}}}}"),
            "must not have \"k8s.v1.cni.cncf.io/networks\"",
        ),
        (
            &format!(
                "{{{MODEL}, podTemplate: {{annotations: {{container.apparmor.security.beta.kubernetes.io/runtime: unconfined}}}}}}"
            ),
            "loosen what protects the pods",
        ),
    ] {
        let message = refusal(spec);
        assert!(message.contains(told), "{spec}: {message}");
    }
}

#[test]
fn required_isolation_needs_something_to_try() {
    let mut world = World::assistant();
    world.targets.named.clear();
    assert_eq!(world.valid().expect_err("there is no proof"), Error::NothingToProve);
    world.object.spec.network.isolation = IsolationMode::BestEffort;
    assert!(world.valid().is_ok());
}

#[test]
fn a_model_of_the_same_name_may_be_a_strangers() {
    let mut world = World::of(include_str!("../testdata/gpu.yaml"));
    world.settings = settings("runtimeCudaImage: cuda");
    world.object.metadata.name = Some("shared".to_owned());
    assert!(world.valid().is_ok(), "it is not ours");
}

#[test]
fn without_a_gateway_a_deployment_needs_direct_access() {
    let told = refusal_with("gateway: {enabled: false}", &format!("{{{MODEL}}}"));
    assert!(told.contains("no gateway") && told.contains("access: {mode: Direct}"), "{told}");
    let mut world = World::assistant();
    world.settings = settings("gateway: {enabled: false}");
    let invalid = world.valid().expect_err("there is no gateway");
    let refused = crate::controller::deployment::status::refused(&world.object, &invalid, now());
    for type_ in ["Accepted", "Ready", "Stalled"] {
        let found = crate::conditions::find(&refused.conditions, type_).map(|found| found.reason.clone());
        assert_eq!(found.as_deref(), Some("GatewayDisabled"), "{type_}");
    }
}

#[test]
fn gpus_decide_image_and_strategy() {
    let mut world = World::of(include_str!("../testdata/gpu.yaml"));
    world.settings = settings("runtimeCudaImage: cuda");
    let valid = world.valid().unwrap();
    assert_eq!((valid.image.as_str(), valid.strategy), ("cuda", Strategy::Drain));
    world.object.spec.resources = Resources { gpus: Some(0), ..Resources::default() };
    let valid = world.valid().unwrap();
    assert_eq!(
        (valid.image.as_str(), valid.strategy, valid.gpus),
        (world.settings.runtime_image.as_str(), Strategy::Surge, None)
    );
}

#[test]
fn suspended_means_no_pods_whatever_the_replicas() {
    let mut world = World::assistant();
    assert_eq!(world.valid().unwrap().replicas, 1, "one when nothing is said");
    world.object.spec.replicas = Some(5);
    assert_eq!(world.valid().unwrap().replicas, 5);
    world.object.spec.state = DesiredState::Suspended;
    assert_eq!(world.valid().unwrap().replicas, 0);
}

proptest! {
    /// Whatever a schema of another version let through: an answer, and one that can be built.
    #[test]
    fn never_panics(
        replicas in proptest::option::of(any::<i32>()),
        gpus in proptest::option::of(any::<i32>()),
        cpu in proptest::option::of("\\PC{0,12}"),
        memory in proptest::option::of("[0-9.eEkKMGTPi+-]{0,12}"),
        (deadline, drain) in any::<(i32, i32)>(),
        context in proptest::option::of(any::<i32>()),
        (key, value) in ("\\PC{0,40}", "\\PC{0,40}"),
        name in proptest::option::of("\\PC{0,60}"),
    ) {
        let mut world = World::assistant();
        let spec = &mut world.object.spec;
        if name.is_some() {
            (spec.model, spec.model_name) = (None, name);
        }
        spec.replicas = replicas;
        spec.resources.gpus = gpus;
        spec.resources.cpu = cpu.map(Quantity);
        spec.resources.memory = memory.map(Quantity);
        spec.rollout.progress_deadline_seconds = deadline;
        spec.rollout.drain_seconds = drain;
        spec.runtime.context_length = context;
        spec.pod_template.annotations.insert(key.clone(), value.clone());
        spec.pod_template.labels.insert(key, value);
        if let Ok(valid) = world.valid() {
            let built = crate::controller::deployment::build::build(&valid, &world.plan(), &World::tls());
            prop_assert!(serde_json::to_string(&built.deployments).is_ok());
        }
    }
}

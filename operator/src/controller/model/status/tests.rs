use alcazar_contract::report::{EncryptionFacts, FetchReason, ModelFacts, SignatureFacts};
use alcazar_crds::llm_model::LlmModelStatus;
use k8s_openapi::api::core::v1::PodStatus;

use super::*;
use crate::{
    conditions::{find, is_true},
    controller::model::tests::{DIGEST, OTHER_DIGEST, World, now},
    store::Key,
};

fn summary(status: &LlmModelStatus) -> String {
    let all = status.conditions.iter().map(|c| format!("{}={}:{}", c.type_, c.status, c.reason));
    all.collect::<Vec<_>>().join(" ")
}

fn of(world: &World) -> &LlmModelStatus {
    world.model.status.as_ref().unwrap()
}

#[test]
fn all_known_conditions_are_there_from_the_first_visit_on() {
    let status = first(&World::smol().model, now());
    assert_eq!(
        summary(&status),
        "Ready=Unknown:Pending Reconciling=True:Pending Accepted=Unknown:Pending VolumeBound=Unknown:Pending Sealed=Unknown:Pending"
    );
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn the_way_to_ready() {
    let mut world = World::smol();
    world.model.status = Some(first(&world.model, world.now));
    world.pass();
    let steps = summary(of(&world));
    assert_eq!(
        steps,
        "Ready=False:Pending Reconciling=True:Pending Accepted=True:Accepted VolumeBound=False:Pending Sealed=False:Pending"
    );
    world.pod_says(PodStatus { phase: Some("Running".into()), ..PodStatus::default() });
    world.observed.progress =
        Some(FetchStatus { done_bytes: 30, total_bytes: 100, bytes_per_second: 10, seconds_left: Some(7) });
    world.pass();
    let fetching = of(&world);
    assert_eq!(find(&fetching.conditions, "Ready").unwrap().reason, "Fetching");
    let progress = fetching.progress.as_ref().unwrap();
    assert_eq!((progress.percent, progress.seconds_left, progress.done_bytes), (Some(30), Some(7), 30));
    world.observed.progress.as_mut().unwrap().done_bytes = 100;
    world.pass();
    assert_eq!(find(&of(&world).conditions, "Ready").unwrap().reason, "Verifying");
    world.seals(DIGEST).pass();
    let sealed = of(&world);
    assert_eq!(
        summary(sealed),
        "Ready=True:Sealed Accepted=True:Accepted VolumeBound=False:Pending Sealed=True:Sealed"
    );
    assert_eq!(sealed.digest.as_deref(), Some(DIGEST));
    assert_eq!(
        (sealed.size_bytes, sealed.context_length, sealed.progress.as_ref()),
        (Some(98_362_432), Some(8192), None)
    );
    assert_eq!(sealed.claim_name.as_deref(), Some("smol-weights"));
    assert!(find(&sealed.conditions, "Ready").unwrap().message.contains(DIGEST));
}

/// The test's world holds every status against the schema.
#[test]
fn what_a_pod_says_is_cut_to_the_schema() {
    let mut world = World::smol();
    world.pass().pod_says(PodStatus { phase: Some("Running".into()), ..PodStatus::default() });
    let all = u64::MAX;
    world.observed.progress =
        Some(FetchStatus { done_bytes: all, total_bytes: 1, bytes_per_second: all, seconds_left: Some(all) });
    world.pass();
    assert_eq!(of(&world).progress.as_ref().and_then(|progress| progress.percent), Some(100));
    let facts = ModelFacts {
        digest: DIGEST.into(),
        path: "x".repeat(5000),
        size_bytes: all,
        format: "; ".repeat(99),
        architecture: "llama \n".repeat(99),
        parameter_count: all,
        context_length: all,
        signature: Some(SignatureFacts { key_id: Some("\n".into()), subject: Some("ü\t".repeat(2000)) }),
        encryption: Some(EncryptionFacts { recipient: "age1".repeat(2000) }),
    };
    world.says(facts.clone()).pass();
    assert_eq!((of(&world).format.clone(), of(&world).digest.as_deref()), (None, Some(DIGEST)));
    let mut world = World::smol();
    world.pass().says(ModelFacts { digest: "sha256:../../x".into(), ..facts }).pass();
    assert_eq!(find(&of(&world).conditions, "Ready").unwrap().reason, "FetchCrashed");
    assert_eq!(of(&world).digest, None);
}

#[test]
fn a_failing_change_leaves_what_was_sealed() {
    let mut world = World::smol();
    world.pass().after(60).seals(DIGEST).pass();
    world.edit(|spec| spec.digest = Some(OTHER_DIGEST.into())).pass();
    assert!(!is_true(&of(&world).conditions, "Ready"), "Ready speaks of the spec as it is now");
    world.after(60).fails(FetchReason::DigestMismatch, &format!("found {DIGEST}, expected {OTHER_DIGEST}")).pass();
    let status = of(&world);
    assert_eq!(
        summary(status),
        "Ready=False:DigestMismatch Stalled=True:DigestMismatch Accepted=True:Accepted VolumeBound=False:Pending Sealed=False:DigestMismatch"
    );
    assert_eq!(status.digest.as_deref(), Some(DIGEST));
    let message = &find(&status.conditions, "Ready").unwrap().message;
    assert!(message.contains(OTHER_DIGEST) && message.contains("stay and serve on"), "{message}");
    world.edit(|spec| spec.digest = Some(DIGEST.into())).pass().after(60).seals(DIGEST).pass();
    assert!(is_true(&of(&world).conditions, "Ready"));
    assert!(find(&of(&world).conditions, "Stalled").is_none());
}

#[test]
fn a_spec_that_cannot_work_is_stalled_and_keeps_what_was_sealed() {
    let mut world = World::smol();
    world.pass().after(60).seals(DIGEST).pass();
    world.edit(|spec| spec.source.hugging_face.as_mut().unwrap().endpoint = Some("file:///x".into()));
    let status = refused(&world.model, &world.valid().unwrap_err(), now());
    assert_eq!(
        summary(&status),
        "Ready=False:SourceNotAllowed Stalled=True:SourceNotAllowed Accepted=False:SourceNotAllowed VolumeBound=Unknown:Pending Sealed=False:SourceNotAllowed"
    );
    assert_eq!((status.digest.as_deref(), status.observed_generation), (Some(DIGEST), Some(2)));
}

#[test]
fn what_may_pass_is_reconciling_and_what_may_not_is_stalled() {
    for (reason, stalled) in [
        (FetchReason::SourceUnreachable, false),
        (FetchReason::SourceNotResolved, false),
        (FetchReason::VolumeFailed, false),
        (FetchReason::SourceUnauthorized, true),
        (FetchReason::VolumeFull, true),
        (FetchReason::InvalidModel, true),
    ] {
        let mut world = World::smol();
        world.pass().fails(reason, "why").pass();
        let conditions = &of(&world).conditions;
        assert_eq!(is_true(conditions, "Stalled"), stalled, "{reason:?}");
        assert_eq!(is_true(conditions, "Reconciling"), !stalled, "{reason:?}");
        assert_eq!(find(conditions, "Ready").unwrap().reason, reason.as_str());
    }
}

#[test]
fn refusals_of_the_api_server() {
    let refusal = |kind: &str, code: u16, message: &str| {
        let status = kube::core::Status { code, message: message.into(), ..kube::core::Status::default() };
        let source = Box::new(kube::Error::Api(Box::new(status)));
        apply::Error::Request { action: "apply", kind: kind.into(), key: Key::new("team", "x"), source }
    };
    for (failure, reason) in [
        (
            refusal("PersistentVolumeClaim", 403, "forbidden: exceeded quota: q, requested: requests.storage=20Gi"),
            Some(Reason::QuotaExceeded),
        ),
        (
            refusal("PersistentVolumeClaim", 403, "only dynamically provisioned pvc can be resized"),
            Some(Reason::ResizeFailed),
        ),
        (refusal("Job", 403, "admission webhook denied the request"), Some(Reason::PodRefused)),
        (refusal("Job", 500, "etcd"), None),
        (refusal("ServiceAccount", 409, "changed"), None),
        (
            apply::Error::NameConflict {
                kind: "ServiceAccount".into(),
                key: Key::new("team", "m-fetch"),
                holder: "ConfigMap x".into(),
            },
            Some(Reason::NameConflict),
        ),
    ] {
        let trouble = trouble(&failure);
        assert_eq!(trouble.as_ref().map(|trouble| trouble.reason), reason, "{failure}");
        if let Some(trouble) = trouble {
            let mut world = World::smol();
            world.pass();
            let status = world.status(Some(&trouble));
            assert_eq!(find(&status.conditions, "Ready").unwrap().reason, trouble.reason.as_str());
        }
    }
}

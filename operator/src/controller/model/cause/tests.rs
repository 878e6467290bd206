use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, PersistentVolumeClaimStatus, PodStatus};

use super::{
    outcome::{retry, shown},
    *,
};
use crate::controller::model::tests::{World, claim, now};

fn warning(reason: &str, message: &str) -> Warning {
    Warning { reason: reason.into(), message: message.into() }
}

#[test]
fn every_reason_of_the_runtime_is_one_of_ours() {
    for reason in crate::controller::model::tests::REASONS {
        assert_eq!(shown(reason).as_str(), reason.as_str());
        assert_eq!(retry(reason) == Retry::Soon, reason.is_transient(), "{reason:?}");
    }
}

#[test]
fn a_pod_that_ends_without_a_report() {
    let mut oom = World::smol();
    oom.pass().crashes("OOMKilled", None);
    let mut crashed = World::smol();
    crashed.pass().crashes("Error", Some("thread 'main' panicked\n"));
    let mut silent = World::smol();
    silent.pass().crashes("Error", None);
    let mut evicted = World::smol();
    evicted.pass().pod_says(PodStatus {
        reason: Some("Evicted".into()),
        message: Some("low on memory".into()),
        ..Default::default()
    });
    evicted.job_ends("Failed");
    let mut gone = World::smol();
    gone.pass().job_ends("Failed");
    for (world, reason, words) in [
        (oom, Reason::OutOfMemory, "more memory than its limit"),
        (crashed, Reason::FetchCrashed, "exit code 137: thread 'main' panicked"),
        (silent, Reason::FetchCrashed, "see the pod's log"),
        (evicted, Reason::Evicted, "low on memory"),
        (gone, Reason::FetchCrashed, "the Job failed"),
    ] {
        let Outcome::Failed { trouble, retry, .. } =
            outcome(world.observed.job.as_ref().unwrap(), world.observed.pod.as_ref())
        else {
            unreachable!()
        };
        assert_eq!((trouble.reason, retry), (reason, Retry::Soon));
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
}

#[test]
fn what_a_pending_claim_says() {
    for (event, reason, words) in [
        (
            warning("ProvisioningFailed", "storageclass.storage.k8s.io \"fast\" not found"),
            Reason::StorageClassMissing,
            "does not exist; create it",
        ),
        (
            warning("FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
            Reason::StorageClassMissing,
            "has no default one",
        ),
        (warning("ProvisioningFailed", "failed to provision: out of space"), Reason::ClaimPending, "out of space"),
    ] {
        let mut observed = Observed { claim: Some(claim("c", now())), ..Observed::default() };
        observed.claim.as_mut().unwrap().status = None;
        observed.warnings.claim = Some(event);
        let trouble = of_claim(&observed).unwrap_err();
        assert_eq!(trouble.reason, reason);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    let mut waits = Observed { claim: Some(claim("c", now())), ..Observed::default() };
    assert_eq!(of_claim(&waits), Ok(Reason::VolumeBound));
    waits.claim.as_mut().unwrap().status = None;
    assert_eq!(of_claim(&waits), Ok(Reason::Pending));
    waits.warnings.claim =
        Some(warning("WaitForFirstConsumer", "waiting for first consumer to be created before binding"));
    assert_eq!(of_claim(&waits), Ok(Reason::WaitingForConsumer));
    waits.claim.as_mut().unwrap().status =
        Some(PersistentVolumeClaimStatus { phase: Some("Lost".into()), ..PersistentVolumeClaimStatus::default() });
    assert_eq!(of_claim(&waits).unwrap_err().reason, Reason::ClaimLost);
}

#[test]
fn what_keeps_a_job_from_going_on() {
    let pod = |reason: &str, message: &str| {
        let mut world = World::smol();
        let waiting = ContainerStateWaiting { reason: Some(reason.into()), message: Some(message.into()) };
        let state = Some(ContainerState { waiting: Some(waiting), ..ContainerState::default() });
        world.pass().pod_says(PodStatus {
            phase: Some("Pending".into()),
            container_statuses: Some(vec![ContainerStatus {
                name: "fetch".into(),
                state,
                ..ContainerStatus::default()
            }]),
            ..PodStatus::default()
        });
        world
    };
    let mut unscheduled = World::smol();
    unscheduled.pass().pod_says(PodStatus {
        phase: Some("Pending".into()),
        conditions: Some(vec![PodCondition {
            type_: "PodScheduled".into(),
            status: "False".into(),
            reason: Some("Unschedulable".into()),
            message: Some("0/3 nodes are available: 3 Insufficient memory".into()),
            ..PodCondition::default()
        }]),
        ..PodStatus::default()
    });
    let mut no_class = unscheduled.clone();
    no_class.observed.warnings.claim =
        Some(warning("ProvisioningFailed", "storageclass.storage.k8s.io \"x\" not found"));
    let mut quota = World::smol();
    quota.pass().observed.warnings.job = Some(warning(
        "FailedCreate",
        "Error creating: pods \"x\" is forbidden: exceeded quota: q, requested: limits.cpu=2",
    ));
    let mut refused = World::smol();
    refused.pass().observed.warnings.job =
        Some(warning("FailedCreate", "Error creating: pods \"x\" is forbidden: violates PodSecurity"));
    let mut mount = pod("ContainerCreating", "");
    mount.observed.warnings.pod = Some(warning("FailedMount", "MountVolume.SetUp failed: secret \"t\" not found"));
    for (world, reason, words) in [
        (unscheduled, Reason::Unschedulable, "Insufficient memory"),
        (no_class, Reason::StorageClassMissing, "does not exist"),
        (quota, Reason::QuotaExceeded, "the Job goes on by itself"),
        (refused, Reason::PodRefused, "violates PodSecurity"),
        (mount, Reason::MountFailed, "secret \"t\" not found"),
        (pod("ImagePullBackOff", "Back-off pulling image"), Reason::ImagePullFailed, "Back-off"),
        (pod("CreateContainerConfigError", "runAsNonRoot"), Reason::MountFailed, "runAsNonRoot"),
    ] {
        let trouble = of_running(&world.observed).unwrap();
        assert_eq!(trouble.reason, reason);
        assert!(trouble.message.contains(words), "{}", trouble.message);
    }
    assert_eq!(of_running(&pod("ContainerCreating", "").observed), None);
    assert_eq!(of_running(&World::smol().pass().observed), None);
}

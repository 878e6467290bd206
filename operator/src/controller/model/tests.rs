//! A world for the pure steps: a model from YAML, and a cluster that takes what is built as Kubernetes would. The golden
//! manifests: an LlmModel in, everything that is built for it out.

use std::collections::BTreeMap;

use alcazar_contract::report::{FetchFailure, FetchReason, ModelFacts, Report};
use alcazar_crds::llm_model::{LlmModel, LlmModelStatus};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::{
            ContainerState, ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim,
            PersistentVolumeClaimStatus, Pod, PodStatus,
        },
    },
    apimachinery::pkg::{apis::meta::v1::Time, util::intstr::IntOrString},
};
use kube::api::ObjectMeta;

use super::{
    build::{Recorded, Site, build},
    cause::Trouble,
    observe::reach::{Peer, Reach, Unreachable},
    observe::{Observed, SecretSeen},
    plan::{Next, Plan, next, plan},
    status::{self, Seen},
    validate::{Invalid, ValidatedModel, Work, validate},
};
use crate::{
    bounds::tests::refusals,
    children::{Prepared, Resources},
    secrets::SecretKeys,
    settings::Settings,
};

pub(crate) const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const OTHER_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// All that a fetch can fail with.
pub(crate) const REASONS: [FetchReason; 16] = [
    FetchReason::SourceUnauthorized,
    FetchReason::SourceForbidden,
    FetchReason::SourceNotFound,
    FetchReason::SourceNotResolved,
    FetchReason::SourceUnreachable,
    FetchReason::SourceNotAllowed,
    FetchReason::DigestMismatch,
    FetchReason::SignatureMissing,
    FetchReason::SignatureInvalid,
    FetchReason::KeyMissing,
    FetchReason::KeyInvalid,
    FetchReason::InvalidModel,
    FetchReason::UnsupportedModel,
    FetchReason::VolumeFull,
    FetchReason::VolumeFailed,
    FetchReason::InvalidSource,
];

pub(crate) fn settings() -> Settings {
    serde_yaml::from_str(
        "{runtimeImage: 'registry.example.com/runtime:1', allowedHosts: [hub.hub.svc], propagatedLabels: [team]}",
    )
    .unwrap()
}

pub(crate) fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

/// What a pass sees, and what it leaves behind.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) model: Box<LlmModel>,
    pub(crate) observed: Box<Observed>,
    pub(crate) settings: Settings,
    pub(crate) reach: Result<Reach, Unreachable>,
    pub(crate) now: Timestamp,
    /// Jobs made so far.
    pub(crate) n_jobs: u32,
}

impl World {
    pub(crate) fn of(fixture: &str) -> Self {
        let mut model: LlmModel = serde_yaml::from_str(fixture).unwrap();
        model.metadata.uid = Some("8f2d1f9e-0000-4000-8000-000000000001".to_owned());
        model.metadata.generation = Some(1);
        let found = SecretKeys { version: "u/1".into(), keys: ["token".to_owned()].into() };
        let named = fixture.contains("SecretName");
        let found_with = |entry: &str| SecretKeys { version: "u/1".into(), keys: [entry.to_owned()].into() };
        let key = |name: &str, entry: &str| {
            if fixture.contains(name) { SecretSeen::Found(found_with(entry)) } else { SecretSeen::NotNamed }
        };
        let named_claim = model.spec.source.persistent_volume_claim.is_some().then(|| claim("team-models", now()));
        let selector = BTreeMap::from([("app".to_owned(), "hub".to_owned())]);
        let service = Peer::Pods { namespace: "hub".into(), selector, port: IntOrString::Int(8080) };
        let addresses = Peer::Cidrs { cidrs: vec!["203.0.113.9/32".parse().unwrap()], port: 443 };
        let peer = if fixture.contains("hub.hub.svc") { service } else { addresses };
        Self {
            model: Box::new(model),
            observed: Box::new(Observed {
                secret: if named { SecretSeen::Found(found) } else { SecretSeen::NotNamed },
                signature_key: key("publicKeySecretName", "public.pem"),
                encryption_key: key("keySecretName", "key"),
                claim: named_claim,
                ..Observed::default()
            }),
            settings: settings(),
            reach: Ok(Reach { peers: vec![peer], dns: true }),
            now: now(),
            n_jobs: 0,
        }
    }

    /// `smol`, from the hub, not fetched yet.
    pub(crate) fn smol() -> Self {
        Self::of(include_str!("testdata/hugging-face.yaml"))
    }

    pub(crate) fn valid(&self) -> Result<ValidatedModel, Invalid> {
        validate(&self.model, self.observed.own_claim.as_ref(), &self.settings)
    }

    pub(crate) fn next(&self) -> Next {
        next(&self.model, &self.valid().unwrap(), &self.observed, &self.settings.runtime_image, self.now)
    }

    pub(crate) fn plan(&self) -> Plan {
        let (valid, next) = (self.valid().unwrap(), self.next());
        let begins = matches!((&next, &valid.work), (Next::Begin(_), Work::Fetch { .. }));
        plan(&valid, &self.model, &self.observed, next, begins.then(|| self.reach.clone()))
    }

    pub(crate) fn build(&self) -> Resources<Prepared> {
        let site = Site { settings: &self.settings, operator_namespace: "alcazar-system" };
        build(&self.valid().unwrap(), &self.plan(), self.observed.own_claim.as_ref(), site)
    }

    pub(crate) fn status(&self, trouble: Option<&Trouble>) -> LlmModelStatus {
        let (valid, plan) = (self.valid().unwrap(), self.plan());
        let seen = Seen { model: &self.model, valid: &valid, plan: &plan, observed: &self.observed, trouble };
        let status = status::compute(seen, self.now);
        assert_eq!(refusals("llmmodels", &status), Vec::<String>::new());
        status
    }

    /// One whole pass: build, keep what was built, write the status.
    pub(crate) fn pass(&mut self) -> &mut Self {
        let plan = self.plan();
        let Resources { claims, jobs, .. } = self.build();
        self.observed.recorded = Some(Recorded { id: plan.recorded.id.clone(), reach: plan.recorded.reach.clone() });
        let made = Some(Time(self.now));
        self.observed.own_claim = claims.into_iter().next().map(|claim| {
            let old = self.observed.own_claim.take();
            let status = old.as_ref().and_then(|old| old.status.clone());
            let creation_timestamp = old.and_then(|old| old.metadata.creation_timestamp).or_else(|| made.clone());
            PersistentVolumeClaim { metadata: ObjectMeta { creation_timestamp, ..claim.metadata }, status, ..claim }
        });
        if self.model.spec.source.persistent_volume_claim.is_none() {
            self.observed.claim = self.observed.own_claim.clone();
        }
        self.take_job(jobs.into_iter().next());
        let plan_again = self.plan();
        let (valid, observed) = (self.valid().unwrap(), &self.observed);
        let seen = Seen { model: &self.model, valid: &valid, plan: &plan_again, observed, trouble: None };
        self.model.status = Some(status::compute(seen, self.now));
        self
    }

    /// A Job of the same name and attempt stays as it is, another one replaces it.
    fn take_job(&mut self, built: Option<Job>) {
        let same = |old: &Job, new: &Job| {
            old.metadata.name == new.metadata.name && old.metadata.annotations == new.metadata.annotations
        };
        match (self.observed.job.take(), built) {
            (Some(old), Some(new)) if same(&old, &new) => self.observed.job = Some(old),
            (_, Some(mut new)) => {
                self.n_jobs += 1;
                new.metadata.uid = Some(format!("job-{}", self.n_jobs));
                new.metadata.creation_timestamp = Some(Time(self.now));
                self.observed.job = Some(new);
                self.observed.pod = None;
            }
            (_, None) => self.observed.pod = None,
        }
    }

    /// The Job's pod, as the kubelet reports it.
    pub(crate) fn pod_says(&mut self, status: PodStatus) -> &mut Self {
        let meta =
            ObjectMeta { name: Some("pod".into()), creation_timestamp: Some(Time(self.now)), ..ObjectMeta::default() };
        self.observed.pod = Some(Pod { metadata: meta, status: Some(status), ..Pod::default() });
        self
    }

    fn ends(&mut self, condition: &str, ended: ContainerStateTerminated) -> &mut Self {
        let state = Some(ContainerState { terminated: Some(ended), ..ContainerState::default() });
        let phase = if condition == "Complete" { "Succeeded" } else { "Failed" };
        self.pod_says(PodStatus {
            phase: Some(phase.to_owned()),
            container_statuses: Some(vec![ContainerStatus {
                name: "fetch".into(),
                state,
                ..ContainerStatus::default()
            }]),
            ..PodStatus::default()
        });
        self.job_ends(condition)
    }

    pub(crate) fn job_ends(&mut self, condition: &str) -> &mut Self {
        let moment = Some(Time(self.now));
        self.observed.job.as_mut().unwrap().status = Some(JobStatus {
            conditions: Some(vec![JobCondition {
                type_: condition.to_owned(),
                status: "True".to_owned(),
                last_transition_time: moment,
                ..JobCondition::default()
            }]),
            ..JobStatus::default()
        });
        self
    }

    pub(crate) fn seals(&mut self, digest: &str) -> &mut Self {
        let facts = ModelFacts {
            digest: digest.to_owned(),
            path: digest.replace(':', "-"),
            size_bytes: 98_362_432,
            format: "GGUF".into(),
            architecture: "llama".into(),
            parameter_count: 134_515_008,
            context_length: 8192,
            ..ModelFacts::default()
        };
        self.says(facts)
    }

    /// The attempt ends well, with these words.
    pub(crate) fn says(&mut self, facts: ModelFacts) -> &mut Self {
        let message = serde_json::to_string(&Report::Sealed(facts)).unwrap();
        self.ends(
            "Complete",
            ContainerStateTerminated { message: Some(message), ..ContainerStateTerminated::default() },
        )
    }

    pub(crate) fn fails(&mut self, reason: FetchReason, message: &str) -> &mut Self {
        let report = Report::Failed(FetchFailure { reason, message: message.to_owned() });
        let message = Some(serde_json::to_string(&report).unwrap());
        self.ends("Failed", ContainerStateTerminated { exit_code: 1, message, ..ContainerStateTerminated::default() })
    }

    pub(crate) fn crashes(&mut self, reason: &str, message: Option<&str>) -> &mut Self {
        let ended = ContainerStateTerminated {
            exit_code: 137,
            reason: Some(reason.to_owned()),
            message: message.map(str::to_owned),
            ..ContainerStateTerminated::default()
        };
        self.ends("Failed", ended)
    }

    pub(crate) fn after(&mut self, seconds: i64) -> &mut Self {
        self.now += jiff::SignedDuration::from_secs(seconds);
        self
    }

    /// The spec changed.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut alcazar_crds::llm_model::LlmModelSpec)) -> &mut Self {
        change(&mut self.model.spec);
        *self.model.metadata.generation.as_mut().unwrap() += 1;
        let id = super::validate::id(&self.model.spec);
        // Another name, another Job: the old one is an orphan.
        if self.observed.job.as_ref().is_some_and(|job| !job.metadata.name.as_ref().unwrap().ends_with(&id)) {
            self.observed.job = None;
            self.observed.pod = None;
        }
        self
    }
}

pub(crate) fn claim(name: &str, made: Timestamp) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(name.into()), creation_timestamp: Some(Time(made)), ..ObjectMeta::default() },
        status: Some(PersistentVolumeClaimStatus {
            phase: Some("Bound".into()),
            ..PersistentVolumeClaimStatus::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

/// All built objects as one YAML stream.
fn check(name: &str, fixture: &str) {
    let Resources {
        models,
        service_accounts,
        secrets,
        claims,
        network_policies,
        cilium_policies,
        services,
        disruption_budgets,
        jobs,
        deployments,
        state: _,
    } = World::of(fixture).build();
    assert!(models.is_empty() && secrets.is_empty() && services.is_empty());
    assert!(disruption_budgets.is_empty() && deployments.is_empty());
    let mut text = String::new();
    let add = |value: serde_json::Value| {
        text.push_str("---\n");
        text.push_str(&serde_yaml::to_string(&value).unwrap());
    };
    let accounts = service_accounts.iter().map(|object| serde_json::to_value(object).unwrap());
    let claims = claims.iter().map(|object| serde_json::to_value(object).unwrap());
    let policies = network_policies.iter().map(|object| serde_json::to_value(object).unwrap());
    let by_name = cilium_policies.iter().map(|object| serde_json::to_value(object).unwrap());
    let jobs = jobs.iter().map(|object| serde_json::to_value(object).unwrap());
    accounts.chain(claims).chain(policies).chain(by_name).chain(jobs).for_each(add);
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn golden_manifests() {
    check("hugging-face", include_str!("testdata/hugging-face.yaml"));
    check("mirror-with-token", include_str!("testdata/mirror-with-token.yaml"));
    check("http", include_str!("testdata/http.yaml"));
    check("claim", include_str!("testdata/claim.yaml"));
    check("protected", include_str!("testdata/protected.yaml"));
    check("protected-claim", include_str!("testdata/protected-claim.yaml"));
    check("retained", include_str!("testdata/retained.yaml"));
}

//! Fixtures shared by the tests of the pure steps: a deployment from YAML and a cluster that answers as Kubernetes does.

use std::sync::{Arc, LazyLock};

use alcazar_contract::{
    isolation::{Target, TargetKind},
    status::{Isolation, ServeStatus},
};
use alcazar_crds::{llm_deployment::LlmDeployment, llm_model::LlmModel};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentCondition, DeploymentStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::ResourceExt as _;
use serde::Deserialize;

use super::{
    build::{Tls, build},
    observe::{Observed, ObservedPod, targets::Targets},
    plan::{Plan, plan},
    reports::{Answers, DoorTried, Report},
    status::{self, Seen, cause::Cause},
    validate::{Error, Site, ValidatedDeployment, validate},
};
use crate::{
    authority::{Authority, KnownLeaf, LeafNames},
    bounds::tests::refusals,
    conditions::find,
    settings::Settings,
};

pub(crate) const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const OTHER_DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
static AUTHORITY: LazyLock<Arc<Authority>> = LazyLock::new(|| Arc::new(Authority::for_tests(now())));
const FINGERPRINT: &str = "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899";

pub(crate) fn now() -> Timestamp {
    "2026-11-23T08:00:00Z".parse().unwrap()
}

pub(crate) fn settings(extra: &str) -> Settings {
    serde_yaml::from_str(&format!("runtimeImage: registry.example/alcazar/runtime:0.1.0\n{extra}")).unwrap()
}

/// What the pods of the fixtures try.
pub(crate) fn targets() -> Targets {
    let named = ["Canary=10.96.4.4:8083", "ApiServer=10.96.0.1:443", "Metadata=169.254.169.254:80"];
    Targets {
        named: named.map(|text| text.parse().unwrap()).into(),
        node_ports: vec![(TargetKind::Kubelet, 10_250), (TargetKind::ApiServer, 6443)],
    }
}

/// The inputs of one pass. `fixture` holds an LlmDeployment and, if it is to have one, its LlmModel.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) targets: Targets,
    pub(crate) object: LlmDeployment,
    pub(crate) observed: Observed,
}

impl World {
    pub(crate) fn of(fixture: &str) -> Self {
        let mut observed = Observed {
            model: None,
            own_model: None,
            deployment: None,
            pods: Vec::new(),
            leaf: None,
            authority: Ok(Arc::clone(&AUTHORITY)),
            canary: Answers::Yes,
        };
        let mut object = None;
        for document in serde_yaml::Deserializer::from_str(fixture) {
            let value = serde_json::Value::deserialize(document).unwrap();
            match value["kind"].as_str() {
                Some("LlmDeployment") => object = Some(serde_json::from_value::<LlmDeployment>(value).unwrap()),
                Some("LlmModel") => observed.model = Some(serde_json::from_value::<LlmModel>(value).unwrap()),
                other => panic!("{other:?} in a fixture"),
            }
        }
        let mut object = object.expect("the fixture should have an LlmDeployment");
        object.metadata.uid = Some("8f2d1f9e-0000-4000-8000-000000000001".to_owned());
        object.metadata.generation = Some(1);
        if object.spec.model.is_some() {
            observed.own_model.clone_from(&observed.model);
        }
        let names = LeafNames::of(&object.name_any(), &object.namespace().unwrap_or_default());
        let leaf = AUTHORITY.issue(&names, now()).unwrap();
        let (key, ca) = (leaf.key_pem.expose().as_bytes(), AUTHORITY.bundle_pem(now()));
        observed.leaf = KnownLeaf::read(leaf.certificate_pem.as_bytes(), key, ca.as_bytes());
        Self { settings: settings(""), targets: targets(), object, observed }
    }

    /// `assistant`, whose model of 98 MB is sealed.
    pub(crate) fn assistant() -> Self {
        Self::of(include_str!("testdata/smallest.yaml"))
    }

    /// Gives the deployment the sealed model of `assistant`, under the name that it asks for.
    pub(crate) fn has_sealed_model(&mut self) {
        let mut model = Self::assistant().observed.model.expect("the fixture should have an LlmModel");
        let name = self.object.spec.model_name.clone().unwrap_or_else(|| self.object.name_any());
        model.metadata.name = Some(name);
        model.metadata.namespace = self.object.namespace();
        if self.object.spec.model.is_some() {
            self.observed.own_model = Some(model.clone());
        }
        self.observed.model = Some(model);
    }

    pub(crate) fn valid(&self) -> Result<ValidatedDeployment, Error> {
        let site =
            Site { settings: &self.settings, isolation_targets: &self.targets, operator_namespace: "alcazar-system" };
        validate(&self.object, &self.observed, site)
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.valid().unwrap(), &self.observed, now())
    }

    pub(crate) fn tls() -> Tls {
        Tls { fingerprint: FINGERPRINT.to_owned(), issued: None }
    }

    /// What the API server would hold after an apply.
    pub(crate) fn apply(&mut self) -> &mut Deployment {
        let built = build(&self.valid().unwrap(), &self.plan(), &Self::tls());
        let mut deployment = built.deployments.into_iter().next().expect("there should be a Deployment");
        deployment.metadata.generation = Some(1);
        deployment.status = self.observed.deployment.take().and_then(|old| old.status);
        self.observed.deployment.insert(deployment)
    }

    /// A Deployment of which so many pods are there, new and ready.
    pub(crate) fn deployed(mut self, counts: [i32; 3]) -> Self {
        let [replicas, updated, ready] = counts.map(Some);
        self.apply().status = Some(DeploymentStatus {
            observed_generation: Some(1),
            replicas,
            updated_replicas: updated,
            ready_replicas: ready,
            available_replicas: ready,
            ..DeploymentStatus::default()
        });
        self
    }

    /// A condition on the Deployment.
    pub(crate) fn deployment_says(mut self, type_: &str, status: &str, reason: &str, message: &str) -> Self {
        let deployment = self.observed.deployment.as_mut().unwrap();
        deployment.status.get_or_insert_default().conditions.get_or_insert_default().push(DeploymentCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            ..DeploymentCondition::default()
        });
        self
    }

    pub(crate) fn with_pod(mut self, pod: ObservedPod) -> Self {
        self.observed.pods.push(pod);
        self
    }

    pub(crate) fn seen<'a>(&'a self, valid: &'a ValidatedDeployment, plan: &'a Plan) -> Seen<'a> {
        Seen {
            object: &self.object,
            valid,
            observed: &self.observed,
            plan,
            model: self.observed.model.as_ref(),
            deployment: self.observed.deployment.as_ref(),
            trouble: None,
        }
    }

    /// The status after a pass, kept as the object's own.
    pub(crate) fn report(&mut self) -> Told {
        self.report_with(None)
    }

    pub(crate) fn report_with(&mut self, trouble: Option<&Cause>) -> Told {
        let (valid, plan) = (self.valid().unwrap(), self.plan());
        let status = status::compute(Seen { trouble, ..self.seen(&valid, &plan) }, now());
        assert_eq!(refusals("llmdeployments", &status), Vec::<String>::new());
        self.object.status = Some(status.clone());
        Told(status)
    }
}

/// A status with short questions.
#[derive(Debug, PartialEq)]
pub(crate) struct Told(pub(crate) alcazar_crds::llm_deployment::LlmDeploymentStatus);

impl Told {
    /// `status/reason` of a condition; `-` when it is not there.
    pub(crate) fn of(&self, type_: &str) -> String {
        find(&self.0.conditions, type_).map_or_else(|| "-".to_owned(), |c| format!("{}/{}", c.status, c.reason))
    }

    pub(crate) fn message(&self, type_: &str) -> &str {
        find(&self.0.conditions, type_).map_or("", |condition| &condition.message)
    }

    /// As kstatus sees it.
    pub(crate) fn health(&self, generation: i64) -> &'static str {
        let is = |type_: &str| find(&self.0.conditions, type_).is_some_and(|condition| condition.status == "True");
        if self.0.observed_generation != Some(generation) || is("Reconciling") {
            "InProgress"
        } else if is("Stalled") {
            "Failed"
        } else if is("Ready") {
            "Current"
        } else {
            "InProgress"
        }
    }
}

/// A condition of a model.
pub(crate) fn model_condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: Some(1),
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()),
    }
}

/// A pod of `assistant` with the given status, as YAML.
pub(crate) fn pod(status: &str) -> ObservedPod {
    pod_named("assistant-7d9c5b8f6d-abcde", status)
}

pub(crate) fn pod_named(name: &str, status: &str) -> ObservedPod {
    let mut pod: Pod = serde_yaml::from_str(
        "metadata: {namespace: team-a, labels: {alcazar.dev/deployment: assistant}}\nspec: {nodeName: node-1, containers: []}",
    )
    .unwrap();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.uid = Some(format!("uid-of-{name}"));
    pod.metadata.annotations = Some([("alcazar.dev/model-digest".to_owned(), DIGEST.to_owned())].into());
    pod.status = Some(serde_yaml::from_str(status).unwrap());
    ObservedPod { pod, report: Report::Silent, door: DoorTried::NotYet, hangs: false, warning: None }
}

/// A pod that serves, and has told so.
pub(crate) fn serving_pod() -> ObservedPod {
    ObservedPod { report: told(isolated()), door: DoorTried::Shut, ..pod(READY) }
}

pub(crate) const READY: &str = "
phase: Running
startTime: 2026-11-23T07:00:00Z
conditions:
- {type: PodScheduled, status: 'True', lastTransitionTime: 2026-11-23T07:00:00Z}
- {type: Ready, status: 'True', lastTransitionTime: 2026-11-23T07:00:10Z}
containerStatuses:
- {name: runtime, ready: true, started: true, restartCount: 0, image: i, imageID: i, state: {running: {startedAt: 2026-11-23T07:00:02Z}}}
";

pub(crate) const LOADING: &str = "
phase: Running
startTime: 2026-11-23T07:59:00Z
conditions:
- {type: PodScheduled, status: 'True', lastTransitionTime: 2026-11-23T07:59:00Z}
- {type: Ready, status: 'False', reason: ContainersNotReady, lastTransitionTime: 2026-11-23T07:59:00Z}
containerStatuses:
- {name: runtime, ready: false, started: false, restartCount: 0, image: i, imageID: i, state: {running: {startedAt: 2026-11-23T07:59:01Z}}}
";

pub(crate) fn told(status: ServeStatus) -> Report {
    Report::Told(Arc::new(status))
}

/// What a pod that serves behind a firewall tells.
pub(crate) fn isolated() -> ServeStatus {
    ServeStatus {
        ready: true,
        digest: DIGEST.to_owned(),
        device: "CPU".to_owned(),
        layers_offloaded: 30,
        layers_total: 30,
        load_milliseconds: 1480,
        prefill_tokens_per_second: 1234,
        decode_tokens_per_second: 57,
        isolation: Some(Isolation {
            blocked_rounds: 9,
            reached: Vec::new(),
            tried: targets().named,
            seconds_since_last_round: 4,
        }),
        ..ServeStatus::default()
    }
}

/// What a pod that reached the API server tells.
pub(crate) fn not_isolated(ready: bool) -> ServeStatus {
    ServeStatus {
        ready,
        reason: if ready { String::new() } else { "IsolationBroken".to_owned() },
        isolation: Some(Isolation {
            blocked_rounds: 0,
            reached: vec![Target::tcp(TargetKind::ApiServer, "10.96.0.1:443")],
            tried: targets().named,
            seconds_since_last_round: 1,
        }),
        ..isolated()
    }
}

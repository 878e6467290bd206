use serde_json::{Value, json};

use super::*;

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object of the API")
}

fn key(namespace: &str, name: &str, made: &str, spec: &Value, status: &Value) -> (Name, LlmApiKey) {
    let object = from(json!({
        "apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmApiKey",
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": made},
        "spec": spec, "status": status,
    }));
    (Name::new(namespace, name), object)
}

fn deployment(name: &str, spec: &Value) -> (Name, LlmDeployment) {
    let object = from(json!({
        "apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmDeployment",
        "metadata": {"namespace": "team-a", "name": name},
        "spec": spec, "status": {"modelDigest": "sha256:00"},
    }));
    (Name::new("team-a", name), object)
}

fn slice(namespace: &str, service: &str, deployment: &str, port: &str, endpoints: &Value) -> (Name, EndpointSlice) {
    let object = from(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": namespace, "name": service, "labels": {
            "kubernetes.io/service-name": service, "alcazar.dev/deployment": deployment,
        }},
        "ports": [{"name": port, "port": 8443}],
        "endpoints": endpoints,
    }));
    (Name::new(namespace, service), object)
}

fn hash(text: &str) -> String {
    use sha2::Digest as _;
    crate::audit::chain::hex(&sha2::Sha256::digest(text.as_bytes()))
}

#[test]
fn keys_come_from_spec_or_status() {
    let observed = Observed {
        keys: HashMap::from([
            key("a", "given", "2026-01-02T00:00:00Z", &json!({"owner": "ana", "hash": hash("1")}), &Value::Null),
            // Older, so the one above with the same hash does not count.
            key(
                "b",
                "older",
                "2026-01-01T00:00:00Z",
                &json!({"owner": "eve", "hash": hash("1"), "state": "Revoked"}),
                &Value::Null,
            ),
            key(
                "a",
                "made",
                "2026-01-01T00:00:00Z",
                &json!({"owner": "bo", "secretName": "s", "limits": {"requestsPerMinute": 5}, "expiresAt": "2026-02-01T00:00:00Z"}),
                &json!({"hash": hash("2"), "usage": {"requests": 3, "tokensToday": 9, "day": "2026-01-31"}}),
            ),
            key("a", "pending", "2026-01-01T00:00:00Z", &json!({"owner": "bo", "secretName": "t"}), &Value::Null),
        ]),
        ..Observed::default()
    };
    let world = observed.world(&Own::default());
    let first = world.key(&Hash::of("1")).expect("it is there");
    assert_eq!((first.name.to_string().as_str(), first.is_revoked), ("b/older", true));
    let made = world.key(&Hash::of("2")).expect("it is there");
    assert_eq!(made.limits.requests_per_minute, Some(5));
    assert_eq!((made.spent.requests, made.spent.tokens_today, made.spent.day.as_str()), (3, 9, "2026-01-31"));
    let end = made.expires_at.expect("it ends");
    assert!(made.is_valid(end - jiff::SignedDuration::from_secs(1)) && !made.is_valid(end));
}

#[test]
fn models_have_their_ready_pods() {
    let ready = json!([
        {"addresses": ["10.0.0.2"], "conditions": {"ready": true}},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
        {"addresses": ["10.0.0.1"]},
        {"addresses": ["nonsense"]},
    ]);
    let observed = Observed {
        deployments: HashMap::from([
            deployment("x", &json!({"modelName": "m", "privacy": {"promptLogging": "Enabled", "retentionDays": 7}})),
            deployment("y", &json!({"modelName": "m", "state": "Suspended"})),
            deployment("z", &json!({"modelName": "m", "replicas": 0, "privacy": {"retentionDays": 7}})),
        ]),
        slices: HashMap::from([
            slice("team-a", "x", "x", "https", &ready),
            // Of another namespace, of another Service, of another port.
            slice("team-b", "x", "x", "https", &json!([{"addresses": ["10.9.9.9"]}])),
            slice("team-a", "evil", "x", "https", &json!([{"addresses": ["10.9.9.8"]}])),
            slice("team-a", "y", "y", "metrics", &json!([{"addresses": ["10.9.9.7"]}])),
        ]),
        adapters: HashMap::from([(Name::new("team-a", "x"), vec!["tuned".to_owned()])]),
        ..Observed::default()
    };
    let world = observed.world(&Own::default());
    let x = world.model_named("team-a", "x").expect("it is there");
    let addresses: Vec<_> = x.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1:8443", "10.0.0.2:8443"]);
    assert_eq!((x.prompt_days, x.demand, x.digest.as_str()), (Some(7), Demand::Wanted, "sha256:00"));
    assert_eq!(x.adapters, ["tuned"]);
    assert_eq!(x.server_name(), "x.team-a.svc");
    let y = world.model_named("team-a", "y").expect("it is there");
    assert_eq!((y.demand, y.endpoints.len()), (Demand::Suspended, 0));
    let z = world.model_named("team-a", "z").expect("it is there");
    assert_eq!((z.demand, z.prompt_days), (Demand::ScaledToZero, None));
}

#[test]
fn peers_are_those_of_the_own_service() {
    let pods = json!([
        {"addresses": ["10.0.0.2"], "targetRef": {"kind": "Pod", "name": "gateway-2"}},
        {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "gateway-1"}},
    ]);
    let observed = Observed {
        slices: HashMap::from([
            slice("alcazar", "gateway-peers", "", "peers", &pods),
            slice("team-a", "gateway-peers", "", "peers", &json!([{"addresses": ["10.9.9.9"]}])),
        ]),
        ..Observed::default()
    };
    let own = Own { namespace: "alcazar".into(), peer_service: "gateway-peers".into(), has_vpn: false };
    let names: Vec<_> = observed.world(&own).peers().iter().map(|peer| peer.name.clone()).collect();
    assert_eq!(names, ["gateway-1", "gateway-2"]);
    assert!(observed.world(&Own { peer_service: String::new(), ..own }).peers().is_empty());
}

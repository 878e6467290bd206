//! Names, columns and subresources, as `kubectl` shows them.

use std::fmt::Write;

use crate::{GROUP, NAME_MAX_LENGTH, VERSION, manifest::manifests, schema};

#[test]
fn names_columns_and_subresources() {
    let mut seen = String::new();
    for manifest in manifests() {
        let spec = &manifest.crd["spec"];
        let version = &spec["versions"][0];
        writeln!(seen, "{} {}", manifest.crd["metadata"]["name"], spec["names"]).expect("a String takes text");
        writeln!(seen, "{} {}", version["subresources"], version["selectableFields"]).expect("a String takes text");
        for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
            let wide = if column["priority"].is_null() { "" } else { " wide" };
            writeln!(seen, "{} {} {}{wide}", column["name"], column["type"], column["jsonPath"])
                .expect("a String takes text");
        }
    }
    insta::assert_snapshot!(seen, @r###"
    "llmdeployments.alcazar.dev" {"categories":["alcazar"],"kind":"LlmDeployment","plural":"llmdeployments","shortNames":["llmd"],"singular":"llmdeployment"}
    {"scale":{"labelSelectorPath":".status.selector","specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"},"status":{}} [{"jsonPath":".spec.modelName"},{"jsonPath":".spec.state"}]
    "Ready" "string" ".status.conditions[?(@.type==\"Ready\")].status"
    "Reason" "string" ".status.conditions[?(@.type==\"Ready\")].reason"
    "Model" "string" ".status.modelName"
    "Replicas" "integer" ".status.replicas"
    "Device" "string" ".status.acceleration.device"
    "Serving" "integer" ".status.readyReplicas" wide
    "Endpoint" "string" ".status.endpoint" wide
    "Digest" "string" ".status.modelDigest" wide
    "Age" "date" ".metadata.creationTimestamp"
    "llmmodels.alcazar.dev" {"categories":["alcazar"],"kind":"LlmModel","plural":"llmmodels","shortNames":["llmm"],"singular":"llmmodel"}
    {"status":{}} [{"jsonPath":".spec.digest"},{"jsonPath":".spec.source.huggingFace.repo"}]
    "Ready" "string" ".status.conditions[?(@.type==\"Ready\")].status"
    "Reason" "string" ".status.conditions[?(@.type==\"Ready\")].reason"
    "Progress" "integer" ".status.progress.percent"
    "Size" "integer" ".status.sizeBytes"
    "Architecture" "string" ".status.architecture"
    "Claim" "string" ".status.claimName" wide
    "Digest" "string" ".status.digest" wide
    "Age" "date" ".metadata.creationTimestamp"
    "llmapikeys.alcazar.dev" {"categories":["alcazar"],"kind":"LlmApiKey","plural":"llmapikeys","shortNames":["llmk"],"singular":"llmapikey"}
    {"status":{}} [{"jsonPath":".spec.hash"},{"jsonPath":".spec.owner"},{"jsonPath":".spec.state"}]
    "Ready" "string" ".status.conditions[?(@.type==\"Ready\")].status"
    "Reason" "string" ".status.conditions[?(@.type==\"Ready\")].reason"
    "Owner" "string" ".spec.owner"
    "Used" "date" ".status.lastUsedTime"
    "Expires" "string" ".spec.expiresAt"
    "Requests" "integer" ".status.usage.requests" wide
    "Today" "integer" ".status.usage.tokensToday" wide
    "Age" "date" ".metadata.creationTimestamp"
    "llmvpnpeers.alcazar.dev" {"categories":["alcazar"],"kind":"LlmVpnPeer","plural":"llmvpnpeers","shortNames":["llmvpn"],"singular":"llmvpnpeer"}
    {"status":{}} [{"jsonPath":".spec.owner"},{"jsonPath":".spec.address"},{"jsonPath":".spec.state"}]
    "Ready" "string" ".status.conditions[?(@.type==\"Ready\")].status"
    "Reason" "string" ".status.conditions[?(@.type==\"Ready\")].reason"
    "Owner" "string" ".spec.owner"
    "Address" "string" ".spec.address"
    "Handshake" "date" ".status.lastHandshakeTime"
    "Expires" "string" ".spec.expiresAt" wide
    "Received" "integer" ".status.receivedBytes" wide
    "Sent" "integer" ".status.sentBytes" wide
    "Age" "date" ".metadata.creationTimestamp"
    "###);
}

#[test]
fn group_version_and_scope() {
    for manifest in manifests() {
        let typed = manifest.typed();
        assert_eq!((typed.spec.group.as_str(), typed.spec.scope.as_str()), (GROUP, "Namespaced"));
        let [version] = &typed.spec.versions[..] else { panic!("should have one version") };
        assert_eq!((version.name.as_str(), version.served, version.storage), (VERSION, true, true));
    }
}

#[test]
fn the_rule_on_names_has_the_length_that_code_relies_on() {
    assert!(schema::NAME_RULE.contains(&format!("size() <= {NAME_MAX_LENGTH} ")));
    assert!(schema::NAME_MESSAGE.contains(&format!("at most {NAME_MAX_LENGTH} characters")));
    // The longest suffix that is added to a name is `-fetch-<8 hex>`; a Job's name ends up in a label of 63.
    assert!(NAME_MAX_LENGTH + "-fetch-01234567".len() <= 63);
}

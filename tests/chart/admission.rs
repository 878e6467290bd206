//! Policies of admission: there when something is required, and only then.

use serde_yaml::Value;

use crate::render::{list, name, of_kind, render, strings, the};

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

fn messages(objects: &[Value]) -> Vec<String> {
    let policies = of_kind(objects, POLICY).into_iter();
    let validations = policies.flat_map(|policy| list(&policy["spec"]["validations"]));
    validations.filter_map(|validation| validation["message"].as_str().map(str::to_owned)).collect()
}

#[test]
fn nothing_is_refused_that_was_not_asked_for() {
    assert!(of_kind(&render(&[]), POLICY).is_empty() && of_kind(&render(&[]), BINDING).is_empty());
    let off = render(&["admission.enabled=false", "require.digest=true", "admission.maxKeyDays=90"]);
    assert!(of_kind(&off, POLICY).is_empty() && of_kind(&off, BINDING).is_empty());
}

#[test]
fn each_requirement_has_one_validation_with_its_mend() {
    for (set, word) in [
        ("require.digest=true", "status.digest"),
        ("require.signature=true", "alcazar model sign"),
        ("require.encryption=true", "encryption.keySecretName"),
        (r#"require.storageClassNames=["encrypted","other"]"#, "encrypted, other"),
        ("admission.maxKeyDays=90", "--expires 90d"),
    ] {
        let objects = render(&[set]);
        let told = messages(&objects);
        assert!(told.len() == 1 && told[0].contains(word), "{set}: {told:?}");
        let (policy, binding) = (the(&objects, POLICY), the(&objects, BINDING));
        assert_eq!(
            (&policy["spec"]["failurePolicy"], &binding["spec"]["policyName"]),
            (&"Fail".into(), &name(policy).into())
        );
        assert_eq!(strings(&binding["spec"]["validationActions"]), ["Deny"]);
        assert!(binding["spec"]["matchResources"].is_null());
    }
}

#[test]
fn named_namespaces_alone_are_judged() {
    let objects = render(&["require.digest=true", r#"watchNamespaces=["team-a"]"#]);
    let selector = &the(&objects, BINDING)["spec"]["matchResources"]["namespaceSelector"];
    assert_eq!(strings(&selector["matchExpressions"][0]["values"]), ["team-a"]);
}

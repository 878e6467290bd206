//! Least privilege: no wildcard, Secrets by name only, Roles instead of a ClusterRole for named namespaces.

use serde_yaml::Value;

use crate::render::{NAMESPACE, list, name, of_kind, render, render_with, strings};

/// The rules of everything that is bound to the operator's account.
fn granted(objects: &[Value]) -> Vec<(String, &Value)> {
    granted_to(objects, "alcazar-operator")
}

/// The rules of everything that is bound to that account.
fn granted_to<'a>(objects: &'a [Value], account: &str) -> Vec<(String, &'a Value)> {
    let mut rules = Vec::new();
    for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
        let bindings = of_kind(objects, binding).into_iter().filter(|it| list(&it["subjects"])[0]["name"] == account);
        for binding in bindings {
            let bound = of_kind(objects, role).into_iter().find(|role| {
                name(role) == binding["roleRef"]["name"].as_str().unwrap_or_default()
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            });
            let bound = bound.expect("a binding should name a role of the chart");
            rules.extend(list(&bound["rules"]).iter().map(|rule| (format!("{role} {}", name(bound)), rule)));
        }
    }
    rules
}

#[test]
fn nothing_is_granted_by_a_wildcard() {
    for set in [&[][..], &[r#"watchNamespaces=["a","b"]"#]] {
        let objects = render(set);
        let roles = of_kind(&objects, "Role").into_iter().chain(of_kind(&objects, "ClusterRole"));
        for role in roles {
            for rule in list(&role["rules"]) {
                for field in ["apiGroups", "resources", "verbs"] {
                    let words = strings(&rule[field]);
                    assert!(!words.is_empty() && !words.contains(&"*"), "{}: {field} is {words:?}", name(role));
                }
            }
        }
    }
}

#[test]
fn secrets_are_never_listed_or_watched() {
    let objects = render(&[]);
    let of_secrets: Vec<_> =
        granted(&objects).into_iter().filter(|(_, rule)| strings(&rule["resources"]).contains(&"secrets")).collect();
    assert!(!of_secrets.is_empty(), "the operator should have a rule for Secrets");
    for (role, rule) in of_secrets {
        for verb in strings(&rule["verbs"]) {
            assert!(["get", "create", "patch"].contains(&verb), "{role} may {verb} secrets");
        }
    }
}

#[test]
fn nobody_becomes_more_than_he_is() {
    let objects = render(&[]);
    for (role, rule) in granted(&objects) {
        for verb in strings(&rule["verbs"]) {
            assert!(
                !["escalate", "bind", "impersonate", "deletecollection", "approve"].contains(&verb),
                "{role} may {verb}"
            );
        }
        for resource in strings(&rule["resources"]) {
            let group = strings(&rule["apiGroups"]);
            assert!(!resource.contains('/') || group == ["alcazar.dev"], "{role} has the subresource {resource}");
            assert!(
                !["nodes", "customresourcedefinitions", "roles", "clusterroles", "serviceaccounts/token"]
                    .contains(&resource),
                "{role}: {resource}"
            );
            assert!(
                resource != "pods"
                    || !strings(&rule["verbs"]).iter().any(|verb| ["create", "delete", "patch"].contains(verb)),
                "{role} writes pods"
            );
        }
    }
}

#[test]
fn the_specs_of_people_are_never_written() {
    let objects = render(&[]);
    for (_, rule) in granted(&objects) {
        let of_people = |resource: &&str| ["llmdeployments", "llmapikeys", "llmvpnpeers"].contains(resource);
        if strings(&rule["resources"]).iter().any(of_people) {
            assert_eq!(strings(&rule["verbs"]), ["get", "list", "watch"]);
        }
    }
}

#[test]
fn named_namespaces_get_roles_and_no_cluster_role() {
    let everywhere = render(&[]);
    let named = render(&[r#"watchNamespaces=["team-a","team-b"]"#]);
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        assert!(of_kind(&named, kind).is_empty(), "there should be no {kind}");
    }
    let cluster = of_kind(&everywhere, "ClusterRole").into_iter().find(|role| name(role) == "alcazar-operator");
    let everywhere = list(&cluster.expect("there should be a ClusterRole")["rules"]);
    for namespace in ["team-a", "team-b"] {
        let of_operator =
            |role: &&Value| role["metadata"]["namespace"] == namespace && name(role) == "alcazar-operator";
        let role = of_kind(&named, "Role").into_iter().find(of_operator);
        let rules = list(&role.expect("each namespace should have a Role")["rules"]);
        assert_eq!(rules, everywhere, "{namespace}");
    }
    assert_eq!(of_kind(&named, "RoleBinding").len(), 6, "one for each namespace and one for its own, of both programs");
}

#[test]
fn its_own_namespace_is_opened_by_name() {
    let objects = render(&[]);
    let own = of_kind(&objects, "Role").into_iter().find(|role| role["metadata"]["namespace"] == NAMESPACE);
    let own = own.expect("there should be a Role in the operator's namespace");
    assert_eq!(name(own), "alcazar-operator-own");
    for rule in list(&own["rules"]) {
        assert!(strings(&rule["verbs"]) == ["create"] || !strings(&rule["resourceNames"]).is_empty(), "{rule:?}");
    }
}

#[test]
fn bindings_name_the_account_of_the_pod() {
    let objects = render(&[]);
    let bindings = of_kind(&objects, "RoleBinding").into_iter().chain(of_kind(&objects, "ClusterRoleBinding"));
    for binding in bindings {
        let program = &binding["metadata"]["labels"]["app.kubernetes.io/name"];
        let of_program = |it: &&Value| it["metadata"]["labels"]["app.kubernetes.io/name"] == *program;
        let account = of_kind(&objects, "ServiceAccount").into_iter().find(of_program);
        let account = name(account.expect("there should be an account"));
        let subjects = list(&binding["subjects"]);
        assert_eq!(subjects.len(), 1);
        assert_eq!((&subjects[0]["name"], &subjects[0]["namespace"]), (&account.into(), &NAMESPACE.into()));
    }
}

#[test]
fn roles_for_people_bind_nobody_and_aggregate_only_when_asked() {
    let quiet = render(&[]);
    let asked = render(&["rbac.aggregate=true"]);
    let labels = |objects: &[Value]| {
        let roles = of_kind(objects, "ClusterRole")
            .into_iter()
            .filter_map(|role| role["metadata"]["labels"].as_mapping().cloned());
        roles.flatten().filter(|(key, _)| key.as_str().is_some_and(|key| key.contains("aggregate-to"))).count()
    };
    assert_eq!((labels(&quiet), labels(&asked)), (0, 2));
    assert!(
        of_kind(&render(&["rbac.userRoles=false"]), "ClusterRole").iter().all(|role| [
            "alcazar-operator",
            "alcazar-gateway"
        ]
        .contains(&name(role)))
    );
}

#[test]
fn services_that_are_sources_can_be_read_where_they_are_named() {
    let objects = render(&[r#"watchNamespaces=["team-a"]"#, r#"sources.serviceNamespaces=["hub"]"#]);
    let role = of_kind(&objects, "Role").into_iter().find(|role| role["metadata"]["namespace"] == "hub");
    let rules = list(&role.expect("there should be a Role in hub")["rules"]);
    assert_eq!(rules.len(), 1);
    assert_eq!((strings(&rules[0]["resources"]), strings(&rules[0]["verbs"])), (vec!["services"], vec!["get"]));
}

/// The table of docs/security: what the gateway may do, all of it.
#[test]
fn the_gateway_may_read_three_kinds_and_endpoints_and_patch_two_statuses() {
    let words = |rules: Vec<(String, &Value)>| {
        let mut all: Vec<_> = rules
            .iter()
            .map(|(_, rule)| format!("{} {}", strings(&rule["verbs"]).join(","), strings(&rule["resources"]).join(",")))
            .collect();
        all.sort();
        all
    };
    let everywhere = words(granted_to(&render(&[]), "alcazar-gateway"));
    let without_vpn = ["list,watch endpointslices", "list,watch llmapikeys,llmdeployments", "patch llmapikeys/status"];
    assert_eq!(everywhere, without_vpn);
    let vpn = [r#"gateway.vpn={"enabled":true,"endpoint":"vpn.example.com:51820"}"#];
    assert_eq!(
        words(granted_to(&render(&vpn), "alcazar-gateway"))[1..],
        ["list,watch llmapikeys,llmdeployments,llmvpnpeers", "patch llmapikeys/status,llmvpnpeers/status"]
    );
    let named = words(granted_to(&render(&[r#"watchNamespaces=["team-a"]"#]), "alcazar-gateway"));
    assert_eq!(named[1..], everywhere, "and the endpoints of its own replicas");
    assert_eq!(named[0], "list,watch endpointslices");
}

#[test]
fn an_optional_kind_is_granted_where_it_is_there() {
    let is_granted = |objects: &[Value]| {
        granted(objects).iter().any(|(_, rule)| strings(&rule["resources"]).contains(&"ciliumnetworkpolicies"))
    };
    assert!(!is_granted(&render(&[])));
    assert!(is_granted(&render_with(&[], &["cilium.io/v2"])));
}

//! An installation without `watchNamespaces`, with its ClusterRoles.
//!
//! It looks after every namespace, so no other test may run: `tests/api/run.sh` runs this one by itself.

use alcazar_tests::{Cluster, TestNamespace, gateway::Gateway, operator::Operator};
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject},
};

use super::{Account, BY_NAME, UNSEEN, gateway, live};

/// What namespaces do not take with them.
async fn remove_cluster_roles(cluster: &Cluster, account: &Account) {
    for object in &account.objects {
        let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
        if !kind.starts_with("Cluster") {
            continue;
        }
        let resource = ApiResource {
            group: "rbac.authorization.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "rbac.authorization.k8s.io/v1".to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
            kind,
        };
        let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
        let name = object.metadata.name.clone().unwrap_or_default();
        api.delete(&name, &DeleteParams::default()).await.expect("the role should be deletable");
    }
}

#[tokio::test]
async fn granted_is_used_by_an_installation_for_all_namespaces() {
    let cluster = Cluster::connect().await;
    let (own, namespace) =
        (TestNamespace::create(&cluster.client, "wide").await, TestNamespace::create(&cluster.client, "far").await);
    let audit = cluster.kubeconfig.with_file_name("audit.log");
    let is_its = |name: &str| name.starts_with("wide-operator");
    let of_operator = Account::make(&cluster, &own, ("wide", "wide-operator"), &[], is_its).await;
    let operator = Operator::start_everywhere(&of_operator.cluster, &own);
    live(&cluster.client, &namespace).await;
    of_operator.judge(&audit, &UNSEEN, |right| right.starts_with(BY_NAME));

    let of_gateway = Account::make(&cluster, &own, ("wide", "alcazar-gateway"), &[], gateway::is_its("wide")).await;
    let running = Gateway::start(&of_gateway.cluster, &own, &[], "").await;
    gateway::live(&cluster.client, &namespace, &running).await;
    of_gateway.judge(&audit, &[], |_| false);
    drop((operator, running));
    remove_cluster_roles(&cluster, &of_operator).await;
    remove_cluster_roles(&cluster, &of_gateway).await;
    namespace.close().await;
    own.close().await;
}

//! One address for all pods, and one for each. Pure.

use alcazar_contract::{MODEL_PORT_NAME, SERVICE_PORT, labels};
use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{ValidatedDeployment, headless_name, metadata};

/// The name that clients call.
pub(super) fn build_service(valid: &ValidatedDeployment) -> Service {
    service(valid, &valid.owner.name, ServiceSpec { type_: Some("ClusterIP".to_owned()), ..spec(valid) })
}

/// An address per pod, for a gateway that chooses the pod itself: ready pods only.
pub(super) fn build_headless_service(valid: &ValidatedDeployment) -> Service {
    let name = headless_name(&valid.owner.name);
    service(valid, &name, ServiceSpec { cluster_ip: Some("None".to_owned()), ..spec(valid) })
}

fn service(valid: &ValidatedDeployment, name: &str, spec: ServiceSpec) -> Service {
    Service { metadata: metadata(valid, name), spec: Some(spec), ..Service::default() }
}

fn spec(valid: &ValidatedDeployment) -> ServiceSpec {
    ServiceSpec {
        selector: Some(valid.owner.selector(labels::COMPONENT_SERVE)),
        ports: Some(vec![ServicePort {
            name: Some(MODEL_PORT_NAME.to_owned()),
            port: i32::from(SERVICE_PORT),
            target_port: Some(IntOrString::String(MODEL_PORT_NAME.to_owned())),
            protocol: Some("TCP".to_owned()),
            app_protocol: Some("https".to_owned()),
            ..ServicePort::default()
        }]),
        ..ServiceSpec::default()
    }
}

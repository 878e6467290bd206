//! What is told of the firewall. Pure.

use std::collections::BTreeSet;

use alcazar_contract::isolation::{Target, TargetKind};
use alcazar_crds::{
    conditions::DeploymentCondition as Type, llm_deployment::IsolationMode, reasons::DeploymentReason as Reason,
};

use super::{
    Seen,
    isolation::{Breach, Finding, Proof},
    keep,
};
use crate::conditions::{Desired, Truth};

/// Condition `NetworkIsolated`.
pub(super) fn condition(seen: Seen<'_>, finding: &Finding) -> Desired {
    let of = |status: Truth, reason: Reason, message: String| {
        Desired::new(Type::NetworkIsolated.as_str(), status, reason.as_str(), message)
    };
    match finding {
        Finding::Proven(proof) => of(Truth::True, Reason::IsolationProven, proven(proof)),
        Finding::Broken(breach) => of(Truth::False, Reason::IsolationBroken, breached(seen, breach)),
        Finding::Unproven(why) => of(Truth::Unknown, Reason::IsolationUnproven, why.clone()),
        Finding::AsBefore => seen.old().and_then(|old| keep(old, Type::NetworkIsolated)).unwrap_or_else(|| {
            of(Truth::Unknown, Reason::IsolationUnproven, "the operator has not asked the pods yet".to_owned())
        }),
    }
}

fn proven(proof: &Proof) -> String {
    let kinds: Vec<&str> = proof.kinds.iter().copied().map(TargetKind::words).collect();
    let families: Vec<&str> = proof.families.iter().copied().collect();
    let door = if proof.door {
        "; the operator tries their model port, to which it is not allowed, and cannot open it either"
    } else {
        "; who may come in was not tried, since the peers of network.allowFrom may include the operator"
    };
    let (kinds, families) = (kinds.join(", "), families.join(", "));
    format!("every pod tries again and again to reach {kinds} (by {families}), and cannot{door}")
}

/// All that does not hold, and the mend.
pub(super) fn breached(seen: Seen<'_>, breach: &Breach) -> String {
    let out = (!breach.reached.is_empty()).then(|| broken(seen, &breach.reached));
    let entered = breach.entered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let inward = (!breach.entered.is_empty()).then(|| {
        format!(
            "the operator opened a connection to the model port at {entered} (TCP), to which it is not allowed: the \
             cluster's network does not enforce ingress policies, or another policy allows it; install a network plugin \
             that does, or look for further policies in this namespace"
        )
    });
    out.into_iter().chain(inward).collect::<Vec<_>>().join("; ")
}

/// What was reached, and the mend.
pub(super) fn broken(seen: Seen<'_>, reached: &BTreeSet<Target>) -> String {
    let reached = reached.iter().map(Target::told).collect::<Vec<_>>().join(", ");
    let serves = match seen.valid.isolation {
        IsolationMode::Required => "so it serves nothing",
        IsolationMode::BestEffort => "and serves all the same, as spec.network.isolation asks for",
    };
    format!(
        "a pod reached {reached}, which it must not, {serves}: the cluster's network does not enforce NetworkPolicies, or \
         another policy allows it; install a network plugin that does, or look for further policies in this namespace"
    )
}

//! Who may talk to the API server: observe, apply and the status patch, and the frame below them.

use crate::tree::{Source, none, rust};

/// Files of the operator that may name a client, each with its reason.
const MAY: [(&str, &str); 17] = [
    ("main.rs", "makes it"),
    ("run.rs", "hands it out"),
    ("context.rs", "carries it"),
    ("watch.rs", "fills the stores"),
    ("apply.rs", "applies children"),
    ("apply/", "applies children"),
    ("status.rs", "patches the status subresource"),
    ("lookup.rs", "reads by name what a store lacks"),
    ("secrets.rs", "reads metadata of named Secrets"),
    ("lease.rs", "leader election"),
    ("authority/apply.rs", "keeps the certificate authority's Secret"),
    ("authority/gateway.rs", "keeps the gateway's certificates"),
    ("authority/vpn.rs", "keeps the key of the VPN"),
    ("telemetry/events.rs", "publishes Events"),
    ("telemetry/api_calls.rs", "counts its calls"),
    ("controller/*/observe", "reads what is referenced"),
    ("controller/*/apply", "applies children"),
];

fn may(path: &str) -> bool {
    let Some(inner) = path.strip_prefix("operator/src/") else { return false };
    MAY.iter().any(|(allowed, _)| match allowed.strip_prefix("controller/*/") {
        Some(step) => {
            let mut parts = inner.strip_prefix("controller/").into_iter().flat_map(|rest| rest.splitn(2, '/').skip(1));
            parts.any(|rest| rest == format!("{step}.rs") || rest.starts_with(&format!("{step}/")))
        }
        None if allowed.ends_with('/') => inner.starts_with(allowed),
        None => inner == *allowed,
    })
}

fn names_a_client(source: &Source) -> Vec<String> {
    if !source.path.starts_with("operator/src/") || may(&source.path) {
        return Vec::new();
    }
    let code = source.program();
    // `Api<`, `Api::`, `Client` as words; `ctx.client` as the way around.
    let hits = ["Api<", "Api::", "Client", ".client"].into_iter().flat_map(|word| {
        code.match_indices(word).filter(move |(at, _)| {
            let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
            let begins = word.starts_with('.') || apart(code[..*at].chars().next_back());
            begins && (word.ends_with(['<', ':']) || apart(code[at + word.len()..].chars().next()))
        })
    });
    hits.map(|(at, word)| {
        format!(
            "{}:{}: {word}: only observe, apply and the status patch may hold a client",
            source.path,
            source.line_of(at)
        )
    })
    .collect()
}

#[test]
fn only_the_steps_with_io_hold_a_client() {
    none(&rust().iter().flat_map(names_a_client).collect::<Vec<_>>());
}

#[test]
fn every_exception_is_still_needed() {
    let sources = rust();
    let unused = MAY.iter().filter(|(allowed, _)| {
        let plain = format!("operator/src/{}", allowed.split('*').next().unwrap_or_default());
        !sources.iter().any(|source| source.path.starts_with(&plain))
    });
    none(&unused.map(|(allowed, _)| format!("{allowed} does not exist: remove it from the list")).collect::<Vec<_>>());
}

#[test]
fn notices_a_client_in_a_pure_step() {
    let plan = "operator/src/controller/model/plan.rs";
    assert_eq!(names_a_client(&Source::new(plan, "use kube::Client;")).len(), 1);
    assert_eq!(names_a_client(&Source::new(plan, "let pods: Api<Pod> = Api::all(ctx.client.clone());")).len(), 3);
    assert_eq!(names_a_client(&Source::new(plan, "struct ApiVersion; // a Client")), Vec::<String>::new());
    let observe = "operator/src/controller/model/observe.rs";
    assert_eq!(names_a_client(&Source::new(observe, "use kube::Client;")), Vec::<String>::new());
    assert!(may("operator/src/controller/model/observe/pods.rs"));
    assert!(!may("operator/src/controller/model/observed.rs"));
}

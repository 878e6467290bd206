//! docs/reference/kinds.md: the reference page, made of the schema and the enums of conditions and reasons.

mod fields;
mod rules;

use std::fmt::Write;

use serde_json::Value;

use crate::{
    conditions::{ApiKeyCondition, DeploymentCondition, ModelCondition, VpnPeerCondition},
    manifest::{Manifest, manifests},
    reasons::{ApiKeyReason, DeploymentReason, ModelReason, VpnPeerReason},
};

/// Name and meaning of a condition or reason.
type Entry = (&'static str, &'static str);

/// Fields that have the parts of another place, and the words that say so: the page tells each once.
const TOLD_ELSEWHERE: [(&str, &str); 2] = [
    (".spec.model", "Its fields and rules are those of [LlmModel](#llmmodel-spec)."),
    (".spec.network.metricsFrom", "The peers are written as in `allowFrom`."),
];

/// Where the parts of this field are told, if not below it.
fn told_elsewhere(path: &str) -> Option<&'static str> {
    TOLD_ELSEWHERE.iter().find(|(field, _)| *field == path).map(|(_, words)| *words)
}

/// The whole page as Markdown.
///
/// # Panics
/// Never: a `String` takes any text.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# The kinds\n\n\
         <!-- Generated from crds/src by `make generate`. Do not edit. -->\n\n\
         Every field of every kind: what it means, its bounds and its default. The same text is \
         shown by `kubectl explain llmd.spec --recursive`. Whatever breaks a bound or a rule is refused by the API \
         server when it is applied; what only the cluster can tell shows up as a condition with one of the reasons \
         below.\n",
    );
    for manifest in manifests() {
        section(&mut page, &manifest).expect("writing to a String should not fail");
    }
    page
}

fn section(page: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let kind = manifest.crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
    let schema = manifest.schema();
    writeln!(page, "\n## {kind}\n\n{}\n", fields::text(schema))?;
    identity(page, &manifest.crd)?;
    columns(page, &manifest.crd)?;
    writeln!(page, "\n### {kind}: spec\n")?;
    fields::table(page, ".spec", &schema["properties"]["spec"])?;
    writeln!(page, "\n### {kind}: rules\n")?;
    rules::table(page, schema)?;
    writeln!(page, "\n### {kind}: status\n")?;
    fields::table(page, ".status", &schema["properties"]["status"])?;
    let (conditions, reasons) = vocabulary(kind);
    writeln!(page, "\n### {kind}: conditions\n")?;
    entries(page, "Condition", &conditions)?;
    writeln!(page, "\n### {kind}: reasons\n")?;
    entries(page, "Reason", &reasons)
}

fn identity(page: &mut String, crd: &Value) -> std::fmt::Result {
    let spec = &crd["spec"];
    let version = &spec["versions"][0];
    let join = |list: &Value, key: Option<&str>| {
        list.as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| key.map_or(item, |key| &item[key]).as_str())
            .map(|item| format!("`{item}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(
        page,
        "| apiVersion | `{}/{}` |",
        spec["group"].as_str().unwrap_or_default(),
        version["name"].as_str().unwrap_or_default()
    )?;
    writeln!(
        page,
        "| plural, short | `{}`, {} |",
        spec["names"]["plural"].as_str().unwrap_or_default(),
        join(&spec["names"]["shortNames"], None)
    )?;
    writeln!(page, "| scope | {} |", spec["scope"].as_str().unwrap_or_default())?;
    if let Some(scale) = version["subresources"]["scale"].as_object() {
        let paths: Vec<_> = scale.values().filter_map(Value::as_str).map(|path| format!("`{path}`")).collect();
        writeln!(page, "| scale | {} |", paths.join(", "))?;
    }
    writeln!(page, "| field selectors | {} |", join(&version["selectableFields"], Some("jsonPath")))
}

fn columns(page: &mut String, crd: &Value) -> std::fmt::Result {
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
    let names = |wide: bool| {
        columns
            .into_iter()
            .flatten()
            .filter(|column| (column["priority"].as_i64().unwrap_or(0) > 0) == wide)
            .filter_map(|column| column["name"].as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    writeln!(page, "| columns of `kubectl get` | {} |\n| further ones with `-o wide` | {} |", names(false), names(true))
}

fn vocabulary(kind: &str) -> (Vec<Entry>, Vec<Entry>) {
    macro_rules! entries_of {
        ($conditions:ty, $reasons:ty) => {
            (
                <$conditions>::ALL.iter().map(|c| (c.as_str(), c.meaning())).collect(),
                <$reasons>::ALL.iter().map(|r| (r.as_str(), r.meaning())).collect(),
            )
        };
    }
    match kind {
        "LlmDeployment" => entries_of!(DeploymentCondition, DeploymentReason),
        "LlmApiKey" => entries_of!(ApiKeyCondition, ApiKeyReason),
        "LlmVpnPeer" => entries_of!(VpnPeerCondition, VpnPeerReason),
        _ => entries_of!(ModelCondition, ModelReason),
    }
}

fn entries(page: &mut String, title: &str, entries: &[Entry]) -> std::fmt::Result {
    writeln!(page, "| {title} | Meaning |\n|---|---|")?;
    entries.iter().try_for_each(|(name, meaning)| writeln!(page, "| `{name}` | {} |", meaning.trim()))
}

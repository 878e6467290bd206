//! Optional in the cluster, optional in the chart.

use crate::render::{list, of_kind, render, render_with, the};

const PROMETHEUS: &[&str] = &["monitoring.coreos.com/v1"];

#[test]
fn nothing_of_prometheus_without_its_kinds() {
    let objects = render(&[]);
    assert!(objects.iter().all(|object| object["apiVersion"] != "monitoring.coreos.com/v1"));
}

#[test]
fn monitors_and_rules_where_the_kinds_are() {
    let objects = render_with(&[r#"metrics.labels={"release":"prometheus"}"#], PROMETHEUS);
    assert_eq!(of_kind(&objects, "PodMonitor").len(), 3, "operator, gateway, model pods");
    let rule = the(&objects, "PrometheusRule");
    assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
    let off = render_with(&["metrics.podMonitors=false", "metrics.rules=false"], PROMETHEUS);
    assert!(off.iter().all(|object| object["apiVersion"] != "monitoring.coreos.com/v1"));
}

#[test]
fn every_alert_says_what_to_do() {
    let objects = render_with(&[r#"metrics.runbookBaseUrl="https://git.example.com/alcazar/""#], PROMETHEUS);
    let rules = list(&the(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"]).to_vec();
    assert!(rules.len() >= 4);
    for rule in rules {
        let alert = rule["alert"].as_str().unwrap_or_default().to_owned();
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| text.len() > 20), "{alert} has no {text}");
        }
        let runbook = rule["annotations"]["runbook_url"].as_str().unwrap_or_default();
        assert_eq!(runbook, format!("https://git.example.com/alcazar/docs/operations.md#{}", alert.to_lowercase()));
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{alert}");
    }
}

#[test]
fn the_service_finds_the_operator() {
    let objects = render(&[]);
    let selector = &the(&objects, "Service")["spec"]["selector"];
    assert_eq!(*selector, the(&objects, "Deployment")["spec"]["selector"]["matchLabels"]);
}

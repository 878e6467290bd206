use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command, Keys, Output};

const KEY: &str = "alc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn create(line: &str) -> Result<LlmApiKey, Error> {
    let line = format!("alcazar keys create {line}");
    let Command::Keys(Keys::Create(arguments)) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
        panic!("keys create")
    };
    api_key(&arguments, KEY, "2026-06-01T10:00:00Z".parse().unwrap())
}

#[test]
fn the_yaml_holds_the_hash_and_never_the_key() {
    let object = create(
        "ana --owner ana@example.com -n team-a --models assistant,coder --requests-per-minute 60 \
         --tokens-per-minute 100000 --tokens-per-day 2000000 --expires 90d",
    );
    let yaml = manifest::text(&object.unwrap(), Output::Yaml);
    let expected = format!(
        "apiVersion: alcazar.dev/v1alpha1\nkind: LlmApiKey\nmetadata:\n  name: ana\n  namespace: team-a\nspec:\n  \
         hash: {}\n  owner: ana@example.com\n  models:\n  - assistant\n  - coder\n  limits:\n    \
         requestsPerMinute: 60\n    tokensPerMinute: 100000\n    tokensPerDay: 2000000\n  \
         expiresAt: 2026-08-30T10:00:00Z\n  state: Active\n",
        key_text::hash(KEY)
    );
    assert_eq!(yaml, expected);
    assert!(!yaml.contains("alc_"));
}

#[test]
fn the_smallest_says_nothing_that_was_not_asked_for() {
    let yaml = manifest::text(&create("bot --owner ci").unwrap(), Output::Yaml);
    for word in ["namespace", "limits", "models", "expiresAt", "status", "null", "secretName"] {
        assert!(!yaml.contains(word), "{word} in\n{yaml}");
    }
    let json = manifest::text(&create("bot --owner ci").unwrap(), Output::Json);
    assert_eq!(serde_json::from_str::<LlmApiKey>(&json).unwrap(), create("bot --owner ci").unwrap());
}

#[test]
fn refuses_before_a_key_is_shown() {
    for line in ["Ana --owner a", "ana --owner a --expires yesterday", "ana --owner a --expires 2020-01-01"] {
        assert_eq!(create(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn lists_what_an_administrator_asks_for() {
    let mut keys = vec![create("ana --owner ana@example.com -n team-a --expires 90d").unwrap()];
    keys.push(create("bot --owner ci -n team-b").unwrap());
    keys[0].status = serde_json::from_str(
        r#"{"lastUsedTime": "2026-06-01T09:00:00Z", "usage": {"requests": 3, "promptTokens": 7, "completionTokens": 9}}"#,
    )
    .unwrap();
    keys[1].spec.state = GrantState::Revoked;
    keys[1].spec.owner = "ci\u{1b}[31m".to_owned();
    assert_eq!(
        table(&keys, true),
        "NAMESPACE   NAME   OWNER             STATE     READY     EXPIRES                LAST USED              REQUESTS   TOKENS\n\
         team-a      ana    ana@example.com   Active    Unknown   2026-08-30T10:00:00Z   2026-06-01T09:00:00Z   3          16\n\
         team-b      bot    ci[31m            Revoked   Unknown   -                      -                      0          0\n"
    );
    assert!(table(&keys, false).starts_with("NAME   OWNER"));
}

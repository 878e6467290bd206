//! Adapters as PEFT saves them, and as it does not.

use std::{collections::BTreeMap, path::Path};

use alcazar_core::{AdapterSource as _, WeightSource as _};
use serde_json::{Value, json};

use super::{Adapter, CONFIG, MAX_RANK, WEIGHTS, check_name, find};
use crate::{Class, Error};

const Q: &str = "base_model.model.model.layers.0.self_attn.q_proj";
const UP: &str = "base_model.model.model.layers.1.mlp.up_proj";

pub(crate) fn safetensors(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let (mut table, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let begin = data.len();
        let n: usize = shape.iter().product();
        data.extend((0..n).flat_map(|n| f32::from(u16::try_from(n).unwrap()).to_le_bytes()));
        table.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let table = serde_json::to_vec(&table).unwrap();
    [(table.len() as u64).to_le_bytes().to_vec(), table, data].concat()
}

/// A and B of a module, of 4 to 6 numbers.
fn pair(module: &str, rank: usize) -> [(String, Vec<usize>); 2] {
    [(format!("{module}.lora_A.weight"), vec![rank, 4]), (format!("{module}.lora_B.weight"), vec![6, rank])]
}

fn settings() -> Value {
    json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj", "up_proj"],
        "base_model_name_or_path": "org/base", "fan_in_fan_out": false, "use_dora": false, "modules_to_save": null,
        "rank_pattern": {}, "alpha_pattern": {}, "init_lora_weights": true, "layer_replication": null,
    })
}

fn with(changes: &Value) -> Value {
    let mut settings = settings();
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

fn write(dir: &Path, settings: &Value, tensors: &[(String, Vec<usize>)]) {
    std::fs::write(dir.join(CONFIG), settings.to_string()).unwrap();
    std::fs::write(dir.join(WEIGHTS), safetensors(tensors)).unwrap();
}

fn open(settings: &Value, tensors: &[(String, Vec<usize>)]) -> Result<Adapter, Error> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), settings, tensors);
    Adapter::open("tuned", dir.path())
}

fn usual() -> Vec<(String, Vec<usize>)> {
    [pair(Q, 2), pair(UP, 2)].concat()
}

fn scales(settings: &Value, tensors: &[(String, Vec<usize>)]) -> BTreeMap<String, f32> {
    let adapter = open(settings, tensors).unwrap();
    adapter
        .modules()
        .iter()
        .map(|module| (module.module.rsplit('.').next().unwrap().to_owned(), module.scale))
        .collect()
}

#[test]
fn an_adapter_tells_what_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &settings(), &usual());
    let adapter = Adapter::open("tuned", dir.path()).unwrap();
    let facts = adapter.facts();
    assert_eq!((facts.name.as_str(), facts.base.as_str(), facts.rank), ("tuned", "org/base", 2));
    assert_eq!((facts.module_count, facts.parameter_count), (2, 40));
    assert_eq!(facts.targets.iter().collect::<Vec<_>>(), ["q_proj", "up_proj"]);
    let [q, _] = adapter.modules() else { panic!("two modules") };
    assert_eq!((q.module.as_str(), q.rank, q.n_in, q.n_out), ("model.layers.0.self_attn.q_proj", 2, 4, 6));
    assert_eq!(adapter.describe(&q.tensors[0]).unwrap().1, [2, 4]);
    assert_eq!(adapter.read(&q.tensors[1]).unwrap().to_f32().unwrap().last(), Some(&11.0));
}

#[test]
fn names_are_read_as_programs_write_them() {
    for [a, b] in [
        [
            "base_model.model.h.0.attn.c_attn.lora_A.default.weight",
            "base_model.model.h.0.attn.c_attn.lora_B.default.weight",
        ],
        ["h.0.attn.c_attn.lora_A.weight", "h.0.attn.c_attn.lora_B.weight"],
    ] {
        let adapter = open(&settings(), &[(a.to_owned(), vec![2, 4]), (b.to_owned(), vec![6, 2])]).unwrap();
        assert_eq!(adapter.modules()[0].module, "h.0.attn.c_attn");
    }
}

#[test]
fn scales_follow_alphas_ranks_and_patterns() {
    let tensors = [pair(Q, 2), pair(UP, 4)].concat();
    let plain = with(&json!({"rank_pattern": {"up_proj": 4}}));
    assert_eq!(scales(&plain, &tensors), [("q_proj".to_owned(), 4.0), ("up_proj".to_owned(), 2.0)].into());
    let by_root = with(&json!({"rank_pattern": {"up_proj": 4}, "use_rslora": true}));
    assert_eq!(scales(&by_root, &tensors).get("up_proj"), Some(&4.0));
    // The first key that matches counts, from a dot on.
    let keys = json!({"p_proj": 100, r"layers\.[1-9]\.mlp\..*": 1, "up_proj": 2});
    let matched = with(&json!({"rank_pattern": {"up_proj": 4}, "alpha_pattern": keys}));
    assert_eq!(scales(&matched, &tensors), [("q_proj".to_owned(), 4.0), ("up_proj".to_owned(), 0.25)].into());
}

#[test]
fn what_is_not_served_is_refused_by_its_name_and_with_what_to_do() {
    for (changes, words) in [
        (json!({"peft_type": "IA3"}), ["IA3", "LORA is served"]),
        (json!({"use_dora": true}), ["use_dora", "use_dora=False"]),
        (json!({"bias": "lora_only"}), ["bias", "bias=\"none\""]),
        (json!({"lora_bias": true}), ["lora_bias", "lora_bias=False"]),
        (json!({"modules_to_save": ["lm_head"]}), ["modules_to_save", "merge it"]),
        (json!({"trainable_token_indices": [1]}), ["trainable_token_indices", "merge it"]),
        (json!({"target_parameters": ["experts.down_proj"]}), ["target_parameters", "target_modules"]),
        (json!({"layer_replication": [[0, 1]]}), ["layer_replication", "train it without"]),
        (json!({"alora_invocation_tokens": [1]}), ["alora_invocation_tokens", "train it without"]),
        (json!({"init_lora_weights": "pissa_niter_4"}), ["pissa", "path_initial_model_for_weight_conversion"]),
        (json!({"r": MAX_RANK + 1}), ["rank 513", "up to 512"]),
        (json!({"alpha_pattern": {"(?=a)": 1}}), ["alpha_pattern", "without lookaround"]),
    ] {
        let error = open(&with(&changes), &usual()).unwrap_err();
        assert_eq!(error.class(), Class::Unsupported, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    }
    for (tensor, word) in [
        (format!("{Q}.lora_magnitude_vector"), "DoRA"),
        (format!("{Q}.lora_B.bias"), "lora_bias=False"),
        ("base_model.model.model.embed_tokens.lora_embedding_A".to_owned(), "embedding"),
        ("base_model.model.lm_head.weight".to_owned(), "modules_to_save"),
        (format!("{Q}.lora_A.a.b.weight"), "save it again"),
        ("base_model.model.a b.lora_A.weight".to_owned(), "save it again"),
        ("base_model.model.experts.base_layer.lora_A.weight".to_owned(), "target_parameters"),
        (format!("{Q}.lora_A.other.weight"), "a directory of its own"),
    ] {
        let error = open(&settings(), &[usual(), vec![(tensor, vec![2, 4])]].concat()).unwrap_err();
        assert!(error.class() == Class::Unsupported && error.to_string().contains(word), "{error}");
    }
}

#[test]
fn what_contradicts_itself_is_malformed() {
    let lone = usual()[..3].to_vec();
    let wrong_rank = [pair(Q, 3), pair(UP, 2)].concat();
    let mut crooked = usual();
    crooked[0].1 = vec![3, 4];
    for (settings, tensors) in [
        (settings(), lone),
        (settings(), wrong_rank),
        (settings(), crooked),
        (with(&json!({"r": 0})), usual()),
        (with(&json!({"r": "2"})), usual()),
        (with(&json!({"lora_alpha": null})), usual()),
        (with(&json!({"lora_alpha": 1e300})), usual()),
        (with(&json!({"alpha_pattern": [1]})), usual()),
        (json!([]), usual()),
    ] {
        let error = open(&settings, &tensors).unwrap_err();
        assert_eq!(error.class(), Class::Invalid, "{error}");
    }
    assert!(open(&settings(), &[]).is_err());
}

#[test]
fn a_pickle_and_missing_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let error = || Adapter::open("x", dir.path()).unwrap_err().to_string();
    assert!(error().contains("no adapter_config.json"), "{}", error());
    std::fs::write(dir.path().join(CONFIG), settings().to_string()).unwrap();
    assert!(error().contains("no adapter_model.safetensors"), "{}", error());
    std::fs::write(dir.path().join("adapter_model.bin"), "").unwrap();
    assert!(error().contains("save_pretrained"), "{}", error());
}

#[test]
fn adapters_are_found_in_their_folders_by_name() {
    let model = tempfile::tempdir().unwrap();
    assert_eq!(find(model.path()).unwrap(), []);
    for name in ["b", "a-1.5"] {
        std::fs::create_dir_all(model.path().join("adapters").join(name)).unwrap();
    }
    std::fs::write(model.path().join("adapters/README.md"), "").unwrap();
    let names: Vec<_> = find(model.path()).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a-1.5", "b"]);
    std::fs::create_dir(model.path().join("adapters/a,b")).unwrap();
    assert!(find(model.path()).unwrap_err().to_string().contains("rename the folder"));
    for bad in ["", "a b", "-a", "a,b", "ä", &"a".repeat(97)] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
    assert!(check_name("org/name").is_ok());
}

#[test]
fn an_adapter_is_no_model() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &settings(), &usual());
    let error = crate::inspect(dir.path()).unwrap_err().to_string();
    assert!(error.contains("a LoRA adapter alone") && error.contains("adapters/NAME"), "{error}");
}

//! Configurations as publishers' files have them, and options that are refused.

use alcazar_core::{
    Activation, Gating, RopeStyle,
    config::{FeedForward, QkNorm, Residual, Rotation},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(json: &Value) -> Result<DecoderConfig, String> {
    decoder_config(json, Path::new("config.json")).map_err(|error| error.to_string())
}

fn rotary(config: &DecoderConfig) -> (&RopeConfig, Option<&RopeConfig>) {
    match &config.position {
        Position::Rotary { global, local } => (global, local.as_ref()),
        other => panic!("{other:?}"),
    }
}

fn gemma3() -> Value {
    json!({
        "model_type": "gemma3_text", "attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
        "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000, "rope_scaling": null,
        "rope_theta": 1_000_000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262_144,
    })
}

#[test]
fn gemma3_as_it_was_published() {
    let config = read(&gemma3()).unwrap();
    let (global, local) = rotary(&config);
    assert_eq!((global.theta, local.unwrap().theta), (1e6, 1e4));
    assert_eq!((config.layers[4].window, config.layers[5].window), (Some(512), None));
    assert_eq!((config.layers[4].rotation, config.layers[5].rotation), (Rotation::Local, Rotation::Global));
    assert!(config.output.is_tied, "transformers ties it where the file is silent");
    assert_eq!((config.output.soft_cap, config.attention.soft_cap), (None, None));
    assert!((config.attention.scale - 1.0 / 16.0).abs() < 1e-9);
}

#[test]
fn the_text_of_a_gemma3_that_sees() {
    let text = json!({
        "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
    });
    let config =
        read(&json!({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})).unwrap();
    assert_eq!((config.n_heads, config.n_kv_heads, config.head_dim, config.vocabulary), (8, 4, 256, 262_208));
    let (global, local) = rotary(&config);
    assert_eq!((global.theta, &global.scaling), (1e6, &RopeScaling::Linear { factor: 8.0 }));
    assert_eq!(local.unwrap().scaling, RopeScaling::None);
}

#[test]
fn phi3_with_a_long_context() {
    let factors = |x: f32| vec![x; 48];
    let phi3 = |kind: &str| {
        json!({
            "model_type": "phi3", "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192,
            "max_position_embeddings": 131_072, "original_max_position_embeddings": 4096, "num_attention_heads": 32,
            "num_hidden_layers": 32, "num_key_value_heads": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "rope_scaling": {"type": kind, "long_factor": factors(2.0), "short_factor": factors(1.0)},
            "sliding_window": 262_144, "tie_word_embeddings": false, "vocab_size": 32064,
        })
    };
    for kind in ["su", "longrope"] {
        let config = read(&phi3(kind)).unwrap();
        let RopeScaling::LongRope { magnitude, original_context, .. } = &rotary(&config).0.scaling else { panic!() };
        // sqrt(1 + ln 32 / ln 4096)
        assert!((magnitude - 1.190_238).abs() < 1e-5 && (original_context - 4096.0).abs() < 0.5, "{magnitude}");
    }
    let mut short = phi3("longrope");
    short["rope_scaling"]["long_factor"] = json!([1.0]);
    assert!(read(&short).unwrap_err().contains("factors of longrope"));
    short["rope_scaling"]["long_factor"] = json!([]);
    assert!(read(&short).unwrap_err().contains("long_factor nowhere"));
}

#[test]
fn old_models_as_they_were_published() {
    let gpt2 = json!({
        "model_type": "gpt2", "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_ctx": 1024,
        "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257,
    });
    let config = read(&gpt2).unwrap();
    assert_eq!((config.feed_forward, config.head_dim, config.output.is_tied), (3072, 64, true));
    assert_eq!(config.position, Position::Learned { offset: 0, entries: 1024 });

    let pythia = json!({
        "model_type": "gpt_neox", "hidden_act": "gelu", "hidden_size": 768, "intermediate_size": 3072,
        "layer_norm_eps": 1e-5, "max_position_embeddings": 2048, "num_attention_heads": 12, "num_hidden_layers": 12,
        "rotary_emb_base": 20000, "rotary_pct": 0.25, "tie_word_embeddings": false, "use_parallel_residual": true,
        "vocab_size": 50304,
    });
    let config = read(&pythia).unwrap();
    let rope = rotary(&config).0;
    assert_eq!((rope.theta, rope.dims, rope.style), (20000.0, 16, RopeStyle::Halves));
    assert_eq!(config.block.residual, Residual::Parallel);

    let bloom = json!({
        "model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16, "seq_length": 2048,
        "layer_norm_epsilon": 1e-5, "vocab_size": 250_880,
    });
    let config = read(&bloom).unwrap();
    assert_eq!((config.feed_forward, config.context_length, config.input.has_norm), (4096, 2048, true));
    assert_eq!(config.feed_forward_kind, FeedForward::Plain(Activation::GeluTanh));

    let falcon = json!({
        "model_type": "falcon", "alibi": false, "bias": false, "hidden_size": 4544, "layer_norm_epsilon": 1e-5,
        "multi_query": true, "new_decoder_architecture": false, "num_attention_heads": 71, "num_hidden_layers": 32,
        "parallel_attn": true, "vocab_size": 65024,
    });
    let config = read(&falcon).unwrap();
    assert_eq!((config.n_kv_heads, config.block.residual), (1, Residual::ParallelShared));

    let gpt_neo = json!({
        "model_type": "gpt_neo", "attention_types": [[["global", "local"], 6]], "hidden_size": 768,
        "intermediate_size": null, "max_position_embeddings": 2048, "num_heads": 12, "num_layers": 12,
        "layer_norm_epsilon": 1e-5, "vocab_size": 50257, "window_size": 256,
    });
    let config = read(&gpt_neo).unwrap();
    assert_eq!((config.layers[0].window, config.layers[11].window), (None, Some(256)));
    assert!((config.attention.scale - 1.0).abs() < 1e-9);

    let opt = json!({
        "model_type": "opt", "activation_function": "relu", "do_layer_norm_before": false, "ffn_dim": 4096,
        "hidden_size": 1024, "max_position_embeddings": 2048, "num_attention_heads": 16, "num_hidden_layers": 24,
        "vocab_size": 50272, "word_embed_proj_dim": 512,
    });
    let config = read(&opt).unwrap();
    assert_eq!((config.block.residual, config.input.width), (Residual::NormOfSum, Some(512)));
    assert!(!config.output.has_norm);
}

fn gpt_oss() -> Value {
    json!({
        "model_type": "gpt_oss", "attention_bias": true, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2880,
        "intermediate_size": 2880, "layer_types": ["sliding_attention", "full_attention"],
        "max_position_embeddings": 131_072, "num_attention_heads": 64, "num_experts_per_tok": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 8, "num_local_experts": 32, "rms_norm_eps": 1e-5,
        "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
        "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "rope_type": "yarn", "truncate": false,
            "original_max_position_embeddings": 4096},
        "rope_theta": 150_000, "sliding_window": 128, "swiglu_limit": 7.0, "tie_word_embeddings": false,
        "vocab_size": 201_088,
    })
}

#[test]
fn gpt_oss_as_it_was_published() {
    let config = read(&gpt_oss()).unwrap();
    let FeedForward::Experts { gating, n_experts, n_used, .. } = config.feed_forward_kind else { panic!() };
    assert_eq!((gating, n_experts, n_used), (Gating::ClampedSwiglu { alpha: 1.702, limit: 7.0 }, 32, 4));
    let RopeScaling::Yarn { magnitude, truncate, .. } = rotary(&config).0.scaling else { panic!() };
    assert!((magnitude - 1.346_573_6).abs() < 1e-6 && !truncate);
    assert_eq!((config.layers[0].window, config.layers[1].window), (Some(128), None));
}

#[test]
fn qwen3_with_a_stretched_context_and_dynamic_llama() {
    let qwen3 = json!({
        "model_type": "qwen3", "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
        "max_position_embeddings": 131_072, "max_window_layers": 28, "num_attention_heads": 16,
        "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151_936,
    });
    let config = read(&qwen3).unwrap();
    assert_eq!((config.attention.qk_norm, config.layers[27].window), (QkNorm::Heads, None));
    let RopeScaling::Yarn { factor, beta_fast, truncate, .. } = rotary(&config).0.scaling else { panic!() };
    assert!((factor - 4.0).abs() < 1e-6 && (beta_fast - 32.0).abs() < 1e-6 && truncate);
    let mut dynamic = qwen3;
    dynamic["max_position_embeddings"] = json!(4096);
    dynamic["rope_scaling"] = json!({"type": "dynamic", "factor": 2.0});
    assert_eq!(read(&dynamic).unwrap().context_length, 8192, "what it was stretched to");
}

#[test]
fn layers_without_experts_are_those_of_the_list_and_of_the_step() {
    let mut moe = json!({
        "model_type": "qwen3_moe", "head_dim": 16, "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 16,
        "max_position_embeddings": 64, "num_attention_heads": 4, "num_experts": 8, "num_experts_per_tok": 2,
        "num_hidden_layers": 4, "num_key_value_heads": 2, "vocab_size": 9,
    });
    let dense = |json: &Value| read(json).unwrap().layers.iter().map(|layer| layer.dense).collect::<Vec<_>>();
    assert_eq!(dense(&moe), [None; 4]);
    moe["mlp_only_layers"] = json!([3]);
    moe["decoder_sparse_step"] = json!(2);
    assert_eq!(dense(&moe), [Some(64), None, Some(64), Some(64)]);
}

#[test]
fn options_that_no_code_follows_are_refused_by_name() {
    let (gemma, oss) = (gemma3(), gpt_oss());
    let bloom = json!({"model_type": "bloom", "hidden_size": 64, "n_head": 4, "n_layer": 1, "vocab_size": 9});
    let opt = json!({
        "model_type": "opt", "ffn_dim": 64, "hidden_size": 16, "max_position_embeddings": 64,
        "num_attention_heads": 4, "num_hidden_layers": 1, "vocab_size": 9,
    });
    let mut stablelm = opt.clone();
    stablelm["model_type"] = json!("stablelm");
    stablelm["intermediate_size"] = json!(64);
    for (base, key, value) in [
        (&gemma, "use_bidirectional_attention", json!(true)),
        (&gemma, "hidden_activation", json!("quick_gelu")),
        (&gemma, "rope_scaling", json!({"rope_type": "mrope"})),
        (&oss, "layer_types", json!(["chunked_attention", "full_attention"])),
        (&oss, "layer_types", json!(["full_attention"])),
        (&oss, "quantization_config", json!({"quant_method": "gptq"})),
        (&oss, "num_experts_per_tok", json!(33)),
        (&bloom, "apply_residual_connection_post_layernorm", json!(true)),
        (&opt, "layer_norm_elementwise_affine", json!(false)),
        (&stablelm, "qk_layernorm", json!(true)),
    ] {
        assert!(read(base).is_ok(), "{:?}", read(base));
        let mut config = base.clone();
        config[key] = value.clone();
        let error = read(&config).unwrap_err();
        let named = [key, "hidden_act", "rope scaling", "layer type", "experts", "quantization_config"];
        assert!(named.iter().any(|name| error.contains(name)), "{key} {value}: {error}");
    }
}

/// Keys that any family reads.
const KEYS: [&str; 34] = [
    "hidden_size",
    "n_embd",
    "num_attention_heads",
    "n_head",
    "num_heads",
    "num_key_value_heads",
    "num_kv_heads",
    "head_dim",
    "intermediate_size",
    "n_inner",
    "ffn_dim",
    "ffn_hidden_size",
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "vocab_size",
    "max_position_embeddings",
    "n_positions",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "rotary_dim",
    "sliding_window",
    "layer_types",
    "attention_types",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "no_rope_layers",
    "sliding_window_pattern",
    "query_pre_attn_scalar",
    "word_embed_proj_dim",
];

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![Just(0u64), 1u64..9, Just(64), Just(128), Just(u64::MAX)].prop_map(|n| json!(n));
    let float = any::<f64>().prop_map(|x| json!(x));
    let word = prop_oneof![Just("sliding_attention"), Just("yarn"), Just("longrope"), Just("dynamic"), Just("global")];
    let leaf = prop_oneof![
        number,
        float,
        word.prop_map(|word| json!(word)),
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b))
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            Just("rope_type"),
            Just("factor"),
            Just("long_factor"),
            Just("short_factor"),
            Just("rope_theta")
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.prop_map(str::to_owned), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_configuration_panics_and_what_is_accepted_has_angles(
        which in 0..registry::ARCHITECTURES.len(),
        changes in prop::collection::vec((0..KEYS.len(), value()), 0..5),
    ) {
        let mut config = json!({
            "model_type": registry::ARCHITECTURES[which].model_type, "hidden_size": 64, "n_embd": 64, "num_attention_heads": 4, "n_head": 4,
            "num_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "ffn_dim": 128, "n_layer": 2,
            "num_hidden_layers": 2, "num_layers": 2, "vocab_size": 100, "max_position_embeddings": 64, "n_positions": 64,
            "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
            "attention_types": [[["global", "local"], 1]],
        });
        prop_assert!(read(&config).is_ok(), "{:?}", read(&config));
        for (key, value) in changes {
            config[KEYS[key]] = value;
        }
        if let Ok(config) = read(&config) {
            prop_assert!(config.head_dim > 0 && config.n_heads.is_multiple_of(config.n_kv_heads));
            if let Position::Rotary { global, local } = &config.position {
                for rope in std::iter::once(global).chain(local) {
                    prop_assert_eq!(rope.table(config.context_length).frequencies.len() * 2, rope.dims);
                }
            }
        }
    }
}

//! Listings as repositories have them.

use super::*;

fn check(names: &[&str], expected: &[&str]) {
    assert_eq!(choose(names).expect("choice"), expected, "{names:?}");
}

#[test]
fn safetensors_come_with_their_companions_only() {
    check(
        &[
            ".gitattributes",
            "README.md",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
            "model.fp16.safetensors",
            "x.gguf",
        ],
        &["config.json", "model.safetensors", "tokenizer.json"],
    );
}

#[test]
fn shards_need_their_index_and_win_over_copies() {
    check(
        &[
            "config.json",
            "consolidated.safetensors",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "original/model.safetensors",
        ],
        &[
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ],
    );
}

#[test]
fn a_single_gguf_is_enough() {
    check(&["README.md", "config.json", "SmolLM2.q4.gguf"], &["SmolLM2.q4.gguf"]);
}

#[test]
fn what_must_be_converted_comes_last() {
    check(
        &["config.json", "optimizer.pt", "pytorch_model.bin", "tf_model.h5", "training_args.bin", "vocab.txt"],
        &["config.json", "pytorch_model.bin", "vocab.txt"],
    );
    check(&["m.gguf", "pytorch_model.bin"], &["m.gguf"]);
    check(
        &["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json", "other.bin"],
        &["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"],
    );
    check(
        &["pytorch_model.bin", "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/pytorch_model.bin"],
        &["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/pytorch_model.bin", "pytorch_model.bin"],
    );
}

#[test]
fn files_of_tensorflow_come_with_their_data() {
    check(&["config.json", "tf_model.h5", "x.h5"], &["config.json", "tf_model.h5"]);
    check(
        &["tf_model-00001-of-00001.h5", "tf_model.h5.index.json"],
        &["tf_model-00001-of-00001.h5", "tf_model.h5.index.json"],
    );
    check(
        &["bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "bert_model.ckpt.meta", "vocab.txt"],
        &["bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "vocab.txt"],
    );
    check(
        &["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"],
        &["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"],
    );
}

#[test]
fn what_is_ambiguous_or_unsupported_says_what_was_found() {
    let error = choose(&["a.gguf", "b.gguf"]).expect_err("two");
    assert_eq!(error.reason().as_str(), "InvalidSource");
    assert!(error.to_string().contains("a.gguf, b.gguf") && error.to_string().contains("files"), "{error}");
    let error = choose(&["model.onnx", "config.json"]).expect_err("another framework");
    assert_eq!(error.reason().as_str(), "UnsupportedModel");
    assert!(error.to_string().contains("model.onnx"), "{error}");
    let error = choose(&["a.bin", "b.pt"]).expect_err("two");
    assert!(error.to_string().contains("a.bin, b.pt"), "{error}");
    assert!(choose(&["a.safetensors", "b.safetensors"]).is_err());
    assert!(choose(&[]).expect_err("none").to_string().contains("nothing"));
    assert!(refuse_unreadable(&["Model.PKL".to_owned()]).is_err());
    assert!(refuse_unreadable(&["model.gguf".to_owned(), "model.pt".to_owned()]).is_ok());
}

#[test]
fn adapters_come_with_their_model_and_are_never_taken_for_it() {
    let adapter = ["adapters/tuned/adapter_config.json", "adapters/tuned/adapter_model.safetensors"];
    let others = ["adapters/tuned/README.md", "adapters/tuned/optimizer.pt", "adapters/notes.gguf"];
    for model in [&["config.json", "model.safetensors"][..], &["m.gguf"], &["config.json", "pytorch_model.bin"]] {
        let names: Vec<&str> = model.iter().chain(&adapter).chain(&others).copied().collect();
        let expected: Vec<&str> = model.iter().chain(&adapter).copied().collect();
        check(&names, &expected);
    }
    assert!(choose(&adapter).unwrap_err().to_string().contains("holds no weights"));
    let alone = ["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"];
    assert!(choose(&alone).unwrap_err().to_string().contains("adapters/NAME/"));
    check(&["adapter_config.json", "adapter_model.safetensors", "model.safetensors"], &["model.safetensors"]);
    let pickled = ["m.gguf", "adapters/tuned/adapter_config.json", "adapters/tuned/adapter_model.bin"];
    assert!(choose(&pickled).unwrap_err().to_string().contains("save_pretrained"));
    assert!(!is_served(adapter[1]) && is_served("model.safetensors"));
}

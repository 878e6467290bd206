//! Adapters of a model with files of its own, from the folder to the answers.

use std::path::Path;

use serde_json::{Value, json};

use crate::{program::Program, tiny};

/// Rank 2 on queries and on what leaves the feed-forward part; `strength` makes one differ from another.
fn write_adapter(dir: &Path, strength: f32) {
    std::fs::create_dir_all(dir).unwrap();
    let settings = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj", "down_proj"]});
    std::fs::write(dir.join("adapter_config.json"), settings.to_string()).unwrap();
    let (mut table, mut data) = (serde_json::Map::new(), Vec::<u8>::new());
    for (module, n_in, n_out) in [("self_attn.q_proj", 32, 32), ("mlp.down_proj", 64, 32)] {
        for (part, shape) in [("lora_A", [2, n_in]), ("lora_B", [n_out, 2])] {
            let begin = data.len();
            let values = (0..shape[0] * shape[1]).map(|n| strength * f32::from(u8::try_from(n % 5).unwrap()) - 0.5);
            data.extend(values.flat_map(f32::to_le_bytes));
            let name = format!("base_model.model.model.layers.0.{module}.{part}.weight");
            table.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
        }
    }
    let table = serde_json::to_vec(&table).unwrap();
    let bytes = [(table.len() as u64).to_le_bytes().to_vec(), table, data].concat();
    std::fs::write(dir.join("adapter_model.safetensors"), bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adapters_of_the_folder_and_of_the_command_line_answer_under_their_names() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(path("model")).unwrap();
    std::fs::write(path("model/tiny.gguf"), tiny::gguf(1)).unwrap();
    write_adapter(&dir.path().join("model/adapters/weak"), 0.3);
    write_adapter(&dir.path().join("strong"), 0.9);
    let (model, log, strong) = (path("model"), path("last-word"), format!("strong={}", path("strong")));
    let arguments = ["serve", "--model", &model, "--name", "tiny", "--adapter", &strong, "--listen", "127.0.0.1:0"];
    let rest = ["--threads", "2", "--probe-listen", "127.0.0.1:0", "--termination-log", &log];
    let mut program = Program::start(&[&arguments[..], &rest].concat());
    let listening = program.logged("listening");
    let (api, probe) = (listening["api"].as_str().unwrap(), listening["probe"].as_str().unwrap());
    program.logged("serving");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |url: String| client.get(url).send().await.unwrap().text().await.unwrap();
    let models: Value = serde_json::from_str(&get(format!("http://{api}/v1/models")).await).unwrap();
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["tiny", "weak", "strong"]);
    let ask = async |model: &str| {
        let body = json!({"model": model, "prompt": "hello", "max_tokens": 24, "temperature": 0, "ignore_eos": true});
        let answer = client.post(format!("http://{api}/v1/completions")).body(body.to_string()).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(answer["model"], model, "{answer}");
        answer["choices"][0]["text"].as_str().unwrap().to_owned()
    };
    let alone = [ask("tiny").await, ask("weak").await, ask("strong").await];
    assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2], "{alone:?}");
    let (tiny, weak, strong, again) = tokio::join!(ask("tiny"), ask("weak"), ask("strong"), ask("weak"));
    assert_eq!([&tiny, &weak, &strong], alone.each_ref(), "together as alone");
    assert_eq!(again, weak);
    let metrics = get(format!("http://{probe}/metrics")).await;
    assert!(metrics.contains("vllm:lora_requests_info{") && metrics.contains("max_lora=\"2\""), "{metrics}");
    program.terminate();
    assert!(program.wait().success());
}

#[test]
fn an_adapter_that_does_not_fit_keeps_the_model_from_being_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("tiny.gguf"), tiny::gguf(1)).unwrap();
    write_adapter(&dir.path().join("adapters/tuned"), 0.3);
    let settings = path("adapters/tuned/adapter_config.json");
    let dora = std::fs::read_to_string(&settings).unwrap().replace('}', ", \"use_dora\": true}");
    std::fs::write(&settings, dora).unwrap();
    let (model, log) = (dir.path().to_str().unwrap(), path("last-word"));
    let serve = ["serve", "--model", model, "--listen", "127.0.0.1:0"];
    let verify = ["verify", "--model", model];
    for command in [&serve[..], &verify] {
        let rest = ["--probe-listen", "127.0.0.1:0", "--termination-log", &log];
        assert_eq!(Program::start(&[command, &rest].concat()).wait().code(), Some(1));
        let failed = crate::program::read_json(Path::new(&log))["failed"].clone();
        assert_eq!(failed["reason"], "UnsupportedModel", "{failed}");
        assert!(failed["message"].as_str().unwrap().contains("use_dora=False"), "{failed}");
    }
}

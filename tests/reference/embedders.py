#!/usr/bin/env python3
"""Makes tests/fixtures/embedders: tiny random decoders that make vectors or judge texts, what transformers answers for
tokens, and what sentence-transformers answers for texts.

    embedders.py            rewrites the folder
    embedders.py --check    fails when a committed answer is not what the script makes (to 1e-5)
"""
import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers as t
from sentence_transformers import SentenceTransformer
from tokenizers import decoders, processors

import encoders
from encoders_gguf import byte_pairs

FOLDER = encoders.FOLDER.parent / "embedders"
SIZES = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, pad_token_id=1)
LABELS = {"num_labels": 3, "id2label": {0: "calm", 1: "glad", 2: "cross"}}
TEXTS = ["the cat sat", "a hat 42", "that mat the cat sat at ? the hat", "s"]
# Class, configuration, what sentence-transformers puts beside it, its settings.
PROMPTS = {"prompts": {"query": "ask the cat ", "document": ""}, "default_prompt_name": "query", "similarity_fn_name": "cosine"}
CASES = {
    "qwen3": (t.Qwen3Model, t.Qwen3Config(**SIZES, head_dim=16), ["lasttoken", "normalize"], None),
    "qwen3-prompt": (t.Qwen3Model, t.Qwen3Config(**SIZES, head_dim=16), ["lasttoken", "normalize"], PROMPTS),
    "qwen2-mean": (t.Qwen2Model, t.Qwen2Config(**SIZES), ["mean", "dense"], None),
    "llama-bare": (t.LlamaModel, t.LlamaConfig(**SIZES), ["mean", "normalize"], None),
    "mistral": (t.MistralModel, t.MistralConfig(**SIZES, sliding_window=6), ["lasttoken", "normalize"], None),
    "gemma2": (t.Gemma2Model, t.Gemma2Config(**SIZES, head_dim=16, query_pre_attn_scalar=10, sliding_window=6), ["lasttoken", "normalize"], None),
    "gpt2": (t.GPT2Model, t.GPT2Config(vocab_size=96, n_embd=32, n_inner=48, n_layer=3, n_head=4, n_positions=64), ["mean"], None),
    "qwen3-classify": (t.Qwen3ForSequenceClassification, t.Qwen3Config(**SIZES, head_dim=16, **LABELS), None, None),
    "llama-classify": (t.LlamaForSequenceClassification, t.LlamaConfig(**SIZES, **LABELS), None, None),
    "qwen2-rerank": (t.Qwen2ForSequenceClassification, t.Qwen2Config(**SIZES, num_labels=1), None, None),
    "mistral-classify": (t.MistralForSequenceClassification, t.MistralConfig(**SIZES, sliding_window=6, **LABELS), None, None),
}


def tokenizer(folder):
    """Byte pairs of a few words, with the end-of-text token behind every text."""
    made, *_ = byte_pairs(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<s>", "</s>", processors.RobertaProcessing)
    made.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B:0 </s>", [("</s>", 2)])
    made.decoder = decoders.ByteLevel()
    (folder / "tokenizer.json").write_text(made.to_str() + "\n")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>", "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def pooled(hidden, stages, dense):
    return encoders.pooled(hidden[-1:], stages[1:], dense)[0] if stages[0] == "lasttoken" else encoders.pooled(hidden, stages, dense)


def rows(model, text, stages, dense):
    with torch.no_grad():
        output = model(input_ids=torch.tensor([text["tokens"]]))
    return [pooled(output.last_hidden_state[0], stages, dense)] if stages else list(output.logits)


def write_modules(folder, stages, dense, config):
    encoders.write_modules(folder, [stage if stage != "lasttoken" else "cls" for stage in stages], dense, config)
    if stages[0] == "lasttoken":
        path = folder / "1_Pooling/config.json"
        pooling = json.loads(path.read_text()) | {"pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}
        path.write_text(json.dumps(pooling, indent=1) + "\n")


def make(name, folder, seed):
    kind, config, stages, settings = CASES[name]
    config._attn_implementation = "eager"
    model = kind(config).eval()
    encoders.randomise(model, seed)
    dense = torch.nn.Linear(32, encoders.DENSE_OUT)
    encoders.randomise(dense, seed + 1)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    tokenizer(folder)
    if stages and not name.endswith("-bare"):
        write_modules(folder, stages, dense, config)
    if settings:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings, indent=1) + "\n")
    answers = {"tokens": encoders.inputs(config, seed + 2)}
    for text in answers["tokens"]:
        text["rows"] = [[round(x, 6) for x in row.tolist()] for row in rows(model, text, stages, dense)]
    if stages and not name.endswith("-bare"):
        vectors = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, batch_size=1)
        answers["texts"] = [{"text": text, "vector": [round(float(x), 6) for x in vector]} for text, vector in zip(TEXTS, vectors)]
    return answers


def main():
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        answers = {name: make(name, work / name, 100 * nth) for nth, name in enumerate(CASES)}
        if "--check" in sys.argv:
            committed = json.loads((FOLDER / "expected.json").read_text())
            for name, found in answers.items():
                numbers = lambda all: torch.tensor([x for text in all["tokens"] for row in text["rows"] for x in row] + [x for text in all.get("texts", []) for x in text["vector"]])
                if name not in committed or not torch.allclose(numbers(found), numbers(committed[name]), atol=1e-5):
                    sys.exit(f"{name}: the committed answers are not what this script makes")
            return
        shutil.rmtree(FOLDER, ignore_errors=True)
        shutil.copytree(work, FOLDER)
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(found)}" for name, found in answers.items())
        (FOLDER / "expected.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()

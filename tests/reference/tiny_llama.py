"""Makes tiny random llamas, as GGUF and as a Hugging Face directory, and their logits: fixtures of runtime/models."""

import json
import pathlib
import struct
import sys

import gguf
import numpy as np

from llama import Llama, permuted
from output import ROOT, settle

HERE = "runtime/models/testdata"
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
VARIANTS = {
    # Shared heads, tied embedding.
    "llama": {"model_type": "llama", "num_key_value_heads": 2, "tied": True},
    # Biases on q, k, v; an output of its own; a head that is wider than its share.
    "qwen2": {"model_type": "qwen2", "num_key_value_heads": 1, "tied": False, "head_dim": 16},
    # Frequencies stretched as Llama 3.1's.
    "llama3": {"model_type": "llama", "num_key_value_heads": 4, "tied": False, "rope_scaling": {
        "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}},
}


def make(variant, seed):
    rng = np.random.default_rng(seed)
    c = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 40,
         "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 1000.0, "hidden_act": "silu", **variant}
    tied = c.pop("tied")
    dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    hidden, q, kv, inner = c["hidden_size"], dim * c["num_attention_heads"], dim * c["num_key_value_heads"], c["intermediate_size"]
    w = {}
    put = lambda name, *shape: w.__setitem__(name, (rng.standard_normal(shape) * 0.3).astype(np.float16).astype(np.float32))
    put("model.embed_tokens.weight", c["vocab_size"], hidden)
    if not tied:
        put("lm_head.weight", c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}"
        for name, n_out, n_in in [("q_proj", q, hidden), ("k_proj", kv, hidden), ("v_proj", kv, hidden), ("o_proj", hidden, q)]:
            put(f"{p}.self_attn.{name}.weight", n_out, n_in)
            if c["model_type"] == "qwen2" and name != "o_proj":
                put(f"{p}.self_attn.{name}.bias", n_out)
        for name, n_out, n_in in [("gate_proj", inner, hidden), ("up_proj", inner, hidden), ("down_proj", hidden, inner)]:
            put(f"{p}.mlp.{name}.weight", n_out, n_in)
        for name in ["input_layernorm", "post_attention_layernorm"]:
            w[f"{p}.{name}.weight"] = (1 + rng.standard_normal(hidden) * 0.1).astype(np.float32)
    w["model.norm.weight"] = (1 + rng.standard_normal(hidden) * 0.1).astype(np.float32)
    return c, w


def llama3_factors(c, dim):
    s = c["rope_scaling"]
    frequencies = 1.0 / c["rope_theta"] ** (np.arange(dim // 2) * 2 / dim)
    factors = []
    for wavelength in 2 * np.pi / frequencies:
        low, high = s["original_max_position_embeddings"] / s["low_freq_factor"], s["original_max_position_embeddings"] / s["high_freq_factor"]
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(s["factor"])
        else:
            smooth = (s["original_max_position_embeddings"] / wavelength - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / s["factor"] + smooth))
    return frequencies.astype(np.float32), np.array(factors, np.float32)


def write_gguf(path, c, w, factors):
    arch = c["model_type"]
    out = gguf.GGUFWriter(path, arch)
    out.add_context_length(c["max_position_embeddings"])
    out.add_embedding_length(c["hidden_size"])
    out.add_block_count(c["num_hidden_layers"])
    out.add_feed_forward_length(c["intermediate_size"])
    out.add_head_count(c["num_attention_heads"])
    out.add_head_count_kv(c["num_key_value_heads"])
    out.add_layer_norm_rms_eps(c["rms_norm_eps"])
    out.add_rope_freq_base(c["rope_theta"])
    if "head_dim" in c:
        out.add_key_length(c["head_dim"])
        out.add_value_length(c["head_dim"])
    tokens = [chr(33 + n) for n in range(c["vocab_size"])]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    out.add_token_list(tokens)
    out.add_token_types([1] * len(tokens))
    out.add_token_merges(["! \""])
    out.add_eos_token_id(0)
    for name, tensor in w.items():
        parts = name.rsplit(".", 1)
        short = parts[0].split(".", 3)
        if name.startswith("model.layers."):
            role = short[3]
            target = f"blk.{short[2]}.{GGUF_NAMES[role]}.{parts[1]}"
            n_heads = {"attn_q": c["num_attention_heads"], "attn_k": c["num_key_value_heads"]}.get(GGUF_NAMES[role])
            if arch == "llama" and n_heads and parts[1] == "weight":
                tensor = permuted(tensor, n_heads)
        else:
            target = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[parts[0]] + ".weight"
        # Matrices are exact in f16; one of each kind of file.
        out.add_tensor(target, tensor.astype(np.float16) if tensor.ndim == 2 and arch == "llama" else tensor)
    if factors is not None:
        out.add_tensor("rope_freqs.weight", factors)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def safetensors(w):
    table, data = {}, b""
    for name, tensor in sorted(w.items()):
        raw = tensor.astype(np.float16).tobytes() if tensor.ndim == 2 else tensor.tobytes()
        table[name] = {"dtype": "F16" if tensor.ndim == 2 else "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(table).encode()
    return struct.pack("<Q", len(head)) + head + data


def main():
    tokens = [3, 17, 17, 0, 39, 8, 21, 5, 5, 12, 30, 1, 2, 33, 27, 14, 9, 38, 6, 25, 11]
    expected = []
    for seed, (name, variant) in enumerate(VARIANTS.items()):
        c, w = make(variant, seed)
        dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        reference, factors = dict(c), None
        if "rope_scaling" in c:
            frequencies, factors = llama3_factors(c, dim)
            reference["frequencies"] = frequencies / factors
        model = Llama(reference, w)
        logits = model.forward(np.array(tokens))
        greedy, step = [], logits[-1]
        for _ in range(24):
            greedy.append(int(step.argmax()))
            step = model.forward(np.array(greedy[-1:]))[-1]
        expected.append({"name": name, "tokens": tokens, "last": [round(float(x), 6) for x in logits[-1]],
                         "middle": [round(float(x), 6) for x in logits[7]], "greedy": greedy})
        if "--check" not in sys.argv:
            directory = ROOT / HERE / name
            directory.mkdir(parents=True, exist_ok=True)
            write_gguf(ROOT / HERE / f"{name}.gguf", c, w, factors)
            (directory / "model.safetensors").write_bytes(safetensors(w))
            (directory / "config.json").write_text(json.dumps(c, indent=1) + "\n")
            tokenizer = {"version": "1.0", "added_tokens": [], "decoder": {"type": "ByteLevel"},
                         "model": {"type": "BPE", "vocab": {chr(33 + n): n for n in range(c["vocab_size"])}, "merges": []}}
            (directory / "tokenizer.json").write_text(json.dumps(tokenizer) + "\n")
    settle(f"{HERE}/tiny.json", expected)


main()

"""Greedy answers of a GGUF llama in f32, dequantised: expected outputs for SmolLM2-135M-Instruct.

usage: greedy.py MODEL.gguf [--check]
"""

import sys

import gguf
import numpy as np

from llama import Llama, unpermuted
from output import settle

NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}
PROMPTS = [
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
    "The quick brown fox",
    "def fibonacci(n):\n    ",
    "1, 2, 3, 4, 5,",
    "Tokyo (東京) is the capital of Japan, München is a city in Germany, and Kraków is a city in",
    # Longer than several blocks of the cache.
    "".join(f"Section {n}: the tenant shall pay {n * 37} EUR on day {n} of each month.\n" for n in range(1, 15)) + "Section 15:",
]


def load(path):
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[f"llama.{key}"].contents()
    c = {
        "hidden_size": field("embedding_length"), "num_hidden_layers": field("block_count"),
        "num_attention_heads": field("attention.head_count"), "num_key_value_heads": field("attention.head_count_kv"),
        "rms_norm_eps": field("attention.layer_norm_rms_epsilon"), "rope_theta": field("rope.freq_base"),
    }
    w = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name = tensor.name.removesuffix(".weight")
        if name.startswith("blk."):
            _, layer, role = name.split(".")
            n_heads = {"attn_q": c["num_attention_heads"], "attn_k": c["num_key_value_heads"]}.get(role)
            w[f"model.layers.{layer}.{NAMES[role]}.weight"] = unpermuted(values, n_heads) if n_heads else values
        else:
            w[{"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight", "output": "lm_head.weight"}[name]] = values
    return c, w, reader


def tokenizer(reader):
    """The publisher's own rules (tokenizer.json of the repository), on the vocabulary of the file."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    out = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(tokens)}, merges=merges))
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    out.decoder = decoders.ByteLevel()
    out.add_special_tokens([AddedToken(token, normalized=False) for token, kind in zip(tokens, types) if kind == 3])
    return out


def best_of(logits):
    """[token, log of its probability] of the ten best, best first."""
    logs = logits - logits.max() - np.log(np.exp((logits - logits.max()).astype(np.float64)).sum())
    return [[int(token), round(float(logs[token]), 4)] for token in np.argsort(-logs)[:10]]


def main():
    c, w, reader = load(sys.argv[1])
    words = tokenizer(reader)
    cases = []
    for prompt in PROMPTS:
        tokens = words.encode(prompt).ids
        model, greedy, margins = Llama(c, w), [], []
        logits = model.forward(np.array(tokens))[-1]
        first = best_of(logits)
        for _ in range(48):
            best = int(logits.argmax())
            margins.append(round(float(logits[best] - np.partition(logits, -2)[-2]), 3))
            greedy.append(best)
            logits = model.forward(np.array([best]))[-1]
        cases.append({"prompt": prompt, "tokens": tokens, "greedy": greedy, "margins": margins, "first": first, "text": words.decode(greedy)})
    settle("runtime/models/testdata/smollm2-greedy.json", cases)


if __name__ == "__main__":
    main()

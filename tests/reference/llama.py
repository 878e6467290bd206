"""A llama in numpy, f32, as plain as can be: what the runtime's models are compared with."""

import numpy as np


def rms_norm(x, gain, epsilon):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gain


def rotate_halves(x, positions, theta, frequencies=None):
    """x: [heads, rows, head_dim]; element i with i + n/2, as Hugging Face checkpoints have it."""
    half = x.shape[-1] // 2
    if frequencies is None:
        frequencies = 1.0 / theta ** (np.arange(half, dtype=np.float32) * 2 / x.shape[-1])
    angles = positions[:, None].astype(np.float32) * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def permuted(weight, n_heads):
    """Rows of q and k as GGUF's llama architecture stores them: the halves of a head become neighbours."""
    n_out, n_in = weight.shape
    return weight.reshape(n_heads, 2, n_out // n_heads // 2, n_in).swapaxes(1, 2).reshape(n_out, n_in)


def unpermuted(weight, n_heads):
    n_out, n_in = weight.shape
    return weight.reshape(n_heads, n_out // n_heads // 2, 2, n_in).swapaxes(1, 2).reshape(n_out, n_in)


class Llama:
    """weights: Hugging Face names; config: Hugging Face keys."""

    def __init__(self, config, weights):
        self.c, self.w = config, weights
        self.keys = [None] * config["num_hidden_layers"]
        self.values = [None] * config["num_hidden_layers"]
        self.length = 0

    def linear(self, x, name):
        y = x @ self.w[f"{name}.weight"].T
        return y + self.w[f"{name}.bias"] if f"{name}.bias" in self.w else y

    def attend(self, x, layer, prefix):
        c = self.c
        n_heads, n_kv = c["num_attention_heads"], c["num_key_value_heads"]
        dim = c.get("head_dim") or c["hidden_size"] // n_heads
        rows = x.shape[0]
        positions = np.arange(self.length, self.length + rows)
        heads = lambda y, n: y.reshape(rows, n, dim).swapaxes(0, 1)
        rope = lambda y: rotate_halves(y, positions, c["rope_theta"], c.get("frequencies"))
        q = rope(heads(self.linear(x, f"{prefix}.q_proj"), n_heads))
        k = rope(heads(self.linear(x, f"{prefix}.k_proj"), n_kv))
        v = heads(self.linear(x, f"{prefix}.v_proj"), n_kv)
        if self.keys[layer] is not None:
            k = np.concatenate([self.keys[layer], k], 1)
            v = np.concatenate([self.values[layer], v], 1)
        self.keys[layer], self.values[layer] = k, v
        k, v = np.repeat(k, n_heads // n_kv, 0), np.repeat(v, n_heads // n_kv, 0)
        scores = q @ k.swapaxes(1, 2) / np.sqrt(np.float32(dim))
        scores = np.where(np.arange(k.shape[1]) > positions[:, None], -np.inf, scores)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return self.linear((weights @ v).swapaxes(0, 1).reshape(rows, n_heads * dim), f"{prefix}.o_proj")

    def forward(self, tokens):
        """Logits of every token; keys and values are kept for the next call."""
        c, w, epsilon = self.c, self.w, self.c["rms_norm_eps"]
        x = w["model.embed_tokens.weight"][tokens]
        for layer in range(c["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            x = x + self.attend(rms_norm(x, w[f"{prefix}.input_layernorm.weight"], epsilon), layer, f"{prefix}.self_attn")
            h = rms_norm(x, w[f"{prefix}.post_attention_layernorm.weight"], epsilon)
            gate = self.linear(h, f"{prefix}.mlp.gate_proj")
            x = x + self.linear(gate / (1 + np.exp(-gate)) * self.linear(h, f"{prefix}.mlp.up_proj"), f"{prefix}.mlp.down_proj")
        self.length += len(tokens)
        x = rms_norm(x, w["model.norm.weight"], epsilon)
        return x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T

"""Writes a checkpoint of families.py as GGUF, with the names, keys and orders of rows that llama.cpp's converter uses."""

import json
import math

import gguf
import numpy as np
from safetensors.numpy import load_file

from llama import permuted

A = gguf.MODEL_ARCH
# Fixtures whose architecture llama.cpp can run, with the options that its files can say.
ARCHITECTURES = {
    "llama-yarn": A.LLAMA, "llama-linear": A.LLAMA, "mistral-full": A.LLAMA, "qwen3": A.QWEN3, "gemma": A.GEMMA, "gemma2": A.GEMMA2, "gemma3": A.GEMMA3, "phi3": A.PHI3, "phi3-long": A.PHI3, "olmo2": A.OLMO2, "olmo3": A.OLMO2, "granite": A.GRANITE, "seed-oss": A.SEED_OSS, "exaone4": A.EXAONE4, "exaone4-full": A.EXAONE4,
    "smollm3": A.SMOLLM3, "starcoder2": A.STARCODER2, "gpt2": A.GPT2, "gpt-neox": A.GPTNEOX, "gpt-neox-sequential": A.GPTNEOX, "mixtral": A.LLAMA,
    "qwen3-moe-normed": A.QWEN3MOE, "gpt-bigcode": A.STARCODER, "bloom": A.BLOOM, "falcon": A.FALCON, "falcon-shared": A.FALCON, "falcon-one-norm": A.FALCON, "gpt-oss": A.GPT_OSS, "gpt-oss-mxfp4": A.GPT_OSS,
}


def first(config, *keys, default=None):
    return next((config[key] for key in keys if config.get(key) is not None), default)


def dimensions(config):
    hidden, heads = first(config, "hidden_size", "n_embd"), first(config, "num_attention_heads", "n_head")
    kind = config["model_type"]
    kv = {"gpt_bigcode": 1, "falcon": config.get("num_kv_heads") if config.get("new_decoder_architecture") else 1, "gpt_neox": heads}.get(kind) or first(config, "num_key_value_heads", default=heads)
    return hidden, heads, kv, first(config, "head_dim", default=hidden // heads)


def metadata(out, config, arch):
    hidden, heads, kv, dim = dimensions(config)
    rope = config.get("rope_parameters") or {}
    rope = rope.get("full_attention", rope)
    inner = first(config, "ffn_dim", "ffn_hidden_size", "intermediate_size", "n_inner", default=4 * hidden)
    out.add_context_length(first(config, "max_position_embeddings", "n_positions", default=128))
    out.add_embedding_length(hidden)
    out.add_block_count(first(config, "num_hidden_layers", "n_layer"))
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(kv)
    if "rms_norm_eps" in config:
        out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        out.add_layer_norm_eps(first(config, "layer_norm_epsilon", "layer_norm_eps", "norm_epsilon"))
    if config.get("head_dim"):
        out.add_key_length(dim)
        out.add_value_length(dim)
    if "rope_theta" in rope:
        out.add_rope_freq_base(rope["rope_theta"])
        out.add_rope_dimension_count(int(dim * rope.get("partial_rotary_factor", 1.0)))
    if "sliding_attention" in (config.get("rope_parameters") or {}):
        out.add_float32(f"{out.arch}.rope.freq_base_swa", config["rope_parameters"]["sliding_attention"]["rope_theta"])
        out.add_array(f"{out.arch}.attention.sliding_window_pattern", [kind == "sliding_attention" for kind in config["layer_types"]])
    scaling(out, config, rope)
    if config.get("sliding_window"):
        out.add_sliding_window(config["sliding_window"])
    for key, add in [("attn_logit_softcapping", out.add_attn_logit_softcapping), ("final_logit_softcapping", out.add_final_logit_softcapping)]:
        if config.get(key):
            add(config[key])
    for key, add in [("embedding_multiplier", out.add_embedding_scale), ("attention_multiplier", out.add_attention_scale), ("residual_multiplier", out.add_residual_scale), ("logits_scaling", out.add_logit_scale)]:
        if key in config:
            add(config[key])
    if config["model_type"] == "exaone4" and config.get("sliding_window"):
        out.add_array(f"{out.arch}.attention.sliding_window_pattern", [kind == "sliding_attention" for kind in config["layer_types"]])
    if "use_parallel_residual" in config:
        out.add_parallel_residual(config["use_parallel_residual"])
    if "num_local_experts" in config:
        out.add_expert_count(config["num_local_experts"])
        out.add_expert_used_count(config["num_experts_per_tok"])
        out.add_expert_feed_forward_length(config.get("moe_intermediate_size", inner))
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("default")
    # llama.cpp opens no file without them.
    out.add_token_list([chr(0x100 + n) for n in range(config["vocab_size"])])
    out.add_token_types([gguf.TokenType.NORMAL] * config["vocab_size"])
    out.add_token_merges(["\u0100 \u0101"])


def scaling(out, config, rope):
    kind = rope.get("rope_type")
    if kind == "linear":
        out.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        out.add_rope_scaling_factor(rope["factor"])
    elif kind == "yarn":
        out.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        out.add_rope_scaling_factor(rope["factor"])
        out.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        out.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        out.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
    elif kind == "longrope":
        original = rope["original_max_position_embeddings"]
        out.add_rope_scaling_orig_ctx_len(original)
        out.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(config["max_position_embeddings"] / original) / math.log(original)))
        for name in ["long", "short"]:
            out.add_tensor(f"rope_factors_{name}.weight", np.array(rope[f"{name}_factor"], np.float32))


def arranged(name, tensor, config):
    """The tensor as the converter has it, one or several by name."""
    kind = config["model_type"]
    hidden, heads, kv, dim = dimensions(config)
    if kind in ("llama", "granite", "mistral", "mixtral", "smollm3") and (".q_proj." in name or ".k_proj." in name):
        flat = tensor if tensor.ndim == 2 else tensor[:, None]
        return {name: permuted(flat, heads if ".q_proj." in name else kv).reshape(tensor.shape)}
    if kind.startswith("gemma") and name.endswith("norm.weight"):
        tensor = tensor + 1
    if kind.startswith("gemma") and "query_pre_attn_scalar" in config:
        # The files cannot say the scale of the scores: it goes into the queries.
        scale = math.sqrt(dim / config["query_pre_attn_scalar"])
        scaled = ".q_norm." if kind == "gemma3_text" else ".q_proj."
        return {name: tensor * scale if scaled in name else tensor}
    if "query_key_value" in name:
        groups = tensor.reshape(kv, heads // kv + 2, dim, -1)
        parts = [groups[:, :-2], groups[:, -2], groups[:, -1]]
        return {name: np.concatenate([part.reshape(-1, groups.shape[-1]) for part in parts]).reshape(tensor.shape)}
    if kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return {name: tensor.T}
    if kind == "gpt_oss" and "experts" in name:
        base, is_bias = name.removesuffix("_bias"), name.endswith("_bias")
        tensor, ending = (tensor, ".bias") if is_bias else (tensor.swapaxes(1, 2), ".weight")
        if "gate_up_proj" in name:
            return {base.replace("gate_up", "gate") + ending: tensor[:, ::2], base.replace("gate_up", "up") + ending: tensor[:, 1::2]}
        return {base + ending: tensor}
    return {name + ".weight" if name.endswith("sinks") else name: tensor}


def packed(tensors):
    """MXFP4 in GGML's blocks: the exponent first, in each byte a number and the one 16 after it."""
    for name in [name for name in tensors if name.endswith("_blocks")]:
        blocks, scales = tensors.pop(name), tensors.pop(name.replace("_blocks", "_scales"))
        numbers = np.stack([blocks & 15, blocks >> 4], -1).reshape(*blocks.shape[:-1], 32)
        blocks = np.concatenate([scales[..., None], numbers[..., :16] | numbers[..., 16:] << 4], -1)
        blocks = blocks.reshape(*blocks.shape[:2], -1)
        base = name.removesuffix("_blocks")
        yield from [(base.replace("gate_up", "gate"), blocks[:, ::2]), (base.replace("gate_up", "up"), blocks[:, 1::2])] if "gate_up" in base else [(base, blocks)]


def stacked(tensors):
    """Experts one behind the other."""
    result, experts = {}, {}
    for name, tensor in tensors.items():
        if ".experts." in name and name.split(".experts.")[1][0].isdigit():
            before, after = name.split(".experts.")
            nth, part = after.split(".", 1)
            experts.setdefault(f"{before}.experts.{part}", {})[int(nth)] = tensor
        else:
            result[name] = tensor
    return result | {name: np.stack([all[nth] for nth in sorted(all)]) for name, all in experts.items()}


def write(name, folder):
    if name not in ARCHITECTURES:
        return
    arch = ARCHITECTURES[name]
    config = json.loads((folder / "config.json").read_text())
    (folder / "gguf").mkdir(exist_ok=True)
    out = gguf.GGUFWriter(folder / "gguf" / "model.gguf", gguf.MODEL_ARCH_NAMES[arch])
    metadata(out, config, arch)
    names = gguf.get_tensor_name_map(arch, first(config, "num_hidden_layers", "n_layer"))
    tensors, files = {}, load_file(folder / "model.safetensors")
    for name, blocks in packed(files):
        out.add_tensor(names.get_name(name) + ".weight", np.ascontiguousarray(blocks), raw_dtype=gguf.GGMLQuantizationType.MXFP4)
    for name, tensor in files.items():
        tensors |= arranged(name, tensor.astype(np.float32), config)
    for name, tensor in sorted(stacked(tensors).items()):
        if arch == A.BLOOM:
            name = name.removeprefix("transformer.")
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target, f"{name} has no name in GGUF"
        half = tensor.astype(np.float16)
        is_half = tensor.ndim > 1 and target.endswith("weight") and np.array_equal(half.astype(np.float32), tensor)
        out.add_tensor(target, np.ascontiguousarray(half if is_half else tensor))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()

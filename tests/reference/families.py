"""Makes a tiny random checkpoint of every family of decoders, and what transformers computes with it: fixtures of runtime/models.

For each: config.json and model.safetensors as transformers writes them, scores of some rows of a prompt, and 64 tokens, the likeliest each time.
Where llama.cpp has the architecture, the same weights as GGUF (families_gguf.py).
"""

import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

import families_gguf
from output import ROOT

HERE = "tests/fixtures/decoders"
PROMPT, GREEDY, ROWS = 24, 64, (0, 7, 15, 23)
LLAMA = dict(vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128)
GPT2 = dict(vocab_size=128, n_embd=32, n_inner=64, n_layer=3, n_head=4, n_positions=128)
YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 8.0, "beta_slow": 0.5}
# What depends on the length follows in transformers the sequence, in the runtime the context that is served.
SERVED = {"llama-dynamic": PROMPT, "phi3": 96}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1000.0, "partial_rotary_factor": 0.5, "short_factor": [1.0, 1.1], "long_factor": [1.5, 3.0], "original_max_position_embeddings": 96}


def rope(theta=1000.0, **more):
    return {"rope_type": "default", "rope_theta": theta, **more}


# Name of the fixture: kind of transformers, its options.
FAMILIES = {
    # Rope scalings that the checkpoints in runtime/models/testdata do not have.
    "llama-yarn": ("Llama", {**LLAMA, "head_dim": 16, "rope_parameters": YARN, "attention_bias": True, "mlp_bias": True}),
    "llama-linear": ("Llama", {**LLAMA, "rope_parameters": rope(rope_type="linear", factor=2.0), "tie_word_embeddings": True}),
    "llama-dynamic": ("Llama", {**LLAMA, "max_position_embeddings": 12, "rope_parameters": rope(rope_type="dynamic", factor=4.0)}),
    "mistral": ("Mistral", {**LLAMA, "head_dim": 16, "sliding_window": 6}),
    "mistral-full": ("Mistral", {**LLAMA, "sliding_window": None}),
    # A window in the later layers; norms of heads, heads wider than their share.
    "qwen2-window": ("Qwen2", {**LLAMA, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}),
    "qwen3": ("Qwen3", {**LLAMA, "head_dim": 16, "attention_bias": True}),
    "gemma": ("Gemma", {**LLAMA, "head_dim": 16, "hidden_act": "gelu_pytorch_tanh"}),
    "gemma2": ("Gemma2", {**LLAMA, "head_dim": 16, "query_pre_attn_scalar": 10, "sliding_window": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": ("Gemma3Text", {**LLAMA, "head_dim": 16, "query_pre_attn_scalar": 10, "sliding_window": 6, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
               "rope_parameters": {"sliding_attention": rope(), "full_attention": rope(50000.0, rope_type="linear", factor=8.0)}}),
    # The text of one that sees; its eyes are in the files and are not read.
    "gemma3-vision": ("Gemma3", {"text_config": {**LLAMA, "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 6, "rope_parameters": {"sliding_attention": rope(), "full_attention": rope(50000.0)}},
                      "vision_config": dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8, patch_size=4), "mm_tokens_per_image": 4, "image_token_index": 127, "boi_token_index": 126, "eoi_token_index": 125}),
    "phi3": ("Phi3", {**LLAMA, "sliding_window": 20, "original_max_position_embeddings": 96, "rope_parameters": LONGROPE, "pad_token_id": 0}),
    "phi3-long": ("Phi3", {**LLAMA, "original_max_position_embeddings": 16, "rope_parameters": {**LONGROPE, "original_max_position_embeddings": 16}, "pad_token_id": 0}),
    "olmo2": ("Olmo2", LLAMA),
    # Another rotation in layers with a window.
    "olmo3": ("Olmo3", {**LLAMA, "sliding_window": 6, "layer_types": ["sliding_attention", "sliding_attention", "full_attention"], "rope_parameters": {"sliding_attention": rope(), "full_attention": YARN}}),
    "ministral": ("Ministral", {**LLAMA, "head_dim": 16, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    "mistral3": ("Mistral3", {"text_config": {**LLAMA, "model_type": "mistral", "head_dim": 16, "sliding_window": None}, "image_token_index": 127, "spatial_merge_size": 1,
                 "vision_config": dict(model_type="pixtral", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8, patch_size=4)}),
    "granite": ("Granite", {**LLAMA, "embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.6, "logits_scaling": 2.0, "attention_bias": True}),
    "seed-oss": ("SeedOss", {**LLAMA, "head_dim": 16}),
    "stablelm": ("StableLm", {**LLAMA, "use_qkv_bias": True, "rope_parameters": rope(partial_rotary_factor=0.25)}),
    "stablelm-parallel": ("StableLm", {**LLAMA, "use_parallel_residual": True, "rope_parameters": rope(partial_rotary_factor=0.5)}),
    "ernie4.5": ("Ernie4_5", {**LLAMA, "head_dim": 16, "use_bias": True}),
    "exaone4": ("Exaone4", {**LLAMA, "sliding_window": 6, "sliding_window_pattern": 3}),
    "exaone4-full": ("Exaone4", {**LLAMA, "sliding_window": None, "layer_types": ["full_attention"] * 3}),
    "glm4": ("Glm4", {**LLAMA, "head_dim": 16, "pad_token_id": 0, "rope_parameters": rope(partial_rotary_factor=0.5)}),
    "smollm3": ("SmolLM3", {**LLAMA, "num_hidden_layers": 4, "no_rope_layer_interval": 4, "pad_token_id": 0}),
    "starcoder2": ("Starcoder2", {**LLAMA, "sliding_window": 6}),
    "gpt2": ("GPT2", GPT2),
    "gpt2-scaled": ("GPT2", {**GPT2, "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False, "activation_function": "gelu"}),
    "gpt-neox": ("GPTNeoX", {**LLAMA, "num_key_value_heads": None, "rope_parameters": rope(partial_rotary_factor=0.5)}),
    "gpt-neox-sequential": ("GPTNeoX", {**LLAMA, "num_key_value_heads": None, "use_parallel_residual": False, "attention_bias": False}),
    "mixtral": ("Mixtral", {**LLAMA, "intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "qwen3-moe": ("Qwen3Moe", {**LLAMA, "head_dim": 16, "moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": False}),
    "qwen3-moe-normed": ("Qwen3Moe", {**LLAMA, "num_hidden_layers": 2, "head_dim": 16, "moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": True}),
    # One layer without experts by its number, one by the step.
    "qwen3-moe-dense": ("Qwen3Moe", {**LLAMA, "num_hidden_layers": 4, "head_dim": 16, "moe_intermediate_size": 16, "num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": True, "mlp_only_layers": [1], "decoder_sparse_step": 2}),
    "gpt-bigcode": ("GPTBigCode", GPT2),
    "gpt-bigcode-heads": ("GPTBigCode", {**GPT2, "multi_query": False}),
    "opt": ("OPT", {**LLAMA, "ffn_dim": 64}),
    "opt-after": ("OPT", {**LLAMA, "ffn_dim": 64, "do_layer_norm_before": False, "word_embed_proj_dim": 16}),
    "bloom": ("Bloom", dict(vocab_size=128, hidden_size=48, n_layer=3, n_head=6)),
    "falcon": ("Falcon", {**LLAMA, "ffn_hidden_size": 64, "new_decoder_architecture": True, "num_kv_heads": 2, "rope_parameters": rope()}),
    "falcon-one-norm": ("Falcon", {**LLAMA, "ffn_hidden_size": 64, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1, "tie_word_embeddings": False, "rope_parameters": rope()}),
    "falcon-shared": ("Falcon", {**LLAMA, "ffn_hidden_size": 64, "multi_query": True, "rope_parameters": rope()}),
    "falcon-alibi": ("Falcon", {**LLAMA, "ffn_hidden_size": 64, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True}),
    "gpt-j": ("GPTJ", {**GPT2, "rotary_dim": 4}),
    "gpt-neo": ("GPTNeo", dict(vocab_size=128, hidden_size=32, intermediate_size=64, num_layers=3, num_heads=4, attention_types=[[["global", "local", "global"], 1]], window_size=6, max_position_embeddings=128)),
    "gpt-oss": ("GptOss", {**LLAMA, "head_dim": 16, "intermediate_size": 32, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"], "rope_parameters": {**YARN, "truncate": False}}),
}
# The same with experts in MXFP4, as gpt-oss was published.
FAMILIES["gpt-oss-mxfp4"] = FAMILIES["gpt-oss"]
CODES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def to_mxfp4(model):
    """Experts with numbers that MXFP4 holds; answers the tensors to be saved instead of them."""
    generator = torch.Generator().manual_seed(4)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            n_experts, n_in, n_out = tensor.shape
            codes = torch.randint(0, 16, (n_experts, n_out, n_in // 32, 32), generator=generator, dtype=torch.uint8)
            scales = torch.randint(123, 126, (n_experts, n_out, n_in // 32), generator=generator, dtype=torch.uint8)
            numbers = CODES[codes.long()] * torch.exp2(scales.float() - 127)[..., None]
            tensor.copy_(numbers.reshape(n_experts, n_out, n_in).transpose(1, 2))
            tensors[name + "_blocks"] = codes[..., 0::2] | codes[..., 1::2] << 4
            tensors[name + "_scales"] = scales
    return tensors


def randomise(model, seed):
    """Numbers that are exact in f16, wide enough that scores differ clearly and every gate, cap and clamp has something to do."""
    generator = torch.Generator().manual_seed(seed)
    gemma = "Gemma" in type(model).__name__
    # Where the table of embeddings is the output as well, a token would mostly follow itself.
    tied = 0.05 if gemma else 0.25 if model.config.tie_word_embeddings else 0.7
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        is_norm = "norm" in name or ".ln_" in name or "layernorm" in name
        if is_norm and name.endswith("weight"):
            noise = (0.0 if gemma else tied if "embeddings" in name else 1.0) + 0.2 * noise
        elif tensor.ndim < 2:
            # Where each sum is normed, biases would soon say everything.
            noise = (0.3 if getattr(model.config, "do_layer_norm_before", True) else 0.03) * noise
        elif "embed" in name or "wte" in name or "wpe" in name:
            noise = tied * noise
        else:
            noise = 2.2 * noise / tensor.shape[-1] ** 0.5
        tensor.copy_(noise.half().float())


@torch.no_grad()
def answer(model, seed, n_greedy, is_mxfp4):
    """What to compare with, the smallest lead of a likeliest token over the next, and how many different tokens there are."""
    randomise(model, seed)
    if is_mxfp4:
        to_mxfp4(model)
    tokens = torch.randint(1, 128, (PROMPT,), generator=torch.Generator().manual_seed(7)).tolist()
    scores = model(torch.tensor([tokens])).logits[0]
    sequence, lead = list(tokens), 1.0
    for _ in range(n_greedy):
        last = model(torch.tensor([sequence])).logits[0, -1]
        best = last.topk(2).values
        lead = min(lead, float(best[0] - best[1]))
        sequence.append(int(last.argmax()))
    greedy = sequence[PROMPT:]
    return {"prompt": tokens, "rows": {str(row): scores[row].tolist() for row in ROWS}, "greedy": greedy}, lead, len(set(greedy))


def make(name):
    kind, options = FAMILIES[name]
    config = getattr(transformers, kind + "Config")(**{key: value for key, value in options.items() if value is not None or key == "sliding_window"})
    # Falcon's eager attention adds its slopes twice: with the mask, and again.
    config._attn_implementation = "sdpa" if options.get("alibi") else "eager"
    config.use_cache = False
    causal = {"GPT2": "GPT2LMHeadModel", "Gemma3": "Gemma3ForConditionalGeneration", "Mistral3": "Mistral3ForConditionalGeneration", "Gemma3Text": "Gemma3ForCausalLM"}.get(kind, kind + "ForCausalLM")
    model = getattr(transformers, causal)(config).float().eval()
    # Many random models repeat one token for ever, or have two that are all but equal: neither says much.
    for seed in range(200):
        n_greedy = 0 if "dynamic" in name else GREEDY
        expected, lead, n_different = answer(model, seed, n_greedy, "mxfp4" in name)
        if n_greedy == 0 or lead > 0.004 and n_different >= 8:
            break
    expected["served"] = SERVED.get(name, 128)
    print(f"{name}: seed {seed}, smallest lead {lead:.4f}, {n_different} different tokens", file=sys.stderr)
    return model, expected


def write(name, model, expected, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    packed = to_mxfp4(model) if "mxfp4" in name else {}
    model.half().save_pretrained(folder)
    if packed:
        tensors = load_file(folder / "model.safetensors")
        kept = {key: tensor for key, tensor in tensors.items() if key + "_blocks" not in packed}
        save_file(kept | packed, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "mxfp4"}}, indent=2, sort_keys=True) + "\n")
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "tokenizer.json").write_text("{}")
    rounded = {key: [round(x, 6) for x in row] for key, row in expected["rows"].items()}
    (folder / "expected.json").write_text(json.dumps({**expected, "rows": rounded}) + "\n")
    families_gguf.write(name, folder)


def check(name, model, expected):
    """Fails when the committed files are not what this script makes; scores may differ by what another CPU rounds."""
    committed = ROOT / HERE / name
    with tempfile.TemporaryDirectory() as folder:
        write(name, model, expected, made := pathlib.Path(folder))
        for file in ["config.json", "model.safetensors", "gguf/model.gguf"]:
            there = [(folder / file).exists() and (folder / file).read_bytes() for folder in (committed, made)]
            if there[0] != there[1]:
                sys.exit(f"{HERE}/{name}/{file} is not what this script makes; run it without --check")
    found = json.loads((committed / "expected.json").read_text())
    far = max(abs(a - b) for row, scores in expected["rows"].items() for a, b in zip(scores, found["rows"][row]))
    if far > 1e-4 or found["greedy"] != expected["greedy"]:
        sys.exit(f"{HERE}/{name}/expected.json is not what this script makes: scores differ by {far}")


if __name__ == "__main__":
    names = [name for name in sys.argv[1:] if name != "--check"]
    for name in names or FAMILIES:
        if "--check" in sys.argv:
            check(name, *make(name))
        else:
            write(name, *make(name), ROOT / HERE / name)

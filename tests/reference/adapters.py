"""Makes two LoRA adapters for some of the tiny decoders, and what peft computes with each: fixtures of runtime/models.

For each: adapter_config.json and adapter_model.safetensors as peft writes them, scores of some rows of a prompt, and the likeliest tokens after it.
"""

import json
import pathlib
import sys
import tempfile

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

from output import ROOT

BASES, HERE = "tests/fixtures/decoders", "tests/fixtures/adapters"
PROMPT, GREEDY, ROWS = 24, 24, (0, 7, 15, 23)
# Smallest lead of a likeliest token.
LEAD = 0.004

# Base and adapter: settings of peft's LoraConfig, and whether it is saved in half precision.
ADAPTERS = {
    # Ranks and alphas of their own, divided by the root; GGUF has the rows of q and k in another order.
    "llama-yarn/ranks": ({"r": 4, "lora_alpha": 6, "use_rslora": True, "target_modules": "all-linear", "rank_pattern": {"q_proj": 3, "layers.1.mlp.down_proj": 2}, "alpha_pattern": {r"layers\.[12]\.self_attn\..*": 5, "up_proj": 3}}, True),
    "llama-yarn/layers": ({"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "k_proj"], "layers_to_transform": [0, 2]}, False),
    # The scores' own table is the embedding's.
    "llama-linear/scores": ({"r": 3, "lora_alpha": 3, "target_modules": ["v_proj", "lm_head"]}, False),
    "llama-linear/gates": ({"r": 2, "lora_alpha": 3, "target_modules": ["gate_proj", "o_proj"]}, True),
    # Fused matrices: rows of one another's, rows in turns.
    "phi3/all": ({"r": 4, "lora_alpha": 4, "target_modules": "all-linear"}, True),
    "phi3/attention": ({"r": 3, "lora_alpha": 6, "target_modules": ["qkv_proj"]}, False),
    "falcon/all": ({"r": 3, "lora_alpha": 3, "target_modules": "all-linear"}, True),
    "falcon/attention": ({"r": 2, "lora_alpha": 4, "target_modules": ["query_key_value"]}, False),
    # Matrices that lie the other way round.
    "gpt2/all": ({"r": 4, "lora_alpha": 4, "fan_in_fan_out": True, "target_modules": ["c_attn", "c_proj", "c_fc"]}, True),
    "gpt2/attention": ({"r": 2, "lora_alpha": 5, "fan_in_fan_out": True, "target_modules": ["c_attn"]}, False),
    # Experts stay as they are.
    "mixtral/attention": ({"r": 3, "lora_alpha": 3, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, True),
    "mixtral/values": ({"r": 2, "lora_alpha": 2, "target_modules": ["v_proj"]}, False),
}


def base_of(name):
    model = transformers.AutoModelForCausalLM.from_pretrained(ROOT / BASES / name, dtype=torch.float32, attn_implementation="eager")
    model.config.use_cache = False
    return model.eval()


def randomise(model, seed):
    """Numbers that are exact in f16, B among them, which is zero when a training begins."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.named_parameters():
        if "lora_" in name:
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_((0.8 * noise / tensor.shape[-1] ** 0.5).half().float())


def follow(model, tokens, n):
    """The likeliest tokens, and the smallest lead over the next."""
    sequence, lead = list(tokens), 1.0
    for _ in range(n):
        last = model(torch.tensor([sequence])).logits[0, -1]
        best = last.topk(2).values
        lead = min(lead, float(best[0] - best[1]))
        if lead < LEAD:
            break
        sequence.append(int(last.argmax()))
    return sequence[len(tokens):], lead


@torch.no_grad()
def make(name):
    base, settings = name.split("/")[0], ADAPTERS[name][0]
    tokens = torch.randint(1, 128, (PROMPT,), generator=torch.Generator().manual_seed(7)).tolist()
    before = base_of(base)(torch.tensor([tokens])).logits[0]
    model = peft.get_peft_model(base_of(base), peft.LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
    for seed in range(200):
        randomise(model, seed)
        scores = model(torch.tensor([tokens])).logits[0]
        greedy, lead = follow(model, tokens, GREEDY)
        # Changed in every row but the first, whose attention has no choice, and never nearly undecided.
        if lead >= LEAD and len(set(greedy)) >= 6 and all((scores - before)[row].abs().max() > 0.1 for row in ROWS[1:]):
            break
    print(f"{name}: seed {seed}, smallest lead {lead:.4f}, {len(set(greedy))} different tokens", file=sys.stderr)
    return model, {"prompt": tokens, "rows": {str(row): scores[row].tolist() for row in ROWS}, "greedy": greedy}


def write(name, model, expected, folder):
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = name.split("/")[0]
    if isinstance(settings["target_modules"], list):
        settings["target_modules"].sort()
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    if ADAPTERS[name][1]:
        weights = folder / "adapter_model.safetensors"
        save_file({key: tensor.half() for key, tensor in load_file(weights).items()}, weights, metadata={"format": "pt"})
    rounded = {key: [round(x, 6) for x in row] for key, row in expected["rows"].items()}
    (folder / "expected.json").write_text(json.dumps({**expected, "rows": rounded}) + "\n")


def check(name, model, expected):
    """Fails when the committed files are not what this script makes; scores may differ by what another CPU rounds."""
    committed = ROOT / HERE / name
    with tempfile.TemporaryDirectory() as folder:
        write(name, model, expected, made := pathlib.Path(folder))
        for file in ["adapter_config.json", "adapter_model.safetensors"]:
            if (committed / file).read_bytes() != (made / file).read_bytes():
                sys.exit(f"{HERE}/{name}/{file} is not what this script makes; run it without --check")
    found = json.loads((committed / "expected.json").read_text())
    far = max(abs(a - b) for row, scores in expected["rows"].items() for a, b in zip(scores, found["rows"][row]))
    if far > 1e-4 or found["greedy"] != expected["greedy"]:
        sys.exit(f"{HERE}/{name}/expected.json is not what this script makes: scores differ by {far}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = [name for name in sys.argv[1:] if name != "--check"]
    for name in names or ADAPTERS:
        if "--check" in sys.argv:
            check(name, *make(name))
        else:
            write(name, *make(name), ROOT / HERE / name)

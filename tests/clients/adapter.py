"""Writes a random LoRA adapter of SmolLM2-135M, small and the same each time.

usage: adapter.py DIRECTORY
"""

import array
import json
import pathlib
import random
import sys

RANK, LAYERS = 2, 30
# Columns and rows of the matrices that it changes.
MODULES = {"self_attn.q_proj": (576, 576), "self_attn.v_proj": (576, 192), "mlp.down_proj": (1536, 576)}

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
generator = random.Random(5)
table, data = {}, b""
for layer in range(LAYERS):
    for module, (n_in, n_out) in MODULES.items():
        for part, shape in [("lora_A", (RANK, n_in)), ("lora_B", (n_out, RANK))]:
            numbers = array.array("f", (generator.gauss(0, shape[1] ** -0.5) for _ in range(shape[0] * shape[1])))
            begin, data = len(data), data + numbers.tobytes()
            name = f"base_model.model.model.layers.{layer}.{module}.{part}.weight"
            table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
header = json.dumps(table).encode()
(folder / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
targets = [module.split(".")[1] for module in MODULES]
settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": targets, "bias": "none"}
(folder / "adapter_config.json").write_text(json.dumps(settings))

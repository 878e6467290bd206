"""Writes checkpoints with torch.save in every form it has, and what torch reads from them: fixtures of runtime/formats."""

import collections
import os
import sys

import torch
from safetensors.torch import load_file

from output import ROOT, settle

HERE = "runtime/formats/testdata/pytorch"
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
WIDE = [torch.uint16, torch.uint32, torch.uint64]


def numbers(dtype, *shape):
    n = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64).reshape(shape)
    if dtype == torch.bool:
        return n % 3 == 0
    return (n * 7 % 101).to(dtype) if not dtype.is_floating_point else ((n * 37 % 101 - 50) / 64).to(dtype)


def every_dtype(dtypes=DTYPES):
    return collections.OrderedDict((f"weight.{str(dtype)[6:]}", numbers(dtype, 3, 4)) for dtype in dtypes)


def views():
    base = numbers(torch.float32, 6, 8)
    tied = numbers(torch.float16, 5, 4)
    return collections.OrderedDict([
        ("transformer.wte.weight", tied),
        ("rows", base[1:3]), ("columns", base[:, 2:5]), ("transposed", base.t()), ("every_other", base[::2, ::3]),
        ("permuted", numbers(torch.int16, 2, 3, 4).permute(2, 0, 1)), ("expanded", numbers(torch.float32, 3, 1).expand(3, 4)),
        ("scalar", torch.tensor(2.5, dtype=torch.float64)), ("empty", torch.zeros(0, 4)), ("one_row", base[2:3].t()),
        ("parameter", torch.nn.Parameter(numbers(torch.bfloat16, 2, 2))), ("twin", base[1:3]), ("lm_head.weight", tied),
    ])


def module():
    torch.manual_seed(7)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.LayerNorm(3))
    return net.state_dict()  # with _metadata, as every checkpoint of a module has it


def expected(state):
    table = {}
    for name, tensor in state.items():
        tensor = tensor.detach().contiguous()
        if tensor.dtype == torch.float64:
            tensor = tensor.to(torch.float32)
        raw = bytes(tensor.reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b""
        table[name] = {"dtype": str(tensor.dtype)[6:], "shape": list(tensor.shape), "bytes": raw.hex()}
    return table


def save(name, value, **options):
    file = ROOT / HERE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if "--check" not in sys.argv:
        torch.save(value, file, **options)
    state = torch.load(file, weights_only=False)  # written above
    return expected(state.get("state_dict", state))


def main():
    OLD = {"_use_new_zipfile_serialization": False}
    table = {
        "dtypes.bin": save("dtypes.bin", every_dtype(DTYPES + WIDE)),
        "dtypes-legacy.bin": save("dtypes-legacy.bin", every_dtype(), **OLD),
        "views.bin": save("views.bin", views()),
        "views-legacy.bin": save("views-legacy.bin", views(), **OLD),
        "module.pt": save("module.pt", module()),
        "module-legacy.pt": save("module-legacy.pt", module(), **OLD),
        "module-protocol5.pt": save("module-protocol5.pt", module(), pickle_protocol=5),
        "training.pth": save("training.pth", {"epoch": 3, "loss": 0.5, "done": False, "state_dict": module()}),
    }
    settle(f"{HERE}/expected.json", table)
    if "--check" not in sys.argv:
        torch.save({"w": numbers(torch.float32, 4, 4).to(torch.float8_e4m3fn)}, ROOT / HERE / "refused-float8.bin")
        torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, ROOT / HERE / "refused-complex.bin")
        torch.save({"w": torch.zeros(2), "call": os.getcwd}, ROOT / HERE / "refused-call.bin")
        # A whole model that the runtime serves: the tiny llama, with its output tied as a module has it.
        llama = load_file(ROOT / "runtime/models/testdata/llama/model.safetensors")
        llama["lm_head.weight"] = llama["model.embed_tokens.weight"]
        names = sorted(llama, key=lambda name: (name == "lm_head.weight", name))
        torch.save(collections.OrderedDict((name, llama[name]) for name in names), ROOT / HERE / "llama.bin")
        torch.save(torch.nn.Linear(2, 2), ROOT / HERE / "refused-module.bin")


main()

"""Writes a GGUF file with random blocks of every weight type, and the numbers that gguf's own arithmetic finds in them."""

import pathlib
import sys
import tempfile

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize

from output import ROOT

FILE = ROOT / "runtime/formats/testdata/types.gguf"
ROWS, COLUMNS = 2, 256
# Where the 16-bit floats of a block lie; random bits there would be no numbers.
HALVES = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q2_K: [80, 82], Type.Q3_K: [108],
          Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0]}


def blocks(kind, rng, exponents=(112, 130)):
    elements, size = GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (ROWS, COLUMNS // elements, size), dtype=np.uint8)
    for at in HALVES.get(kind, []):
        scales = (rng.standard_normal(raw.shape[:2]) * 0.05).astype(np.float16)
        raw[..., at:at + 2] = scales[..., None].view(np.uint8)
    if kind == Type.MXFP4:
        raw[..., 0] = rng.integers(*exponents, raw.shape[:2])
        raw[0, 0, :] = 0  # a block of zeros, as quantisers write it
    return raw.reshape(ROWS, -1)


def main():
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "types.gguf"
        writer = GGUFWriter(path, "llama")
        for key, value in [("context_length", 8), ("embedding_length", COLUMNS), ("block_count", 1), ("feed_forward_length", 8), ("head_count", 2)]:
            getattr(writer, f"add_{key}")(value)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_tokenizer_model("gpt2")
        writer.add_tensor("token_embd.weight", rng.standard_normal((4, COLUMNS)).astype(np.float32))
        kinds = {kind.name: (kind, (112, 130)) for kind in [*HALVES, Type.MXFP4]}
        kinds["MXFP4_far"] = (Type.MXFP4, (0, 255))
        for name, (kind, exponents) in kinds.items():
            raw = blocks(kind, rng, exponents)
            writer.add_tensor(f"stored.{name}", raw, raw_dtype=kind)
            writer.add_tensor(f"expected.{name}", dequantize(raw, kind).astype(np.float32))
        floats = rng.standard_normal((ROWS, COLUMNS)).astype(np.float32)
        writer.add_tensor("stored.F16", floats.astype(np.float16))
        writer.add_tensor("expected.F16", floats.astype(np.float16).astype(np.float32))
        wide = floats.view(np.uint32) & np.uint32(0xffff0000)
        writer.add_tensor("stored.BF16", (wide >> 16).astype(np.uint16).view(np.uint8), raw_dtype=Type.BF16)
        writer.add_tensor("expected.BF16", wide.view(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        made = path.read_bytes()
    if "--check" in sys.argv:
        sys.exit(None if FILE.read_bytes() == made else f"{FILE} is not what this script makes")
    FILE.write_bytes(made)
    print(f"wrote {FILE}: {len(made)} bytes")


main()

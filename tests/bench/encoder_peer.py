"""One encoder program on all-MiniLM-L6-v2, as a process of its own, told by lines and answering by lines of JSON.

usage: encoder_peer.py NAME DIRECTORY MADE TEXTS.json THREADS

MADE is the folder for what the programs want the model turned into.
NAME: sentence-transformers-f32, sentence-transformers-bf16, ctranslate2-int8, ctranslate2-f32, onnxruntime-int8, onnxruntime-f32.
`run` encodes all texts in the order they come and answers with the seconds, `vectors N` with the first N vectors.
"""

import json
import os
import sys
import time

name, folder, made, texts, threads = sys.argv[1], sys.argv[2], sys.argv[3], json.load(open(sys.argv[4])), int(sys.argv[5])
os.environ["OMP_NUM_THREADS"] = str(threads)

import numpy as np
from tokenizers import Tokenizer

# What all programs are given at once; each pads as it does.
BATCH = 32
LONGEST = 256


class Tokens:
    def __init__(self):
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.no_padding()

    def lists(self, batch):
        return [one.ids for one in self.tokenizer.encode_batch(batch)]

    def padded(self, batch):
        lists = self.lists(batch)
        ids = np.zeros((len(lists), max(map(len, lists))), np.int64)
        for row, one in enumerate(lists):
            ids[row, :len(one)] = one
        return ids, (np.arange(ids.shape[1]) < np.array([len(one) for one in lists])[:, None]).astype(np.int64)


def pooled(hidden, mask):
    """Mean over the tokens, of length 1."""
    weights = mask[:, :, None].astype(np.float32)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def sentence_transformers(kind):
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(threads)
    model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": torch.bfloat16} if kind == "bf16" else {})
    return lambda batch: np.asarray(model.encode(batch, batch_size=BATCH, convert_to_tensor=True, show_progress_bar=False).float())


def ctranslate2_encoder(kind):
    import ctranslate2
    converted = f"{made}/minilm-ctranslate2"
    if not os.path.exists(f"{converted}/model.bin"):
        ctranslate2.converters.TransformersConverter(folder).convert(converted, force=True)
    compute = {"int8": "int8", "f32": "float32"}[kind]
    model = ctranslate2.Encoder(converted, device="cpu", compute_type=compute, intra_threads=threads, inter_threads=1)
    tokens = Tokens()

    def encode(batch):
        ids, mask = tokens.padded(batch)
        lists = [[int(one) for one, is_there in zip(row, there) if is_there] for row, there in zip(ids, mask)]
        return pooled(np.array(model.forward_batch(lists).last_hidden_state), mask)

    return encode


def onnxruntime_encoder(kind):
    import onnxruntime
    path = f"{made}/minilm.{kind}.onnx"
    if not os.path.exists(path):
        export(path.replace(f".{kind}.", ".f32."))
    if not os.path.exists(path):
        from onnx import TensorProto
        from onnxruntime.quantization import QuantType, quantize_dynamic
        # Without VNNI its products of 8 bits saturate in 16. The types of what fused operators give are not inferred.
        vnni = "vnni" in open("/proc/cpuinfo").read()
        quantize_dynamic(path.replace(".int8.", ".f32."), path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=not vnni,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tokens = Tokens()

    def encode(batch):
        ids, mask = tokens.padded(batch)
        (hidden,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        return pooled(hidden, mask)

    return encode


def export(path):
    """The encoder as an ONNX graph, its attention fused as onnxruntime's own tool does."""
    import torch
    from onnxruntime.transformers import optimizer
    from transformers import AutoModel
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.ones(2, 8, dtype=torch.int64)
    free = {0: "batch", 1: "length"}
    torch.onnx.export(Hidden(), (ids, ids), path + ".plain", input_names=["input_ids", "attention_mask"], output_names=["hidden"],
                      dynamic_axes={"input_ids": free, "attention_mask": free, "hidden": free}, opset_version=17, dynamo=False)
    fused = optimizer.optimize_model(path + ".plain", model_type="bert", num_heads=12, hidden_size=384)
    fused.save_model_to_file(path)
    os.remove(path + ".plain")


def main():
    program, _, kind = name.rpartition("-")
    makers = {"sentence-transformers": sentence_transformers, "ctranslate2": ctranslate2_encoder, "onnxruntime": onnxruntime_encoder}
    encode = makers[program](kind)
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "run":
            begin = time.monotonic()
            for at in range(0, len(texts), BATCH):
                encode(texts[at:at + BATCH])
            print(json.dumps({"seconds": time.monotonic() - begin}), flush=True)
        elif word == "vectors":
            first = texts[:int(rest[0])]
            vectors = [encode(first[at:at + BATCH]) for at in range(0, len(first), BATCH)]
            print(json.dumps({"vectors": np.concatenate(vectors).astype(float).round(6).tolist()}), flush=True)


main()

"""What TensorFlow's weights become in PyTorch, by the code of transformers 4.57 that moves them: fixtures of runtime/formats.

Reads the arrays that tensorflow_files.py left in target/reference. Hugging Face's functions for files of version 1 ask
TensorFlow for the arrays; here a stand-in of two functions answers.
"""

import json
import sys
import types

import numpy as np
import torch
import transformers
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers.modeling_tf_pytorch_utils import load_tf2_state_dict_in_pytorch_model
from transformers.models.bert.modeling_bert import load_tf_weights_in_bert
from transformers.models.gpt2.modeling_gpt2 import load_tf_weights_in_gpt2

from output import ROOT, settle

ARRAYS = ROOT / "target/reference"


def arrays(name):
    return {key.replace("|", "/"): value for key, value in np.load(ARRAYS / f"{name}.npz").items()}


class StandIn(types.ModuleType):
    def __init__(self, values):
        super().__init__("tensorflow")
        self.train = types.SimpleNamespace(list_variables=lambda _: [(key, list(value.shape)) for key, value in values.items()],
                                           load_variable=lambda _, key: values[key])


def version_1(load, model, name):
    sys.modules["tensorflow"] = StandIn(arrays(name))
    load(model, model.config, name)
    del sys.modules["tensorflow"]
    return model.state_dict()


def table(state, left_out=()):
    return {name: {"shape": list(tensor.shape), "bytes": tensor.contiguous().numpy().tobytes().hex()}
            for name, tensor in sorted(state.items()) if name not in left_out}


def plain(values, names=lambda name: name):
    kinds = {"float64": "float32"}
    return {names(name): {"shape": list(value.shape), "bytes": np.ascontiguousarray(value.astype(kinds.get(str(value.dtype), value.dtype))).tobytes().hex()}
            for name, value in values.items()}


def main():
    configs = json.loads((ARRAYS / "configs.json").read_text())
    bert, gpt2 = BertConfig(**configs["bert"]), GPT2Config(**configs["gpt2"])
    # Keras' models have one name for what PyTorch has two names for.
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "lm_head.weight"}
    masked = load_tf2_state_dict_in_pytorch_model(BertForMaskedLM(bert), arrays("bert"), allow_missing_keys=True)
    causal = load_tf2_state_dict_in_pytorch_model(GPT2LMHeadModel(gpt2), arrays("gpt2"), allow_missing_keys=True)
    kinds = arrays("types")
    expected = {
        "bert.h5": table(masked.state_dict(), tied), "gpt2.h5": table(causal.state_dict(), tied),
        "bert_model.ckpt.index": table(version_1(load_tf_weights_in_bert, BertForPreTraining(bert), "bert_model.ckpt"), tied),
        "gpt2_model.ckpt.index": table(version_1(load_tf_weights_in_gpt2, GPT2Model(gpt2), "gpt2_model.ckpt")),
        "types.index": plain(kinds, lambda name: name.replace("/", ".")),
        "boxes.h5": plain(arrays("boxes")),
    }
    for name, (kind, config, options) in configs["families"].items():
        model = getattr(transformers, kind)(getattr(transformers, config)(**options))
        state = load_tf2_state_dict_in_pytorch_model(model, arrays(name), allow_missing_keys=True).state_dict()
        # Second names of the same tensor.
        second = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
        second |= {key for key in state if key.endswith(("lm_head.decoder.weight", "lm_head.decoder.bias"))}
        expected[f"families/{name}.h5"] = table(state, second)
    bfloat16 = torch.tensor(kinds["numbers/float32"]).to(torch.bfloat16)
    expected["types.index"]["numbers.bfloat16"] = {"shape": [3, 4], "bytes": bfloat16.view(torch.int16).numpy().tobytes().hex()}
    settle("runtime/formats/testdata/tensorflow/expected.json", expected)


main()

"""Writes TensorFlow's files with TensorFlow, Keras and h5py themselves: fixtures of runtime/formats.

What they should become is the work of tensorflow_expected.py, which reads the arrays that this script leaves in
target/reference: TensorFlow and PyTorch cannot be loaded into one process.
"""

import json
import os
import shutil

os.environ.update(TF_USE_LEGACY_KERAS="1", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")

import h5py
import numpy as np
import tensorflow as tf
import transformers
from transformers import BertConfig, GPT2Config, TFBertForMaskedLM, TFGPT2LMHeadModel

from output import ROOT

HERE = ROOT / "runtime/formats/testdata/tensorflow"
ARRAYS = ROOT / "target/reference"
BERT = dict(vocab_size=10, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6, max_position_embeddings=8, type_vocab_size=2)
GPT2 = dict(vocab_size=10, n_embd=4, n_layer=1, n_head=2, n_positions=8)
LLAMA = dict(vocab_size=10, hidden_size=4, num_hidden_layers=1, num_attention_heads=2, intermediate_size=6, max_position_embeddings=8)
# The other families that transformers 4 has for TensorFlow: class without TF and configuration.
FAMILIES = {
    "albert": ("AlbertForMaskedLM", "AlbertConfig", {**BERT, "embedding_size": 2}),
    "camembert": ("CamembertForMaskedLM", "CamembertConfig", BERT),
    "deberta-v2": ("DebertaV2ForMaskedLM", "DebertaV2Config", {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm", "share_att_key": True}),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", dict(vocab_size=10, dim=4, n_layers=1, n_heads=2, hidden_dim=6, max_position_embeddings=8)),
    "electra": ("ElectraForMaskedLM", "ElectraConfig", {**BERT, "embedding_size": 2}),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", {**GPT2, "rotary_dim": 2}),
    "mistral": ("MistralForCausalLM", "MistralConfig", {**LLAMA, "num_key_value_heads": 1}),
    "mpnet": ("MPNetForMaskedLM", "MPNetConfig", BERT),
    "opt": ("OPTForCausalLM", "OPTConfig", {**LLAMA, "ffn_dim": 6, "word_embed_proj_dim": 4}),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", BERT),
    "xlm-roberta": ("XLMRobertaForMaskedLM", "XLMRobertaConfig", BERT),
}


def leave(name, arrays):
    ARRAYS.mkdir(parents=True, exist_ok=True)
    np.savez(ARRAYS / f"{name}.npz", **{key.replace("/", "|"): value for key, value in arrays.items()})


def keras(name, model):
    model.build_in_name_scope()
    rng = np.random.default_rng(11)
    for weight in model.weights:  # zeros and ones would hide a mistake
        weight.assign(rng.standard_normal(weight.shape).astype(np.float32))
    leave(name, {weight.name: weight.numpy() for weight in model.weights})
    return model


def version_1(name, arrays, devices=1):
    """A checkpoint as the Saver of TensorFlow 1 writes it, in as many files as there are devices."""
    with tf.Graph().as_default():
        for nth, (key, value) in enumerate(arrays.items()):
            with tf.device(f"/cpu:{nth % devices}"):
                tf.compat.v1.get_variable(key, initializer=value)
        saver = tf.compat.v1.train.Saver(sharded=devices > 1)
        with tf.compat.v1.Session(config=tf.compat.v1.ConfigProto(device_count={"CPU": devices})) as session:
            session.run(tf.compat.v1.global_variables_initializer())
            saver.save(session, str(HERE / name), write_meta_graph=False, write_state=False)
    leave(name, arrays)


def bert_arrays():
    rng = np.random.default_rng(5)
    put = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    arrays = {"bert/embeddings/word_embeddings": put(10, 4), "bert/embeddings/token_type_embeddings": put(2, 4),
              "bert/embeddings/position_embeddings": put(8, 4), "cls/predictions/output_bias": put(10),
              "cls/seq_relationship/output_weights": put(2, 4), "cls/seq_relationship/output_bias": put(2),
              "global_step": np.int64(7), "bert/pooler/dense/kernel/adam_m": put(4, 4), "bert/pooler/dense/kernel/adam_v": put(4, 4)}
    layer = "bert/encoder/layer_0"
    for dense, n_in, n_out in [(f"{layer}/attention/self/query", 4, 4), (f"{layer}/attention/self/key", 4, 4), (f"{layer}/attention/self/value", 4, 4),
                               (f"{layer}/attention/output/dense", 4, 4), (f"{layer}/intermediate/dense", 4, 6), (f"{layer}/output/dense", 6, 4),
                               ("bert/pooler/dense", 4, 4), ("cls/predictions/transform/dense", 4, 4)]:
        arrays |= {f"{dense}/kernel": put(n_in, n_out), f"{dense}/bias": put(n_out)}
    for norm in ["bert/embeddings", f"{layer}/attention/output", f"{layer}/output", "cls/predictions/transform"]:
        arrays |= {f"{norm}/LayerNorm/gamma": put(4), f"{norm}/LayerNorm/beta": put(4)}
    return arrays


def gpt2_arrays():
    rng = np.random.default_rng(6)
    put = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    arrays = {"model/wte": put(10, 4), "model/wpe": put(8, 4)}
    for conv, n_in, n_out in [("attn/c_attn", 4, 12), ("attn/c_proj", 4, 4), ("mlp/c_fc", 4, 16), ("mlp/c_proj", 16, 4)]:
        arrays |= {f"model/h0/{conv}/w": put(1, n_in, n_out), f"model/h0/{conv}/b": put(n_out)}
    for norm in ["h0/ln_1", "h0/ln_2", "ln_f"]:
        arrays |= {f"model/{norm}/g": put(4), f"model/{norm}/b": put(4)}
    return arrays


def every_type():
    kinds = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"]
    arrays = {f"numbers/{kind}": (np.arange(12).reshape(3, 4) * 7 % 11).astype(kind) for kind in kinds}
    with tf.Graph().as_default():
        variables = [tf.compat.v1.get_variable(key, initializer=value) for key, value in arrays.items()]
        variables.append(tf.compat.v1.get_variable("numbers/bfloat16", initializer=tf.cast(arrays["numbers/float32"], tf.bfloat16)))
        with tf.compat.v1.Session() as session:
            session.run(tf.compat.v1.global_variables_initializer())
            tf.compat.v1.train.Saver(variables).save(session, str(HERE / "types"), write_meta_graph=False, write_state=False)
    leave("types", arrays)


def boxes():
    arrays = {"a/plain": np.arange(35, dtype=np.float32).reshape(5, 7), "a/b/boxes": np.arange(35, dtype=np.float64).reshape(5, 7),
              "cube": np.arange(2 * 3 * 5, dtype=np.int32).reshape(2, 3, 5), "half": np.arange(6, dtype=np.float16),
              "truth": np.array([True, False, True]), "scalar": np.float32(2.5)}
    chunks = {"a/b/boxes": (2, 3), "cube": (1, 2, 2)}
    for name, options in [("boxes.h5", {}), ("latest.h5", {"libver": "latest"})]:
        with h5py.File(HERE / name, "w", **options) as file:
            file.attrs["note"] = "x" * 100
            file["text"] = "no weight"
            for key, value in arrays.items():
                latest = options and key in chunks  # chunks of the latest form are refused, see refused-latest.h5
                file.create_dataset(key, data=value, chunks=None if latest else chunks.get(key))
    with h5py.File(HERE / "many.h5", "w") as file:  # more members than one node of a tree takes
        for nth in range(40):
            file.create_dataset(f"layer_{nth}/x", data=np.full(2, nth, dtype=np.float32))
    with h5py.File(HERE / "refused-compressed.h5", "w") as file:
        file.create_dataset("x", data=arrays["a/plain"], chunks=(5, 7), compression="gzip")
    with h5py.File(HERE / "refused-latest.h5", "w", libver="latest") as file:
        file.create_dataset("x", data=arrays["a/plain"], chunks=(2, 3))
    leave("boxes", arrays)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir(parents=True)
    bert = keras("bert", TFBertForMaskedLM(BertConfig(**BERT)))
    bert.save_weights(HERE / "bert.h5", save_format="h5")
    bert.save_pretrained(HERE / "sharded", max_shard_size=700, safe_serialization=False)
    (HERE / "sharded/config.json").unlink()
    tf.saved_model.save(bert, str(HERE / "saved"))
    for left in HERE.glob("saved/*.pb"):
        left.unlink()  # the program, which nobody reads and which is large
    (HERE / "saved/assets").rmdir()
    keras("gpt2", TFGPT2LMHeadModel(GPT2Config(**GPT2))).save_weights(HERE / "gpt2.h5", save_format="h5")
    (HERE / "families").mkdir()
    for name, (kind, config, options) in FAMILIES.items():
        model = keras(name, getattr(transformers, f"TF{kind}")(getattr(transformers, config)(**options)))
        model.save_weights(HERE / "families" / f"{name}.h5", save_format="h5")
    version_1("bert_model.ckpt", bert_arrays(), devices=2)
    version_1("gpt2_model.ckpt", gpt2_arrays())
    every_type()
    boxes()
    (ARRAYS / "configs.json").write_text(json.dumps({"bert": BERT, "gpt2": GPT2, "families": FAMILIES}))


main()

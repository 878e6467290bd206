"""Writes a checkpoint of encoders.py as GGUF, with the names and keys that llama.cpp's converter uses.

Each has a vocabulary of the kind that its family has there, and what the tokenizers library makes of some texts with it (texts.json).
"""

import json

import gguf
import numpy as np
from safetensors.numpy import load_file
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

A = gguf.MODEL_ARCH
KINDS = gguf.TokenType
# Fixtures whose head GGUF can hold: a vector, or scores through a dense layer of their own.
CASES = {
    "bert-mean": A.BERT, "distilbert-mean": A.BERT, "roberta": A.BERT, "xlm-roberta": A.BERT, "modernbert": A.MODERN_BERT,
    "distilbert-classify": A.BERT, "roberta-classify": A.BERT, "roberta-rerank": A.BERT, "xlm-roberta-classify": A.BERT,
    "modernbert-classify": A.MODERN_BERT, "modernbert-rerank": A.MODERN_BERT,
}
# The same weights in a quantised type, where rows have whole blocks.
QUANTISED = {"bert-mean": gguf.GGMLQuantizationType.Q8_0, "modernbert": gguf.GGMLQuantizationType.Q8_0}
TEXTS = [["the cat sat", None], ["a b  c", "the hat"], ["", None], ["catch 42 mats", "at"], ["naive ?", None]]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_piece(folder):
    """The fixture's own: words begin with a mark instead of going on with one."""
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    entries = sorted(made.get_vocab(), key=made.token_to_id)
    specials = entries[:5]
    marked = [entry if entry in specials else entry[2:] if entry.startswith("##") else "\u2581" + entry for entry in entries]
    return made, "bert", marked, [KINDS.CONTROL if entry in specials else KINDS.NORMAL for entry in entries], {}


def byte_pairs(specials, bos, eos, around):
    merges = [("t", "h"), ("th", "e"), ("c", "a"), ("ca", "t"), ("\u0120", "s"), ("\u0120s", "a"), ("h", "a"), ("m", "a")]
    entries = [*specials, *LETTERS, "\u0120", *"0123456789?", *("".join(merge) for merge in merges)]
    made = Tokenizer(models.BPE({entry: nth for nth, entry in enumerate(entries)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.add_special_tokens([AddedToken(entry, normalized=False) for entry in specials])
    made.post_processor = around((eos, entries.index(eos)), (bos, entries.index(bos)))
    types = [KINDS.CONTROL if entry in specials else KINDS.NORMAL for entry in entries]
    return made, "gpt2", entries, types, {"merges": [" ".join(merge) for merge in merges]}


def unigram():
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -3.0), ("\u2581the", -2.5), ("\u2581cat", -4.0), ("at", -3.5), ("s", -3.2), ("ch", -4.5)]
    pieces += [(letter, -6.0 - nth / 10) for nth, letter in enumerate(LETTERS) if letter != "s"] + [(digit, -7.0) for digit in "0123456789"] + [("<mask>", 0.0)]
    made = Tokenizer(models.Unigram(pieces, unk_id=3))
    made.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    made.add_special_tokens([AddedToken(entry, normalized=False) for entry in ("<s>", "<pad>", "</s>", "<mask>")])
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B:0 </s>", [("<s>", 0), ("</s>", 2)])
    types = [KINDS.UNKNOWN if entry == "<unk>" else KINDS.CONTROL if entry[0] == "<" else KINDS.NORMAL for entry, _ in pieces]
    return made, "t5", [entry for entry, _ in pieces], types, {"scores": [score for _, score in pieces]}


def vocabulary(name, folder):
    if name.startswith("xlm-roberta"):
        return unigram()
    if name.startswith("roberta"):
        specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        return byte_pairs(specials, "<s>", "</s>", lambda eos, bos: processors.RobertaProcessing(eos, bos, add_prefix_space=False))
    if name.startswith("modernbert"):
        specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        return byte_pairs(specials, "[CLS]", "[SEP]", processors.BertProcessing)
    return word_piece(folder)


def add_vocabulary(out, name, folder, n_entries):
    made, kind, entries, types, more = vocabulary(name, folder)
    texts = [[*text, made.encode(*[part for part in text if part is not None]).ids] for text in TEXTS]
    lines = ",\n ".join(json.dumps(text) for text in texts)
    (folder / "gguf" / "texts.json").write_text(f"[{lines}]\n")
    index = {entry: nth for nth, entry in enumerate(entries)}
    out.add_tokenizer_model(kind)
    out.add_tokenizer_pre({"roberta": "roberta-bpe", "modernbert": "modern-bert"}.get(name.split("-")[0], "default"))
    missing = n_entries - len(entries)
    out.add_token_list(entries + [f"[PAD{nth}]" for nth in range(missing)])
    out.add_token_types([*types, *[KINDS.UNUSED] * missing])
    if "merges" in more:
        out.add_token_merges(more["merges"])
    if "scores" in more:
        out.add_token_scores([*more["scores"], *[-10000.0] * missing])
        out.add_add_space_prefix(True)
        out.add_remove_extra_whitespaces(True)
    for names, add in [(("<s>", "[CLS]"), out.add_bos_token_id), (("</s>", "[SEP]"), out.add_eos_token_id), (("<mask>", "[MASK]"), out.add_mask_token_id)]:
        add(next(index[entry] for entry in names if entry in index))


def metadata(out, name, config, folder):
    """Keys of both families of configurations."""
    first = lambda *keys: next(config[key] for key in keys if key in config)
    offset = config["pad_token_id"] + 1 if "roberta" in name else 0
    out.add_context_length(config["max_position_embeddings"] - offset)
    out.add_embedding_length(first("hidden_size", "dim"))
    out.add_feed_forward_length(first("intermediate_size", "hidden_dim"))
    out.add_block_count(first("num_hidden_layers", "n_layers"))
    out.add_head_count(first("num_attention_heads", "n_heads"))
    out.add_layer_norm_eps(config.get("layer_norm_eps", config.get("norm_eps", 1e-12)))
    out.add_causal_attention(False)
    if "rope_parameters" in config:
        out.add_rope_freq_base(config["rope_parameters"]["full_attention"]["rope_theta"])
        out.add_float32(f"{out.arch}.rope.freq_base_swa", config["rope_parameters"]["sliding_attention"]["rope_theta"])
        out.add_sliding_window(config["local_attention"])
        kinds = config.get("layer_types")
        every = kinds.index("full_attention", 1) if kinds else config["global_attn_every_n_layers"]
        out.add_uint32(f"{out.arch}.attention.sliding_window_pattern", every)
    else:
        out.add_token_type_count(config.get("type_vocab_size", 1))
    if (folder / "1_Pooling").exists():
        pooling = json.loads((folder / "1_Pooling/config.json").read_text())
        out.add_pooling_type(gguf.PoolingType.MEAN if pooling["pooling_mode_mean_tokens"] else gguf.PoolingType.CLS)
    labels = config.get("id2label")
    if name.endswith("-classify"):
        out.add_array(f"{out.arch}.classifier.output_labels", [labels[key] for key in sorted(labels, key=int)])
    if "classifier_pooling" in config:
        kind = {"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS}[config["classifier_pooling"]]
        out.add_uint32(f"{out.arch}.classifier.pooling_type", int(kind))


def present(name, tensor, config):
    """Without the family's prefix, and without the rows of positions that stand before a text; `None`: not written."""
    for prefix in ("distilbert.", "roberta.", "model."):
        name = name.removeprefix(prefix)
    if name.startswith("pooler."):
        return None, None
    if config["model_type"].endswith("roberta") and "position_embeddings" in name:
        tensor = tensor[config["pad_token_id"] + 1:]
    if config["model_type"] != "modernbert":
        name = name.replace("classifier.", "classifier.out_proj.") if name in ("classifier.weight", "classifier.bias") else name
    return name, tensor


def write_file(name, folder, file, quantised):
    config = json.loads((folder / "config.json").read_text())
    out = gguf.GGUFWriter(file, gguf.MODEL_ARCH_NAMES[CASES[name]])
    metadata(out, name, config, folder)
    add_vocabulary(out, name, folder, config["vocab_size"])
    names = gguf.get_tensor_name_map(CASES[name], 4)
    own = {"head.dense": "cls", "head.norm": "cls.norm", "classifier": "cls.output"} if CASES[name] == A.MODERN_BERT else {}
    for key, tensor in sorted(load_file(folder / "model.safetensors").items()):
        key, tensor = present(key, tensor, config)
        if key is None:
            continue
        stem, kind = key.rsplit(".", 1)
        target = f"{own[stem]}.{kind}" if stem in own else names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert target, f"{key} has no name in GGUF"
        tensor = np.ascontiguousarray(tensor)
        if quantised and tensor.ndim == 2 and tensor.shape[1] % 32 == 0 and "blk." in target:
            out.add_tensor(target, gguf.quantize(tensor, quantised), raw_dtype=quantised)
        else:
            out.add_tensor(target, tensor)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write(name, folder):
    if name not in CASES:
        return
    (folder / "gguf").mkdir()
    write_file(name, folder, folder / "gguf" / "model.gguf", None)
    if name in QUANTISED:
        (folder / "gguf-quantised").mkdir()
        write_file(name, folder, folder / "gguf-quantised" / "model.gguf", QUANTISED[name])

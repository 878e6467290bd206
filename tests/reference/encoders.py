#!/usr/bin/env python3
"""Makes tests/fixtures/encoders: tiny random encoders of every family and head, and what transformers answers for them.

    encoders.py            rewrites the folder
    encoders.py --check    fails when a committed answer is not what the script makes (to 1e-5)
"""
import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers as t
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

import encoders_gguf

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "encoders"
SIZES = {
    "vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 40, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}
# Longer than the windows and buckets below, so that both sides of them are seen.
LENGTHS = [1, 7, 24]


def bert(**options):
    return t.BertConfig(**SIZES, type_vocab_size=2, **options)


def roberta(kind=t.RobertaConfig, **options):
    return kind(**SIZES, type_vocab_size=1, pad_token_id=1, **options)


def distilbert(**options):
    return t.DistilBertConfig(vocab_size=96, dim=32, n_layers=2, n_heads=4, hidden_dim=48, max_position_embeddings=40,
                              dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, qa_dropout=0.0, **options)


def mpnet(**options):
    return t.MPNetConfig(**SIZES, relative_attention_num_buckets=32, pad_token_id=1, **options)


def electra(**options):
    return t.ElectraConfig(**SIZES, embedding_size=16, type_vocab_size=2, **options)


def albert(**options):
    sizes = SIZES | {"num_hidden_layers": 4}
    return t.AlbertConfig(**sizes, embedding_size=16, num_hidden_groups=2, inner_group_num=1, type_vocab_size=2,
                          classifier_dropout_prob=0.0, **options)


def deberta(**options):
    """As the v3 checkpoints: log buckets, one key for content and position, normed table."""
    return t.DebertaV2Config(**SIZES, type_vocab_size=0, relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm",
                             share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False,
                             max_relative_positions=-1, pooler_hidden_size=32, pooler_dropout=0.0, pooler_hidden_act="gelu",
                             layer_norm_eps=1e-7, **options)


def deberta_v2(**options):
    """As the v2 checkpoints: keys of their own for positions, and a convolution beside the first layer."""
    sizes = SIZES
    return t.DebertaV2Config(**sizes, type_vocab_size=2, relative_attention=True, position_buckets=-1, share_att_key=False,
                             pos_att_type=["p2c", "c2p"], position_biased_input=True, max_relative_positions=12,
                             conv_kernel_size=3, conv_act="gelu", pooler_hidden_size=32, pooler_dropout=0.0,
                             pooler_hidden_act="gelu", **options)


def modernbert(**options):
    return t.ModernBertConfig(vocab_size=96, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
                              max_position_embeddings=64, global_attn_every_n_layers=3, local_attention=8, pad_token_id=0,
                              bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2, embedding_dropout=0.0,
                              attn_implementation="eager", **options)


LABELS = {"num_labels": 3, "id2label": {0: "calm", 1: "glad", 2: "cross"}}
# The families' names in transformers' classes, their configurations, and what sentence-transformers puts beside the bare model.
FAMILIES = {
    "bert": ("Bert", bert, ["mean", "dense", "normalize"]),
    "roberta": ("Roberta", roberta, ["cls"]),
    "xlm-roberta": ("XLMRoberta", lambda **options: roberta(t.XLMRobertaConfig, **options), ["cls", "normalize"]),
    "distilbert": ("DistilBert", distilbert, ["max"]),
    "mpnet": ("MPNet", mpnet, ["mean", "normalize"]),
    "electra": ("Electra", electra, ["mean"]),
    "albert": ("Albert", albert, ["mean"]),
    "deberta": ("DebertaV2", deberta, ["cls"]),
    "modernbert": ("ModernBert", modernbert, ["mean", "normalize"]),
}
HEADS = {"classify": ("SequenceClassification", LABELS), "tokens": ("TokenClassification", LABELS), "mask": ("MaskedLM", {}),
         "answer": ("QuestionAnswering", {})}


def cases():
    """name: (class, config, what sentence-transformers puts beside it)."""
    found = {}
    for family, (kind, config, stages) in FAMILIES.items():
        found[family] = (getattr(t, f"{kind}Model"), config(), stages)
        for head, (suffix, options) in HEADS.items():
            found[f"{family}-{head}"] = (getattr(t, f"{kind}For{suffix}"), config(**options), None)
    found |= {
        # Without modules.json: the mean of the rows at length 1.
        "bert-bare": (t.BertModel, bert(hidden_act="gelu_new"), ["mean", "normalize"]),
        "deberta-v2": (t.DebertaV2Model, deberta_v2(), ["mean"]),
        # Cross-encoders: one label.
        "roberta-rerank": (t.RobertaForSequenceClassification, roberta(num_labels=1), None),
        "modernbert-rerank": (t.ModernBertForSequenceClassification, modernbert(classifier_pooling="mean", num_labels=1), None),
    }
    # What came later stands at the end: a case's seed is its place.
    later = {"camembert": (t.CamembertModel, roberta(t.CamembertConfig), ["mean"])}
    for head, (suffix, options) in HEADS.items():
        later[f"camembert-{head}"] = (getattr(t, f"CamembertFor{suffix}"), roberta(t.CamembertConfig, **options), None)
    # What GGUF can say of how rows become a vector.
    later |= {"bert-mean": (t.BertModel, bert(), ["mean", "normalize"]), "distilbert-mean": (t.DistilBertModel, distilbert(), ["mean", "normalize"])}
    return dict(sorted(found.items())) | later


CASES = cases()
DENSE_OUT = 12


def tokenizer():
    """WordPiece over letters: no text is out of its vocabulary, and none has a long answer."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *"0123456789.,?!"]
    vocabulary = {entry: nth for nth, entry in enumerate(entries)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.add_special_tokens(entries[:5])
    return made


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        is_gain = parameter.dim() == 1 and name.endswith("weight")
        with torch.no_grad():
            parameter.copy_(1 + 0.1 * noise if is_gain else noise * (0.25 if parameter.dim() > 1 else 0.1))


def inputs(config, seed):
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for length in LENGTHS:
        tokens = torch.randint(4, config.vocab_size, (length,), generator=generator).tolist()
        # The second half is the second text of a pair, where the family knows pairs.
        has_types = getattr(config, "type_vocab_size", 0) == 2
        types = [int(has_types and n >= length // 2 and length > 1) for n in range(length)]
        texts.append({"tokens": tokens, "types": types})
    return texts


def answer(model, text):
    arguments = {"input_ids": torch.tensor([text["tokens"]])}
    if getattr(model.config, "type_vocab_size", 0) == 2:
        arguments["token_type_ids"] = torch.tensor([text["types"]])
    with torch.no_grad():
        return model(**arguments)


def pooled(hidden, stages, dense):
    for stage in stages:
        hidden = {
            "mean": lambda x: x.mean(0), "max": lambda x: x.max(0).values, "cls": lambda x: x[0],
            "dense": lambda x: torch.tanh(dense(x)), "normalize": lambda x: x / x.norm(),
        }[stage](hidden)
    return hidden


def rows(model, text, stages, dense):
    """The rows a runtime is asked for: one of the text, or those of some of its tokens."""
    output = answer(model, text)
    if stages:
        return [pooled(output.last_hidden_state[0], stages, dense)]
    if hasattr(output, "start_logits"):
        return list(torch.stack([output.start_logits[0], output.end_logits[0]], -1))
    found = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return list(found[0] if found.dim() == 3 else found)


def write_modules(folder, stages, dense, config):
    """What sentence-transformers leaves beside a model."""
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]

    def module(kind, settings):
        path = f"{len(modules)}_{kind}"
        modules.append({"idx": len(modules), "name": str(len(modules)), "path": path, "type": f"sentence_transformers.models.{kind}"})
        (folder / path).mkdir()
        if settings:
            (folder / path / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
        return folder / path

    width = getattr(config, "hidden_size", None) or config.dim
    for stage in stages:
        if stage == "normalize":
            module("Normalize", None)
        elif stage == "dense":
            from safetensors.torch import save_file
            settings = {"in_features": width, "out_features": DENSE_OUT, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}
            save_file({f"linear.{name}": value.data for name, value in dense.named_parameters()}, module("Dense", settings) / "model.safetensors")
        else:
            mode = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}[stage]
            module("Pooling", {"word_embedding_dimension": width} | {
                f"pooling_mode_{kind}": kind == mode for kind in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")})
    (folder / "modules.json").write_text(json.dumps(modules, indent=1) + "\n")


def make(name, folder, seed):
    kind, config, stages = CASES[name]
    config._attn_implementation = "eager"
    model = kind(config).eval()
    randomise(model, seed)
    model.tie_weights()
    dense = torch.nn.Linear(32, DENSE_OUT)
    randomise(dense, seed + 1)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    for extra in folder.glob("generation_config.json"):
        extra.unlink()
    if stages and not name.endswith("-bare"):
        write_modules(folder, stages, dense, config)
    (folder / "tokenizer.json").write_text(tokenizer().to_str(pretty=False) + "\n")
    encoders_gguf.write(name, folder)
    texts = inputs(config, seed + 2)
    for text in texts:
        text["rows"] = [[round(x, 6) for x in row.tolist()] for row in rows(model, text, stages, dense)]
    return texts


def dumps(answers):
    lines = [f" {json.dumps(name)}: [\n  " + ",\n  ".join(json.dumps(text) for text in texts) + "\n ]" for name, texts in answers.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def differs(found, expected):
    for name, texts in expected.items():
        for ours, theirs in zip(texts, found.get(name, []), strict=True):
            if ours["tokens"] != theirs["tokens"] or not torch.allclose(torch.tensor(ours["rows"]), torch.tensor(theirs["rows"]), atol=1e-5):
                return name
    return None if found.keys() == expected.keys() else "the list of cases"


def main():
    with tempfile.TemporaryDirectory() as work:
        answers = {name: make(name, pathlib.Path(work) / name, 100 * nth) for nth, name in enumerate(CASES)}
        if "--check" in sys.argv:
            name = differs(json.loads((FOLDER / "expected.json").read_text()), answers)
            sys.exit(f"{name}: the committed answers are not what this script makes" if name else 0)
        for name in CASES:
            shutil.rmtree(FOLDER / name, ignore_errors=True)
            shutil.copytree(pathlib.Path(work) / name, FOLDER / name)
        (FOLDER / "expected.json").write_text(dumps(answers))


if __name__ == "__main__":
    main()

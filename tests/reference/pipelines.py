#!/usr/bin/env python3
"""Makes tests/fixtures/encoders/pipelines.json: what transformers answers for texts, by its tokenizers and pipelines.

    pipelines.py            rewrites the file (after encoders.py, whose checkpoints it runs)
    pipelines.py --check    fails when the committed file is not what the script makes (to 1e-5)
"""
import json
import math
import pathlib
import sys

import torch
import transformers as t

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "encoders"
FILE = FOLDER / "pipelines.json"


def load(name, kind):
    tokenizer = t.PreTrainedTokenizerFast(
        tokenizer_file=str(FOLDER / name / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    return kind.from_pretrained(FOLDER / name, attn_implementation="eager").eval(), tokenizer


def vectors(texts):
    """bert-bare: the mean of the rows at length 1."""
    model, tokenizer = load("bert-bare", t.AutoModel)
    with torch.no_grad():
        rows = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0) for text in texts]
    return [(row / row.norm()).tolist() for row in rows]


def probabilities(pairs):
    model, tokenizer = load("bert-classify", t.AutoModelForSequenceClassification)
    with torch.no_grad():
        return [torch.softmax(model(**tokenizer(*pair, return_tensors="pt")).logits[0], -1).tolist() for pair in pairs]


def relevance(query, documents):
    model, tokenizer = load("roberta-rerank", t.AutoModelForSequenceClassification)
    with torch.no_grad():
        inputs = [tokenizer(query, document, return_tensors="pt") for document in documents]
        # One token type only, as the tokenizers of this family have it.
        return [torch.sigmoid(model(input_ids=one["input_ids"]).logits[0, 0]).item() for one in inputs]


def entities(text):
    model, tokenizer = load("bert-tokens", t.AutoModelForTokenClassification)
    found = t.pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")(text)
    return [{"label": one["entity_group"], "score": float(one["score"]), "start": one["start"], "end": one["end"]} for one in found]


def guesses(text):
    model, tokenizer = load("bert-mask", t.AutoModelForMaskedLM)
    found = t.pipeline("fill-mask", model=model, tokenizer=tokenizer, top_k=3)(text)
    return [{"token": one["token"], "score": one["score"]} for one in found]


def place(question, context):
    """The likeliest beginning and end in order, at most 15 tokens apart, among the context's tokens."""
    model, tokenizer = load("bert-answer", t.AutoModelForQuestionAnswering)
    inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
    spans = inputs.pop("offset_mapping")[0].tolist()
    own = [nth for nth, text in enumerate(inputs.sequence_ids(0)) if text == 1]
    with torch.no_grad():
        output = model(**inputs)
    starts, ends = (torch.softmax(scores[0, own], -1) for scores in (output.start_logits, output.end_logits))
    best = max(((starts[i] * ends[j]).item(), i, j) for i in range(len(own)) for j in range(i, min(i + 15, len(own))))
    return {"score": best[0], "start": spans[own[best[1]]][0], "end": spans[own[best[2]]][1]}


def make():
    texts = ["hello world", "a", "the quick brown fox, 3 times!"]
    pairs = [["good day"], ["good day", "bad day"]]
    documents = ["rain", "sun and sea", "a cold day"]
    return {
        "embeddings": {"input": texts, "rows": vectors(texts)},
        "classify": {"input": pairs, "rows": probabilities(pairs)},
        "rerank": {"query": "warm", "documents": documents, "scores": relevance("warm", documents)},
        "entities": {"input": "anna met bob in rome", "found": entities("anna met bob in rome")},
        "fill-mask": {"input": "a [MASK] day", "found": guesses("a [MASK] day")},
        "question": {"question": "who", "context": "bob met anna", "found": place("who", "bob met anna")},
    }


def same(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return math.isclose(a, b, abs_tol=1e-5) if isinstance(a, float) else a == b


def main():
    made = make()
    if "--check" in sys.argv:
        sys.exit(0 if same(made, json.loads(FILE.read_text())) else "the committed file is not what this script makes")
    FILE.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()

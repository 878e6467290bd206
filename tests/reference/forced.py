"""What llama.cpp and exact arithmetic choose after every token of given texts: expected outputs for SmolLM2-135M-Instruct.

usage: forced.py MODEL.gguf [--check]

The texts (forced.txt: old novels, code, JSON, questions with answers, several languages) are given, not generated, so that
most choices are hard. For each position: the token that is most likely to come next, how far ahead of the second it is, and
the logarithm of the probability of the token that does come next.
"""

import pathlib
import sys

import numpy as np

from greedy import load, tokenizer
from llama import Llama
from llama_cpp import serve
from output import settle

N_TOKENS = 512
TEXTS = pathlib.Path(__file__).with_name("forced.txt").read_text().split("----\n")


def llama_cpp(server, tokens):
    best, margins, logs = [], [], []
    for n in range(1, len(tokens)):
        for n_probs in [200, 60000]:
            request = {"prompt": tokens[:n], "max_tokens": 1, "temperature": 0, "n_probs": n_probs, "cache_prompt": True}
            (step,) = server.handle_completions(request)["choices"][0]["logprobs"]["content"]
            found = {word["id"]: word["logprob"] for word in step["top_logprobs"]}
            if tokens[n] in found:
                break
        first, second, *_ = step["top_logprobs"]
        best.append(first["id"])
        margins.append(round(first["logprob"] - second["logprob"], 3))
        logs.append(round(found[tokens[n]], 4))
    return {"best": best, "margins": margins, "logs": logs}


def exact(c, w, tokens):
    logits = Llama(c, w).forward(np.array(tokens[:-1])).astype(np.float64)
    logs = logits - logits.max(-1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(-1, keepdims=True))
    highest = -np.sort(-logs, -1)[:, :2]
    return {
        "best": logs.argmax(-1).tolist(), "margins": (highest[:, 0] - highest[:, 1]).round(3).tolist(),
        "logs": logs[np.arange(len(logs)), tokens[1:]].round(4).tolist(),
    }


def main():
    path = sys.argv[1]
    c, w, reader = load(path)
    words, server = tokenizer(reader), serve(path)
    cases = []
    for text in TEXTS:
        tokens = words.encode(text).ids[:N_TOKENS]
        assert len(tokens) == N_TOKENS, len(tokens)
        cases.append({"tokens": tokens, "llama_cpp": llama_cpp(server, tokens), "exact": exact(c, w, tokens)})
        report(cases[-1])
    # One number a line would make ten thousand lines.
    settle("runtime/models/testdata/smollm2-forced.json", cases, indent=None)


def report(case):
    same = np.equal(case["llama_cpp"]["best"], case["exact"]["best"]).mean()
    perplexity = {name: float(np.exp(-np.mean(case[name]["logs"]))) for name in ["llama_cpp", "exact"]}
    print(f"llama.cpp chooses as exact arithmetic in {same:.1%}; perplexity {perplexity}")


main()

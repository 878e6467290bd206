"""Greedy answers of a GGUF file by llama.cpp, with the best scores of each step: expected outputs for SmolLM2-135M-Instruct.

usage: llama_cpp.py MODEL.gguf [--check]

It computes with quantised activations, as the runtime does, so both should choose alike; greedy.py says what exact
arithmetic would choose.
"""

import sys

import gguf
import xllamacpp

from greedy import PROMPTS, tokenizer
from output import settle

N_TOKENS = 48
N_BEST = 10


def serve(path):
    settings = xllamacpp.CommonParams()
    settings.model.path = path
    settings.n_ctx = 1024
    settings.n_parallel = 1
    settings.warmup = False
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 2
    return xllamacpp.Server(settings)


def answer(server, tokens):
    """Tokens and, for each step, [token, log of its probability] of the best ones."""
    greedy, best = [], []
    # One request for each token: within one answer the server tells no scores of tokens that end inside a character.
    for _ in range(N_TOKENS):
        request = {"prompt": tokens + greedy, "max_tokens": 1, "temperature": 0, "n_probs": N_BEST, "ignore_eos": True}
        (step,) = server.handle_completions(request)["choices"][0]["logprobs"]["content"]
        best.append([[word["id"], round(word["logprob"], 4)] for word in step["top_logprobs"]])
        greedy.append(step["id"])
    return greedy, best


def main():
    path = sys.argv[1]
    words = tokenizer(gguf.GGUFReader(path))
    server = serve(path)
    cases = []
    for prompt in PROMPTS:
        tokens = words.encode(prompt).ids
        greedy, best = answer(server, tokens)
        cases.append({
            "prompt": prompt, "tokens": tokens, "greedy": greedy,
            "margins": [round(step[0][1] - step[1][1], 4) for step in best], "first": best[0], "text": words.decode(greedy),
        })
    settle("runtime/models/testdata/smollm2-llama-cpp.json", cases)


if __name__ == "__main__":
    main()

"""Cuts text into words with the patterns that the publishers' tokenizer.json files have: expected outputs of runtime/text."""

import regex

from output import settle

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
# Steps, each applied to the pieces of the one before, as `Sequence` does; what does not match stays a piece.
WAYS = {"gpt-2": [GPT2], "smollm": [r"\p{N}", GPT2], "llama-bpe": [LLAMA3], "qwen2": [QWEN2]}
TEXTS = [
    "Hello world",
    "I'll say it's 1234567 o'clock, WE'LL see...",
    "  two  spaces   and\ttabs\n\nnew lines \r\n end ",
    "def f(x):\n    return x**2  # naïve",
    "Größe 東京 3½ ١٢٣ — “quotes”… 👍🏽 e\u0301",
    "",
    " ",
    "\n",
]


def cut(steps, text):
    pieces = [text]
    for step in steps:
        out = []
        for piece in pieces:
            at = 0
            for match in regex.finditer(step, piece):
                out += [piece[at : match.start()], match.group()]
                at = match.end()
            out.append(piece[at:])
        pieces = [piece for piece in out if piece]
    return pieces


settle("runtime/text/testdata/cuts.json", [{"way": way, "text": text, "pieces": cut(steps, text)} for way, steps in WAYS.items() for text in TEXTS])

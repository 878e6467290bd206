#!/usr/bin/env python3
"""Makes runtime/models/testdata/minilm.json and minilm.f16 (little-endian, row by row): vectors of 500 sentences by sentence-transformers' all-MiniLM-L6-v2.

    minilm.py MODEL-DIRECTORY      as tests/reference/minilm.sh prints it; needs sentence-transformers
"""
import json
import pathlib
import random
import sys

import numpy
from sentence_transformers import SentenceTransformer

OUT = pathlib.Path(__file__).resolve().parents[2] / "runtime" / "models" / "testdata" / "minilm.json"
PARTS = [
    ["The invoice", "Our cluster", "A patient of 54", "Müller & Söhne GmbH", "das Modell", "The quarterly report", "Mon collègue", "一个模型", "She", "Nobody"],
    ["was late by 3 days", "needs two GPUs", "asked for an answer", "did not pay €1,200.50", "läuft seit gestern", "a écrit un e-mail", "is running out of memory!!!", "described the café's opening hours", "回答了问题", "sleeps"],
    ["because of the storm", "in the private network", "at http://example.com/a?b=c", "(see section 4.2)", "after the meeting, as agreed", "without telling anybody", "😀", "— or so it seemed", "when the budget was cut by half", "again and again"],
]


def sentences():
    """All lengths from a word to more than the model reads, in several scripts; the same on each run."""
    chance = random.Random(2)
    texts = []
    for n in range(500):
        clauses = 1 if n % 5 else chance.randint(2, 30)
        texts.append(". ".join(" ".join(chance.choice(part) for part in PARTS) for _ in range(clauses)))
    texts[:4] = ["a", "?", "hello", "naïve 𝒳 résumé"]
    return texts


def main():
    model = SentenceTransformer(sys.argv[1], device="cpu")
    texts = sentences()
    # One at a time, so that no text is padded.
    vectors = numpy.stack([model.encode(text, convert_to_numpy=True) for text in texts]).astype("<f4")
    OUT.with_suffix(".f16").write_bytes(vectors.astype("<f2").tobytes())
    OUT.write_text(json.dumps({"sentences": texts, "width": vectors.shape[1]}, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()

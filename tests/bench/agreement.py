"""Whether two programs computed the same, so that their speeds may be compared.

Greedy texts: two correct programs round differently, choose differently at a near tie, and then go on differently. So both go
on with the same beginnings, which the peer's own answer gives, and the share of beginnings is judged after which both put the
same word. Vectors: the mean cosine with the reference's.
"""

import math
import re

# Of the beginnings. Programs that round in 8 bits put the same word nine times in ten; those that compute something else, never.
WORDS_AT_LEAST = 0.8


class Disagreement(Exception):
    """Speeds are not compared: the outputs are not the same."""


def beginnings(prompt, answer, n):
    """The prompt with the answer up to the end of n of its words, from none on."""
    ends = [0] + [word.end() for word in re.finditer(r"\S+", answer)][:-1]
    chosen = sorted({ends[len(ends) * at // n] for at in range(n)})
    return [prompt + answer[:end] for end in chosen]


def first_word(text):
    """With the space before it, which tokens tell apart."""
    found = re.match(r"\s*\S*", text)
    return found[0]


def judge_words(ours, theirs):
    """The share of texts that begin with the same word; raises Disagreement."""
    if not ours or len(ours) != len(theirs):
        raise Disagreement(f"{len(ours)} texts of ours against {len(theirs)} of the peer's")
    share = sum(first_word(a) == first_word(b) for a, b in zip(ours, theirs)) / len(ours)
    if share < WORDS_AT_LEAST:
        raise Disagreement(f"after {share:.0%} of the same {len(ours)} beginnings both put the same word, expected are {WORDS_AT_LEAST:.0%} at least")
    return share


def judge_prompts(ours, theirs):
    """Tokens that each counted in the same prompts; raises Disagreement."""
    if ours != theirs:
        raise Disagreement(f"the same prompts have {ours} tokens for ours and {theirs} for the peer")


def cosine(one, other):
    lengths = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
    return sum(a * b for a, b in zip(one, other)) / lengths if lengths else 0.0


def mean_cosine(vectors, reference):
    if not vectors or len(vectors) != len(reference):
        raise Disagreement(f"{len(vectors)} vectors against {len(reference)} of the reference")
    return sum(cosine(a, b) for a, b in zip(vectors, reference)) / len(vectors)

"""Trains tiny vocabularies of the kinds that came before tokenizer.json, and encodes with their own libraries.

Makes runtime/text/testdata/vocabularies.json: the files themselves, and texts with their tokens.
"""

import io
import json
import pathlib
import tempfile

import sentencepiece
from transformers import BertTokenizer, GPT2Tokenizer

from output import settle

TEXTS = [
    "Hello, world!",
    " Two  spaces and a line\nbreak ",
    "naïve café, Straße 42 €",
    "the cat sat on the mat; the dog sat on the log",
    "unaffable UNKNOWN 日本語 ﬁne",
    "",
    "don't we'll 123456 a_b",
]
CORPUS = [
    "the cat sat on the mat and the dog sat on the log",
    "hello world, hello cat, hello dog",
    "we will not, we don't, we can and we shall",
    "a line, a break, two spaces, forty two and café",
    "unaffable affable unable able table stable",
] * 20


def sentence_piece(kind, **options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=out, model_type=kind, vocab_size=options.pop("size"), num_threads=1,
        hard_vocab_limit=False, minloglevel=2, **options,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    return {"kind": "sentencepiece", "model": out.getvalue().hex(), "cases": [[text, model.encode(text)] for text in TEXTS]}


def rules(folder):
    """A small table of what is written otherwise: the usual one has a quarter of a megabyte."""
    file = folder / "rules.tsv"
    file.write_text("FB01\t66 69\nDF\t73 73\nA\t20\n")
    return file


def word_piece(folder, lower):
    words = sorted({word.strip(",'") for line in CORPUS for word in line.split()} - {"affable", "unable", "stable"})
    letters = [chr(c) for c in range(97, 123)] + list("0123456789") + list(",.!';_")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *words, "Hello", "##able", "日", "ca", "##fe", "un", "##aff"]
    file = folder / "vocab.txt"
    file.write_text("\n".join(dict.fromkeys(tokens)) + "\n")
    model = BertTokenizer(str(file), do_lower_case=lower)
    return {"kind": "wordpiece", "vocab": file.read_text(), "config": {"do_lower_case": lower}, "cases": [[text, model.encode(text)] for text in TEXTS]}


def byte_pairs(folder):
    letters = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters += [chr(256 + n) for n in range(256 - len(letters))]
    merges = ["h e", "t he", "l l", "he ll", "hell o", "Ġ t", "Ġt he", "a t", "c at", "Ġ w", "Ġw o", "o n", "Ã ©", "Ġ s", "Ġs at"]
    tokens = [*letters, *(merge.replace(" ", "") for merge in merges), "<|endoftext|>"]
    vocab = json.dumps({token: n for n, token in enumerate(dict.fromkeys(tokens))}, ensure_ascii=False)
    (folder / "vocab.json").write_text(vocab)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    model = GPT2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    config = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    texts = [*TEXTS, "the cat<|endoftext|> sat"]
    return {"kind": "bytepairs", "vocab": vocab, "merges": (folder / "merges.txt").read_text(), "config": config, "cases": [[text, model.encode(text)] for text in texts]}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        settle("runtime/text/testdata/vocabularies.json", {
            "unigram": sentence_piece("unigram", size=90, normalization_rule_tsv=str(rules(folder))),
            "unigram, bytes": sentence_piece("unigram", size=330, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
            "pairs": sentence_piece("bpe", size=400, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False),
            "wordpiece": word_piece(folder, True),
            "wordpiece, cased": word_piece(folder, False),
            "byte pairs": byte_pairs(folder),
        })


main()

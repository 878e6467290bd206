"""Prompts and texts, the same on every machine and in every run, and no two alike unless asked for."""

import random

# Of ordinary tokens, past those that templates use. Both models' vocabularies reach that far.
FIRST_TOKEN, N_TOKENS = 1000, 40000

# Frequent words, of one token each in most vocabularies.
WHOSE = "the a this that every one another some her his our their no each".split()
HOW = "old new small large quiet young white black long short early late open dark warm cold strange simple famous local".split()
WHO = """teacher river house city school market doctor garden train winter letter window street family friend forest king boat road
children player judge farmer music story bridge army island village kitchen question morning church horse hotel summer""".split()
DOES = """opened left found watched remembered carried followed built painted saw heard wanted sold kept crossed forgot visited needed
changed closed""".split()
WHERE = "near behind under beside before after without inside across around".split()
JOINED = (", and", ", but", ", while", ", because", ", although", ".")

# Tokens of a chat's question: short ones and long ones come mixed.
CHAT_LENGTHS = (24, 64, 256, 96, 512, 32, 160, 384)


def tokens(nth, n):
    """Tokens that no cache has seen: another beginning for each nth."""
    return [(nth * 7919 + at * 104729) % N_TOKENS + FIRST_TOKEN for at in range(n)]


def clause(chosen):
    noun = lambda: f"{chosen.choice(WHOSE)} {chosen.choice(HOW)} {chosen.choice(WHO)}"
    return f"{noun()} {chosen.choice(DOES)} {noun()} {chosen.choice(WHERE)} {noun()}"


def words(nth, n):
    """The first n words of a text that is grammatical, if little else."""
    chosen = random.Random(nth)
    found = clause(chosen).split()
    while len(found) < n:
        found[-1] += chosen.choice(JOINED)
        found += clause(chosen).split()
    return " ".join(found[:n])


def question(nth, n):
    """A chat's question of about n tokens: frequent words are one token each."""
    return f"Text {nth}: {words(nth, max(n - 16, 4))}. Go on with it."


def chat(nth, n_tokens_out, length=None):
    length = length or CHAT_LENGTHS[nth % len(CHAT_LENGTHS)]
    return {"model": "model", "messages": [{"role": "user", "content": question(nth, length)}], "max_tokens": n_tokens_out, "temperature": 0,
            "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}


def completion(prompt, n_tokens_out, **more):
    """What both servers understand; llama.cpp's shall not answer out of a cache where the computing is measured."""
    return {"model": "model", "prompt": prompt, "max_tokens": n_tokens_out, "temperature": 0, "ignore_eos": True, "stream": True,
            "cache_prompt": False, "stream_options": {"include_usage": True}, **more}


# What greedy answers are compared on.
JUDGED = (
    "The capital of France is", "Water boils at a temperature of", "Once upon a time, in a small village,", "def fibonacci(n):\n",
    "The three primary colours are", "In the year 1969,", "The opposite of hot is", "To make bread you need flour,",
)


def record(nth):
    return f'{{"id": {nth}, "name": "user-{nth}", "email": "user-{nth}@example.com", "active": true, "roles": ["reader", "writer"]}},\n'


def repetitive(nth):
    """JSON and code that a model goes on with by repeating it, with little that changes from line to line."""
    lines = "".join(record(at) for at in range(nth * 100, nth * 100 + 8))
    code = "".join(f'    settings.set("option_{nth}_{at}", read_option(source, "option_{nth}_{at}", default=None))\n' for at in range(8))
    return (f"[\n{lines}", f"def load_{nth}(settings, source):\n{code}")[nth % 2]


def sentence_lengths(n):
    """Words of each sentence: of 5 to 123 tokens with the two at the ends, most of them short, in mixed order."""
    chosen = random.Random(20)
    return [min(max(round(chosen.lognormvariate(2.9, 0.8)), 3), 121) for _ in range(n)]


def sentences(n):
    return [words(50_000 + nth, length) for nth, length in enumerate(sentence_lengths(n))]

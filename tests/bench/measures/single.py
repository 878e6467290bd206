"""One stream: prompts and answers by format, with a long context, and of GPT-2."""

import agreement
import load
import prompts
from summary import Series

FORMATS = ("Q4_1", "Q4_0", "Q8_0", "Q4_K_M", "F16")
N_PROMPT, N_ANSWER = 512, 128
# A whole step beyond the longest prompt, and the answer.
ROOM = 320


def smollm(format_name):
    return f"SmolLM2-135M-Instruct.{format_name}.gguf"


def continued(server, text, n):
    """The greedy answer to a text, and the tokens that the server counted in the text."""
    outcome = load.ask(server.address, "/v1/completions", prompts.completion(text, n))
    return outcome.answer.text, outcome.answer.usage.get("prompt_tokens")


def agree(rig, servers, file):
    """Raises Disagreement where the greedy answers or the counts of tokens differ. The second server's answers are followed."""
    ours, theirs = servers
    texts = []
    for prompt in prompts.JUDGED[:rig.few(None, 2)]:
        answer, _ = continued(theirs, prompt, rig.few(32, 6))
        texts += agreement.beginnings(prompt, answer, rig.few(4, 2))
    answers = [[continued(server, text, 4) for text in texts] for server in (ours, theirs)]
    rig.keep("texts", {"file": file, "beginnings": texts, **{server.name: of_server for server, of_server in zip(servers, answers)}})
    agreement.judge_prompts(*([count for _, count in of_server] for of_server in answers))
    share = agreement.judge_words(*([text for text, _ in of_server] for of_server in answers))
    rig.say(f"{file}: after {share:.0%} of {len(texts)} beginnings both put the same word")


def prefill_rate(server, nth, n):
    """Prompt tokens by the seconds to the first token."""
    outcome = load.ask(server.address, "/v1/completions", prompts.completion(prompts.tokens(nth, n), 1))
    return n / outcome.first_s


def decode_rate(server, nth, depth, n):
    """Tokens per second after the first one of an answer to `depth` tokens."""
    outcome = load.ask(server.address, "/v1/completions", prompts.completion(prompts.tokens(nth, depth), n))
    times = outcome.answer.text_times
    return (outcome.n_tokens - 1) / (times[-1] - times[0])


def in_turns(rig, servers, measure):
    """Rates by server, a round each: measure(server, nth) with an nth that no other turn has."""
    by_name = {server.name: server for server in servers}
    rates = {name: [] for name in by_name}
    for nth, name in rig.in_turns(list(by_name)):
        rate = measure(by_name[name], nth * len(by_name) + list(by_name).index(name))
        if nth:
            rates[name].append(rate)
    return list(rates.values())


def series(name, rates, unit="tokens/s", peer="llama.cpp"):
    return Series(name, unit, rates[0], peer, rates[1])


def prefill(rig):
    n = rig.few(N_PROMPT, 64)
    for format_name in FORMATS:
        with rig.both(smollm(format_name), n + ROOM) as servers:
            agree(rig, servers, smollm(format_name))
            yield series(f"prefill 512, {format_name}", in_turns(rig, servers, lambda server, nth: prefill_rate(server, nth, n)))


def decode(rig):
    n = rig.few(N_ANSWER, 16)
    for format_name in FORMATS:
        file = smollm(format_name)
        with rig.both(file, n + ROOM) as servers:
            agree(rig, servers, file)
            rates = in_turns(rig, servers, lambda server, nth: decode_rate(server, 1000 + nth, 8, n))
        yield series(f"decode, {format_name}", rates)
        # Every weight is read once for a token: the embedding is the output layer's too.
        n_bytes = rig.tensor_bytes(file)
        rig.keep("bytesOfWeights", {"file": file, "bytes": n_bytes})
        bandwidth = rig.roofline()["read"]
        yield Series(f"decode, {format_name}: bytes of weights", "GB/s", [rate * n_bytes / 1e9 for rate in rates[0]], "memory bandwidth",
                     [bandwidth] * len(rates[0]))


def long(rig):
    """At depth: the prompt is computed first and does not count."""
    # SmolLM2's context is 8,192 tokens.
    for name, depth in (("2048", rig.few(2048, 128)), ("8000", rig.few(8000, 256))):
        file, n = smollm("Q4_1"), rig.few(64, 8)
        with rig.both(file, min(depth + ROOM, 8192)) as servers:
            agree(rig, servers, file)
            # One request gives both: the first token ends the prompt.
            def both_rates(server, nth):
                outcome = load.ask(server.address, "/v1/completions", prompts.completion(prompts.tokens(2000 + nth, depth), n))
                times = outcome.answer.text_times
                return depth / outcome.first_s, (outcome.n_tokens - 1) / (times[-1] - times[0])
            rates = in_turns(rig, servers, both_rates)
        for at, what in enumerate((f"prefill {name}, Q4_1", f"decode at depth {name}, Q4_1")):
            yield series(what, [[pair[at] for pair in of_server] for of_server in rates])


def gpt2(rig):
    """Of GPT-2 124M's shape with random weights, since no package brings the real ones: speed does not depend on them."""
    file = "GPT-2-124M-random.Q8_0.gguf"
    n_prompt, n_answer = rig.few(N_PROMPT, 64), rig.few(N_ANSWER, 16)
    with rig.both(file, n_prompt + ROOM) as servers:
        agree(rig, servers, file)
        yield series("prefill 512, GPT-2 Q8_0", in_turns(rig, servers, lambda server, nth: prefill_rate(server, nth, n_prompt)))
        yield series("decode, GPT-2 Q8_0", in_turns(rig, servers, lambda server, nth: decode_rate(server, 1000 + nth, 8, n_answer)))

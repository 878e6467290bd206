"""mistral.rs beside the runtime. Its package has no server, so its own clock tells; it counts the same two times."""

import json

import agreement
import load
import prompts
import rig as rigs
from measures.single import N_ANSWER, N_PROMPT, ROOM, in_turns, series, smollm
from told import Told

FORMATS = ("Q4_1", "Q8_0")


class Mistral(Told):
    def __init__(self, rig, model):
        super().__init__(rig, "mistral.rs", "peers", "mistral_peer.py", model)

    def ask(self, prompt, n):
        """Tokens and seconds of the prompt and of the answer, and its text."""
        return self.tell(json.dumps({"prompt": prompt, "max_tokens": n}))


def ask(server, prompt, n):
    """The same of the runtime."""
    if server.name == "mistral.rs":
        return server.ask(prompt, n)
    outcome = load.ask(server.address, "/v1/completions", prompts.completion(prompt, n))
    times, usage = outcome.answer.text_times, outcome.answer.usage
    return {"prompt_tokens": usage["prompt_tokens"], "prompt_s": outcome.first_s, "tokens": usage["completion_tokens"], "decode_s": times[-1] - times[0],
            "text": outcome.answer.text}


def agree(rig, servers, file):
    """As single.agree; mistral.rs counts one token more, since it puts one before every text."""
    texts = []
    for prompt in prompts.JUDGED[:rig.few(None, 2)]:
        texts += agreement.beginnings(prompt, ask(servers[1], prompt, rig.few(32, 6))["text"], rig.few(4, 2))
    answers = [[ask(server, text, 4)["text"] for text in texts] for server in servers]
    rig.keep("texts", {"file": file, "beginnings": texts, "alcazar": answers[0], "mistral.rs": answers[1]})
    share = agreement.judge_words(*answers)
    rig.say(f"{file}: after {share:.0%} of {len(texts)} beginnings both put the same word")


def rates(rig, server, nth):
    """Tokens per second of a prompt and of an answer."""
    long = ask(server, prompts.words(nth, rig.few(N_PROMPT, 64)), 2)
    short = ask(server, prompts.words(5000 + nth, 8), rig.few(N_ANSWER, 16))
    return long["prompt_tokens"] / long["prompt_s"], (short["tokens"] - 1) / short["decode_s"]


def mistralrs(rig):
    for format_name in FORMATS:
        path = rig.model(smollm(format_name))
        with rig.serving(lambda: rigs.Alcazar(rig, path, N_PROMPT + ROOM, 1), lambda: Mistral(rig, path)) as servers:
            agree(rig, servers, smollm(format_name))
            found = in_turns(rig, servers, lambda server, nth: rates(rig, server, nth))
        for at, what in enumerate((f"prefill 512, {format_name}", f"decode, {format_name}")):
            yield series(what, [[pair[at] for pair in of_server] for of_server in found], peer="mistral.rs")

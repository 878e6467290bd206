"""Sentences per second of all-MiniLM-L6-v2 on texts of mixed lengths, in the order they come."""

import contextlib
import json
import os
import time

import agreement
import load
import prompts
import rig as rigs
from summary import Series
from told import Told

REFERENCE = "sentence-transformers-f32"
PEERS = (REFERENCE, "sentence-transformers-bf16", "ctranslate2-int8", "ctranslate2-f32", "onnxruntime-int8", "onnxruntime-f32")
# Name, the least mean cosine with the reference that ours must have, and the peers': they are taken as they come in int8.
CLASSES = (("int8", 0.996, 0.98), ("f32-grade", 0.9999, 0.9999))
BATCH, CLIENTS, JUDGED = 32, 4, 64


class Peer(Told):
    """encoder_peer.py as a process."""

    def __init__(self, rig, name, model, texts):
        super().__init__(rig, name, "encoders", "encoder_peer.py", name, model, str(rig.models), texts, str(rig.threads))

    def seconds(self, _texts):
        return self.tell("run")["seconds"]

    def vectors(self, texts):
        return self.tell(f"vectors {len(texts)}")["vectors"]


class Embedder:
    """A server's /v1/embeddings, asked by some clients with a batch each time."""

    def __init__(self, server, name):
        self.server, self.name = server, name

    def outcomes(self, texts):
        requests = [load.request("/v1/embeddings", {"model": "model", "input": texts[at:at + BATCH]}) for at in range(0, len(texts), BATCH)]
        return load.accepted(load.run(self.server.address, [requests[client::CLIENTS] for client in range(CLIENTS)]))

    def seconds(self, texts):
        begin = time.monotonic()
        self.outcomes(texts)
        return time.monotonic() - begin

    def vectors(self, texts):
        answers = [load.ask(self.server.address, "/v1/embeddings", {"model": "model", "input": texts[at:at + BATCH]}) for at in range(0, len(texts), BATCH)]
        return [one["embedding"] for answer in answers for one in sorted(json.loads(answer.answer.body)["data"], key=lambda one: one["index"])]

    def stop(self):
        self.server.stop()


def makers(rig, texts_file):
    """All that compute: name and how to start it."""
    model = str(rig.folder.parent / "models/all-MiniLM-L6-v2")
    found = {"alcazar": lambda: Embedder(rigs.Alcazar(rig, model, None, 16, ("--max-queued", "256")), "alcazar")}
    # How the runtime is told to compute encoders in int8, once it can.
    if flags := os.environ.get("ALCAZAR_ENCODER_INT8", "").split():
        found["alcazar-int8"] = lambda: Embedder(rigs.Alcazar(rig, model, None, 16, ("--max-queued", "256", *flags)), "alcazar-int8")
    for name in PEERS:
        found[name] = lambda name=name: Peer(rig, name, model, texts_file)
    gguf = rig.models / "all-MiniLM-L6-v2.F16.gguf"
    if gguf.exists():
        found["llama.cpp-f16"] = lambda: Embedder(rigs.LlamaCpp(rig, str(gguf), 512, 4, ("--embedding", "--pooling", "mean")), "llama.cpp-f16")
    else:
        rig.skip("sentences against llama.cpp-f16", f"{gguf} is not there")
    return found


def started(rig, stack, found):
    """Those that start. A peer that does not is named in the details, and the others are measured all the same."""
    programs = {}
    for name, make in found.items():
        try:
            programs[name] = make()
            stack.callback(programs[name].stop)
        except (RuntimeError, OSError) as failure:
            if name in ("alcazar", REFERENCE):
                raise
            rig.skip(f"sentences against {name}", failure)
    return programs


def encoder(rig):
    texts = prompts.sentences(rig.few(2000, 16))
    texts_file = rig.folder / "sentences.json"
    texts_file.write_text(json.dumps(texts))
    judged = texts[:rig.few(JUDGED, 8)]
    with contextlib.ExitStack() as stack:
        programs = started(rig, stack, makers(rig, str(texts_file)))
        reference = programs[REFERENCE].vectors(judged)
        cosines = {name: agreement.mean_cosine(program.vectors(judged), reference) for name, program in programs.items()}
        rates = {name: [] for name in programs}
        for nth, name in rig.in_turns(list(programs)):
            rate = len(texts) / programs[name].seconds(texts)
            if nth:
                rates[name].append(rate)
    rig.keep("sentences", {"cosines": cosines, "rates": rates})
    for name in programs:
        rig.say(f"{name}: cosine {cosines[name]:.5f}")
    yield from compared(rig, rates, cosines)


def fastest(rates, cosines, ours, bound):
    """The name with the highest median among ours, or among the peers, whose cosine is at least the bound."""
    names = [name for name in rates if name.startswith("alcazar") == ours and cosines[name] >= bound]
    return max(names, key=lambda name: sorted(rates[name])[len(rates[name]) // 2], default=None)


def peer_class(cosine):
    return next((name for name, _, of_peers in reversed(CLASSES) if cosine >= of_peers), None)


def compared(rig, rates, cosines):
    """Within a class only: a fast program that computes something else is no peer."""
    for name, bound, of_peers in CLASSES:
        ours, theirs = fastest(rates, cosines, True, bound), fastest(rates, cosines, False, of_peers)
        if ours is None or theirs is None:
            rig.skip(f"sentences, {name}", f"no {'runtime' if ours is None else 'peer'} with a cosine of at least {bound if ours is None else of_peers}: {cosines}")
            continue
        yield Series(f"sentences, {name}", "sentences/s", rates[ours], f"the best {name}", rates[theirs])
        # Each peer once, in the strictest class that it is in.
        for peer in rates:
            if not peer.startswith("alcazar") and name == peer_class(cosines[peer]):
                yield Series(f"sentences, {name}", "sentences/s", rates[ours], peer, rates[peer])
    if rejected := {name: round(value, 5) for name, value in cosines.items() if value < CLASSES[0][2]}:
        rig.skip("sentences of programs that compute something else", f"cosine below {CLASSES[0][2]}: {rejected}")
    rig.skip("sentences, f32-grade, against TEI", "no package brings it")

"""What one process costs and does by itself: memory, start, guessing ahead in repetitive text."""

import os
import re
import shutil
import subprocess

import agreement
import load
import prompts
import rig as rigs
from measures.single import agree, smollm
from summary import Series

FILE = smollm("Q4_1")
MIB = 1 << 20


def memory(rig):
    """Resident after warm-up, less the file and the cache: what Alcazar has touched of its own, llama.cpp's whole one."""
    file = rig.model(FILE)
    size, n, context, token = os.path.getsize(file), rig.few(512, 64), 1024, rig.inspect(FILE)["cacheBytesPerToken"]
    above = {"alcazar": [], "llama.cpp": []}
    for nth in range(rig.rounds):
        with rig.both(FILE, context) as servers:
            if nth == 0:
                agree(rig, servers, FILE)
            for server in servers:
                load.ask(server.address, "/v1/completions", prompts.completion(prompts.tokens(nth, n), rig.few(64, 8)))
                cached = (n + rig.few(64, 8) if server.name == "alcazar" else context) * token
                resident = server.resident_bytes()
                rig.keep("memory", {"server": server.name, "resident": resident, "file": size, "cache": cached})
                above[server.name].append((resident - size - cached) / MIB)
    yield Series("resident above file and cache", "MiB", above["alcazar"], "llama.cpp", above["llama.cpp"])


def resident(paths):
    """Bytes of the files that are in the page cache; None where fincore (util-linux) is not there to tell."""
    if not shutil.which("fincore"):
        return None
    told = subprocess.run(["fincore", "--bytes", "--noheadings", "--output", "RES", *paths], capture_output=True, text=True, check=True).stdout
    return sum(map(int, told.split()))


def forget(paths):
    """Takes files out of the page cache; raises where something stays there."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if resident(paths) and os.geteuid() == 0:
        with open("/proc/sys/vm/drop_caches", "w") as drop:
            drop.write("1")
    if resident(paths) != 0:
        raise RuntimeError(f"{', '.join(paths)} could not be taken out of the page cache, or fincore is not there to tell")


def start(rig):
    """From the start of the process to its readiness, polled every 2 ms."""
    path = rig.model(FILE)
    servers = {"alcazar": lambda: rigs.Alcazar(rig, path, 2048, 1), "llama.cpp": lambda: rigs.LlamaCpp(rig, path, 2048, 1)}
    files = {"alcazar": [path, rig.runtime], "llama.cpp": [path, str(rig.llama / "llama-server")]}
    for state in ("warm", "cold"):
        took = {"alcazar": [], "llama.cpp": []}
        for nth, name in rig.in_turns(list(servers)):
            if state == "cold":
                forget(files[name])
            server = servers[name]()
            server.stop()
            if nth:
                took[name].append(server.ready_s)
        yield Series(f"start to ready, {state}", "s", took["alcazar"], "llama.cpp", took["llama.cpp"])


def switch(help_text):
    """The flags that switch guessing on and off, as the runtime's help has them; None where there is no such switch."""
    found = re.search(r"--(speculation)\b[^\n]*\n(.*?)(?=\n\s+--|\Z)", help_text, re.S)
    if not found:
        return None
    words = found[2].lower()
    on = next((word for word in ("ngram", "on", "auto") if re.search(rf"\b{word}\b", words)), "on")
    return ((f"--{found[1]}", on), (f"--{found[1]}", "off"))


def repetition(rig):
    """Decode of texts that repeat themselves, guessed ahead and plainly; the tokens must be the same."""
    flags = switch(rig.help())
    if flags is None:
        raise RuntimeError("this runtime has no switch for guessing ahead, so there is nothing to compare")
    path, n, rates = rig.model(FILE), rig.few(256, 24), ([], [])
    makers = [lambda chosen=chosen: rigs.Alcazar(rig, path, 2048, 1, chosen) for chosen in flags]
    with rig.serving(*makers) as servers:
        for nth in range(rig.rounds + 1):
            texts = []
            for at in (0, 1) if nth % 2 else (1, 0):
                outcome = load.ask(servers[at].address, "/v1/completions", prompts.completion(prompts.repetitive(nth), n))
                times = outcome.answer.text_times
                texts.append(outcome.answer.text)
                if nth:
                    rates[at].append((outcome.n_tokens - 1) / (times[-1] - times[0]))
            if texts[0] != texts[1]:
                raise agreement.Disagreement("guessing ahead changed the answer")
    yield Series("repetitive text, guessed ahead", "tokens/s", rates[0], "its own plain decode", rates[1])

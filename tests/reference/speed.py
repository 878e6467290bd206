"""Tokens per second of the runtime beside llama.cpp on the same file, in turns, so that both meet the same machine.

usage: speed.py MODEL.gguf RUNTIME [--rounds N] [--threads N]

Both are asked over HTTP by the same client. Prints a table of medians and ratios, and writes nothing.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import time

import xllamacpp

PORT, PROBE_PORT = 28543, 28181
N_PROMPT, N_ANSWER = 256, 64


def prompt(nth):
    """Tokens that no cache has seen: another beginning for each round."""
    return [(nth * 7919 + n * 104729) % 40000 + 100 for n in range(N_PROMPT)]


def ask(host, port, body):
    """Seconds from the request to the first token, and from the first to the last."""
    connection = http.client.HTTPConnection(host, port, timeout=300)
    asked = time.monotonic()
    connection.request("POST", "/v1/completions", json.dumps({"model": "model", "stream": True, "temperature": 0, "ignore_eos": True, **body}),
                       {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    times = []
    for line in response:
        if line.startswith(b"data: {") and json.loads(line[6:]).get("choices"):
            times.append(time.monotonic())
    return times[0] - asked, times[-1] - times[0]


class Runtime:
    name = "alcazar-runtime"

    def __init__(self, program, model, threads):
        self.process = subprocess.Popen(
            [program, "serve", "--model", model, "--name", "model", "--listen", f"127.0.0.1:{PORT}", "--probe-listen", f"127.0.0.1:{PROBE_PORT}",
             "--threads", str(threads), "--termination-log", os.devnull], stderr=subprocess.DEVNULL)
        self.address = ("127.0.0.1", PORT)
        while not self.is_ready():
            assert self.process.poll() is None, "the runtime has ended"
            time.sleep(0.01)
        # It measures itself once when nobody asks.
        time.sleep(2)

    def is_ready(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PROBE_PORT)
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def close(self):
        self.process.terminate()
        self.process.wait()


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, model, threads):
        settings = xllamacpp.CommonParams()
        settings.model.path = model
        settings.n_ctx, settings.n_parallel = 2048, 1
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(settings)
        host = self.server.listening_address.removeprefix("http://")
        self.address = (host.split(":")[0], int(host.rsplit(":", 1)[1]))

    def close(self):
        pass


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model")
    arguments.add_argument("runtime")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--threads", type=int, default=2)
    arguments = arguments.parse_args()
    peers = [Runtime(arguments.runtime, arguments.model, arguments.threads), LlamaCpp(arguments.model, arguments.threads)]
    rates = {peer.name: {"prefill": [], "decode": []} for peer in peers}
    for nth in range(arguments.rounds + 1):
        for peer in peers if nth % 2 else reversed(peers):
            first, _ = ask(*peer.address, {"prompt": prompt(nth), "max_tokens": 1, "cache_prompt": False})
            _, rest = ask(*peer.address, {"prompt": prompt(-nth)[:8], "max_tokens": N_ANSWER, "cache_prompt": False})
            # The first round warms up.
            if nth:
                rates[peer.name]["prefill"].append(N_PROMPT / first)
                rates[peer.name]["decode"].append((N_ANSWER - 1) / rest)
    for what in ("prefill", "decode"):
        ours, theirs = (rates[peer.name][what] for peer in peers)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"{what}: {peers[0].name} {statistics.median(ours):.1f}, {peers[1].name} {statistics.median(theirs):.1f} tokens/s; ratio {ratio:.2f}")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    for peer in peers:
        peer.close()


main()

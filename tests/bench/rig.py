"""Servers under measurement: Alcazar's runtime and llama.cpp's server, on the same cores, with as many threads."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import gguf_head

# A start that takes longer has failed.
START_SECONDS = 120
POLL_SECONDS = 0.002


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_on(cores, command, log, **more):
    """The program on these cores only."""
    with open(log, "wb") as to:
        return subprocess.Popen(command, stdout=to, stderr=to, preexec_fn=lambda: os.sched_setaffinity(0, cores), **more)


def get(address, path):
    """Status and body; None while nobody listens."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return None, ""
    finally:
        connection.close()


class Server:
    """A program that answers; `settled` waits for what it does after it is ready."""

    name = None

    def __init__(self, command, cores, log):
        self.log = pathlib.Path(log)
        begun = time.monotonic()
        self.process = start_on(cores, command, log)
        while get(*self.ready_at)[0] != 200:
            if self.process.poll() is not None or time.monotonic() - begun > START_SECONDS:
                self.stop()
                raise RuntimeError(f"{self.name} does not serve; the end of {log}:\n{self.log.read_text(errors='replace')[-1500:]}")
            time.sleep(POLL_SECONDS)
        self.ready_s = time.monotonic() - begun

    def settled(self):
        return self

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Alcazar(Server):
    name = "alcazar"

    def __init__(self, rig, model, context, slots, flags=()):
        self.address, probe = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        self.ready_at, self.probe = (probe, "/health/ready"), probe
        command = [rig.runtime, "serve", "--model", model, "--name", "model", "--listen", "127.0.0.1:%d" % self.address[1],
                   "--probe-listen", "127.0.0.1:%d" % probe[1], "--threads", str(rig.threads), "--max-sequences", str(slots),
                   "--termination-log", os.devnull, *(["--context-length", str(context)] if context else []), *flags]
        super().__init__(command, rig.cores, rig.logs / "alcazar.log")

    def settled(self):
        """It measures itself once when nobody asks."""
        ends = time.monotonic() + 15
        while '"message":"measured' not in self.log.read_text(errors="replace") and time.monotonic() < ends:
            time.sleep(0.1)
        return self

    def metrics(self):
        return get(self.probe, "/metrics")[1]


class LlamaCpp(Server):
    name = "llama.cpp"

    def __init__(self, rig, model, context, slots, flags=()):
        self.address = ("127.0.0.1", free_port())
        self.ready_at = (self.address, "/health")
        command = [rig.llama / "llama-server", "--model", model, "--host", "127.0.0.1", "--port", str(self.address[1]),
                   "--threads", str(rig.threads), "--threads-batch", str(rig.threads), "--ctx-size", str(context * slots),
                   "--parallel", str(slots), *flags]
        super().__init__(command, rig.cores, rig.logs / "llama.cpp.log")


class Rig:
    """What every measure needs: programs, files, cores, rounds."""

    def __init__(self, folder, runtime, llama, cores, threads, rounds, quick):
        self.folder, self.runtime = pathlib.Path(folder), str(runtime)
        self.cores, self.threads, self.rounds, self.quick = cores, threads, rounds, quick
        self.llama, self.models, self.logs = pathlib.Path(llama), self.folder / "models", self.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.details, self.not_measured, self.failed = {}, [], []
        self._roofline = None

    def few(self, n, quick):
        """n, or less where only the harness is tried."""
        return quick if self.quick else n

    def model(self, file):
        path = self.models / file
        if not path.exists():
            raise RuntimeError(f"{path} is not there: tests/bench/models.sh makes it")
        return str(path)

    @contextlib.contextmanager
    def serving(self, *servers):
        """Makers of servers; they are stopped at the end, whatever happens."""
        running = []
        try:
            for make in servers:
                running.append(make().settled())
            yield running
        finally:
            for server in running:
                server.stop()

    def both(self, file, context, slots=1):
        """Alcazar and llama.cpp's server on one file. context: tokens of each sequence."""
        path = self.model(file)
        return self.serving(lambda: Alcazar(self, path, context, slots), lambda: LlamaCpp(self, path, context, slots))

    @contextlib.contextmanager
    def alone(self, file, context, slots, flags=()):
        with self.serving(lambda: Alcazar(self, self.model(file), context, slots, flags)) as (server,):
            yield server

    def tensor_bytes(self, file):
        return gguf_head.weight_bytes(self.model(file))

    def roofline(self):
        """What memory and units do at most, measured once: GB/s read, 10^9 multiply-adds per second of int8, bf16 and f32."""
        if self._roofline is None:
            told = subprocess.run([self.folder / "roofline", str(self.threads)], capture_output=True, text=True, check=True,
                                  preexec_fn=lambda: os.sched_setaffinity(0, self.cores)).stdout
            self._roofline = json.loads(told)
            self.keep("roofline", self._roofline)
        return self._roofline

    def in_turns(self, names):
        """[round, name] of each turn, the order changing with the round. The first round, 0, warms up and does not count."""
        for nth in range(self.rounds + 1):
            for name in names if nth % 2 else list(reversed(names)):
                yield nth, name

    def version(self):
        return subprocess.run([self.runtime, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def inspect(self, file):
        """What the runtime says of a file."""
        return json.loads(subprocess.run([self.runtime, "inspect", self.model(file)], capture_output=True, text=True, check=True).stdout)

    def help(self):
        """What the runtime can be told."""
        return subprocess.run([self.runtime, "serve", "--help"], capture_output=True, text=True, check=True).stdout

    def keep(self, name, value):
        """For target/bench/details.json."""
        self.details.setdefault(name, []).append(value)

    def skip(self, name, why):
        self.not_measured.append({"name": name, "why": str(why)})

    @staticmethod
    def say(words):
        """What goes on, for who waits; the table alone goes to standard output."""
        print(f"  {words}", file=sys.stderr, flush=True)

    def write_details(self, machine):
        details = {"machine": machine, "notMeasured": self.not_measured, "figures": self.details}
        (self.folder / "details.json").write_text(json.dumps(details, indent=1) + "\n")

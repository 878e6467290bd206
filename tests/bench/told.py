"""A program that is told what to do by lines and answers each with a line of JSON."""

import json
import os
import pathlib
import subprocess
import threading

HERE = pathlib.Path(__file__).parent
# For one answer: a peer that takes longer is ended, and the others go on.
ANSWER_SECONDS = 900


class Told:
    """A peer without a server. Its first line says that it is ready."""

    def __init__(self, rig, name, venv, script, *arguments):
        self.name = name
        self.log = open(rig.logs / f"{name}.log", "w")
        threads = {key: str(rig.threads) for key in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS")}
        environment = {**os.environ, **threads, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(
            [rig.folder / venv / "bin/python", HERE / script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env=environment, preexec_fn=lambda: os.sched_setaffinity(0, rig.cores))
        self.answer()

    def answer(self):
        """Its next line of JSON; libraries write other ones."""
        limit = threading.Timer(ANSWER_SECONDS, self.process.kill)
        limit.start()
        try:
            for line in self.process.stdout:
                if line.startswith("{"):
                    return json.loads(line)
        finally:
            limit.cancel()
        raise RuntimeError(f"{self.name} has ended, or took more than {ANSWER_SECONDS} s: {pathlib.Path(self.log.name).read_text(errors='replace')[-600:]}")

    def tell(self, words):
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.answer()

    def settled(self):
        return self

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

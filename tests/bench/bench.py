"""make bench: the runtime beside its peers, into target/bench/summary.json, details.json, streams.svg and latency.svg.

usage: bench.py --runtime PROGRAM [--only prefill,decode] [--rounds 5] [--threads N] [--cores 0,1] [--quick]

Exits with 1 where something chosen could not be measured; a goal that is not met is told, and no failure.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import machine
import plots
import summary
from measures import alone, encoder, kernels, other, single, together
from rig import Rig

ROOT = pathlib.Path(__file__).resolve().parents[2]
# In the order in which they run: what is quick comes first.
MEASURES = {
    "start": alone.start, "memory": alone.memory, "prefill": single.prefill, "decode": single.decode, "gpt2": single.gpt2, "mistralrs": other.mistralrs,
    "repetition": alone.repetition, "streams": together.streams, "prefix": together.prefix, "overload": together.overload, "encoder": encoder.encoder,
    "kernels": kernels.kernels, "chat": together.chat, "long": single.long,
}


def names(words):
    chosen = [word for word in words.split(",") if word]
    unknown = [name for name in chosen if name not in MEASURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return chosen or list(MEASURES)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime", required=True, help="alcazar-runtime, built for release")
    parser.add_argument("--llama", default=ROOT / "target/bench/llama.cpp/build/bin", help="folder with llama-server")
    parser.add_argument("--only", type=names, default=list(MEASURES), help="measures, with commas between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cores", type=lambda words: {int(word) for word in words.split(",")}, help="of the servers; the first ones if not told")
    parser.add_argument("--quick", action="store_true", help="tries the harness with little work: the figures say nothing, no goal is judged")
    given = parser.parse_args()
    given.cores = given.cores or set(sorted(os.sched_getaffinity(0))[:given.threads])
    if given.rounds < 1 or given.threads != len(given.cores):
        parser.error(f"{given.rounds} rounds, {given.threads} threads on {len(given.cores)} cores: at least one round and a core for each thread are needed")
    return given


def measure(rig, name):
    """What one measure gave before it ended or failed."""
    begun, found = time.monotonic(), []
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        for series in MEASURES[name](rig):
            found.append(series)
    except Exception as failure:
        # One peer that fails shall not cost the others' figures.
        rig.skip(name, f"{type(failure).__name__}: {failure}")
        rig.failed.append(name)
        print(f"  not measured to the end: {failure}", file=sys.stderr, flush=True)
    print(f"  {len(found)} figures in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return found


def report(rig, chosen, found, goals, told):
    entries = [summary.entry(series, goals, judged=not rig.quick) for series in found]
    if wrong := summary.check(entries):
        raise SystemExit("the summary is not as it should be:\n  " + "\n  ".join(wrong))
    (rig.folder / "summary.json").write_text(json.dumps(entries, indent=1) + "\n")
    for goal in summary.unmet_names(goals, chosen, entries):
        rig.skip(goal["name"] + (f", against {goal['peer']}" if goal["peer"] else ""), "the measure gave no such figure")
    rig.write_details(told)
    for name, draw, figures in (("streams", plots.throughput, "streams"), ("latency", plots.latency, "chat")):
        if figures in rig.details:
            (rig.folder / f"{name}.svg").write_text(draw(rig.details[figures]))
    print("\n".join(summary.table(entries)))
    for one in rig.not_measured:
        print(f"not measured: {one['name']}: {one['why']}")


def main():
    given = arguments()
    rig = Rig(ROOT / "target/bench", given.runtime, given.llama, given.cores, given.threads, given.rounds, given.quick)
    told = {**machine.describe(sorted(given.cores), given.threads), "rounds": given.rounds, "quick": given.quick, "runtime": rig.version()}
    print(f"{told['processor']}, cores {told['cores']}, {' '.join(told['features'])}; load {told['loadBefore']:.1f}", file=sys.stderr)
    if told["loadBefore"] > 0.5:
        print("others compute on this machine: the figures will say little", file=sys.stderr)
    # What the load generator costs is taken from the servers only where there are no other cores.
    os.sched_setaffinity(0, (os.sched_getaffinity(0) - given.cores) or given.cores)
    goals, found = summary.read_goals(), []
    for name in given.only:
        found += measure(rig, name)
    report(rig, given.only, found, goals, told)
    sys.exit(1 if rig.failed else 0)


if __name__ == "__main__":
    main()

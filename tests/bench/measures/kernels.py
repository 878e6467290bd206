"""Kernels of backend-cpu beside what the machine can do: their own benches, run by cargo, and roofline.c."""

import re
import subprocess

from summary import Series

# As the bench `products` names them, with the multiply-adds that they are made of.
TYPES = {"Q4_1": "int8", "Q4_0": "int8", "Q8_0": "int8", "Q4_K": "int8", "Q6_K": "int8", "F16": "f32", "BF16": "bf16", "F32": "f32"}
SHAPES, ROWS = ("1536x576", "576x1536", "49152x576"), ("1", "16", "256")
LINE = re.compile(r"^(\w+)\s+(\d+)\s+(\d+) x\s+(\d+)\s+(\d+) \|\s*([\d.]+)\s+([\d.]+)")


def parse(text):
    """One dict a line of the bench: type, threads, shape, rows, gmacs (10^9 multiply-adds per second), gbs (GB/s of weights)."""
    rows = []
    for line in text.splitlines():
        if found := LINE.match(line):
            kind, threads, n_out, n_in, n_rows, gmacs, gbs = found.groups()
            rows.append({"type": kind, "threads": int(threads), "shape": f"{n_out}x{n_in}", "rows": int(n_rows), "gmacs": float(gmacs), "gbs": float(gbs)})
    return rows


def bound(row, roofline):
    """The most multiply-adds per second, by the roofline: what memory brings, or what the units do. Matrices that fit into
    a cache can be faster than memory brings them."""
    unit = roofline[TYPES[row["type"]]] or roofline["f32"]
    brought = row["gmacs"] * roofline["read"] / row["gbs"] if row["gbs"] else unit
    return min(unit, brought), "memory" if brought < unit else "multiply-adds"


def kernels(rig):
    types, shapes, rows = list(TYPES), SHAPES, ROWS
    if rig.quick:
        types, shapes, rows = ["Q4_1"], SHAPES[:1], ("1", "16")
    command = ["cargo", "bench", "--package", "alcazar-backend-cpu", "--bench", "products", "--", "--ours", "--threads", str(rig.threads), *types, *shapes, *rows]
    roofline, found = rig.roofline(), {}
    for _ in range(rig.rounds):
        told = subprocess.run(["taskset", "--cpu-list", ",".join(map(str, sorted(rig.cores))), *command], stdout=subprocess.PIPE, text=True, check=True).stdout
        for row in parse(told):
            found.setdefault((row["type"], row["shape"], row["rows"]), []).append(row)
    if not found:
        raise RuntimeError("the bench `products` told nothing that can be read")
    for (kind, shape, n_rows), measured in found.items():
        limits = [bound(row, roofline) for row in measured]
        rig.keep("kernels", {"type": kind, "shape": shape, "rows": n_rows, "measured": measured, "limits": limits})
        what = "1 row" if n_rows == 1 else f"{n_rows} rows"
        yield Series(f"kernel {kind} {shape}, {what}", "GMAC/s", [row["gmacs"] for row in measured], f"roofline: {limits[0][1]}", [limit for limit, _ in limits])

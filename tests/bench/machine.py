"""The machine that a run met: figures of two machines are no comparison."""

import os
import pathlib
import platform

# What kernels are chosen by.
FEATURES = ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512_vbmi",
            "amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve", "sve2")


def features(cpuinfo):
    """Those of FEATURES that the first processor has. cpuinfo: text of /proc/cpuinfo."""
    line = next((line for line in cpuinfo.splitlines() if line.lower().startswith(("flags", "features"))), "")
    found = set(line.partition(":")[2].split())
    return [name for name in FEATURES if name in found]


def field(cpuinfo, name):
    line = next((line for line in cpuinfo.splitlines() if line.startswith(name)), "")
    return line.partition(":")[2].strip() or None


def read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return None


def describe(cores, threads):
    cpuinfo = read("/proc/cpuinfo") or ""
    memory = field(read("/proc/meminfo") or "", "MemTotal")
    return {
        "processor": field(cpuinfo, "model name") or platform.processor(),
        "features": features(cpuinfo),
        "processors": os.cpu_count(),
        "cores": cores,
        "threads": threads,
        "quota": read("/sys/fs/cgroup/cpu.max"),
        "memory": memory,
        "kernel": platform.release(),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "loadBefore": os.getloadavg()[0],
    }

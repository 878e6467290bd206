"""Writes an output file, or with --check compares it with what is committed."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def settle(path, value, indent=1):
    text = json.dumps(value, ensure_ascii=False, indent=indent) + "\n"
    file = ROOT / path
    if "--check" in sys.argv:
        if file.read_text() != text:
            sys.exit(f"{path} is not what this script makes; run it without --check")
        print(f"{path} is up to date")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    print(f"wrote {path}: {len(text)} bytes")

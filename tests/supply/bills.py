"""What build/sbom.py writes: the same bytes each time, valid by CycloneDX's schema, complete, and with a licence for each crate."""

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["alcazar", "alcazar-gateway", "alcazar-operator", "alcazar-runtime"]


def written():
    subprocess.run([sys.executable, "build/sbom.py"], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return {path.name: path.read_text() for path in (ROOT / "target/sbom").glob("*.json")}


def wrong(name, text):
    """What is wrong with a bill, in words."""
    found = []
    failure = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if failure:
        found.append(f"{name}: not valid: {failure}")
    bill = json.loads(text)
    parts = bill["components"]
    for part in [bill["metadata"]["component"], *parts]:
        what = f"{name}: {part['name']} {part['version']}"
        if not part.get("licenses"):
            found.append(f"{what} has no licence")
        if part["type"] == "library" and not part.get("hashes"):
            found.append(f"{what} has no checksum")
    listed = {part["bom-ref"] for part in parts} | {bill["metadata"]["component"]["bom-ref"]}
    graph = {node["ref"]: node["dependsOn"] for node in bill["dependencies"]}
    if set(graph) != listed or not {below for needs in graph.values() for below in needs} <= listed:
        found.append(f"{name}: the graph and the list differ")
    if len(parts) < 50:
        found.append(f"{name}: only {len(parts)} crates")
    return found


def main():
    bills = written()
    found = [] if bills == written() else ["two runs wrote different bytes"]
    if sorted(bills) != sorted(f"{program}.cdx.json" for program in PROGRAMS):
        found.append(f"the bills are {sorted(bills)}")
    for name, text in sorted(bills.items()):
        found += wrong(name, text)
    # The validator must be one that refuses.
    if not wrong("sample", next(iter(bills.values())).replace('"specVersion"', '"specversion"')):
        found.append("a bill with a misspelt field was valid")
    if found:
        sys.exit("\n".join(found))
    print(f"bills: {len(bills)} valid, the same twice")


if __name__ == "__main__":
    main()

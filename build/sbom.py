"""Writes target/sbom/PROGRAM.cdx.json: a CycloneDX 1.6 bill of materials of each program, from Cargo's own metadata.

A bill lists the crates that are compiled into the program or run while it is built, with version, licence, the
checksum of Cargo.lock and who needs whom; development dependencies are in no program. Same inputs, same bytes.
"""

import json
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAMS = {
    "alcazar": "alcazar-cli",
    "alcazar-gateway": "alcazar-gateway",
    "alcazar-operator": "alcazar-operator",
    "alcazar-runtime": "alcazar-server",
}


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def host():
    lines = output("rustc", "-vV").splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


def reached(nodes, root):
    """Ids of all packages below `root`, each with those it needs."""
    found, waiting = {}, [root]
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        kinds = lambda dependency: {kind["kind"] for kind in dependency["dep_kinds"]}
        needs = {d["pkg"] for d in nodes[package]["deps"] if kinds(d) & {None, "build"}}
        found[package] = sorted(needs)
        waiting.extend(needs)
    return found


def component(package, checksums):
    name, version = package["name"], package["version"]
    is_ours = package["source"] is None
    entry = {
        "type": "application" if is_ours else "library",
        "bom-ref": f"pkg:cargo/{name}@{version}",
        "name": name,
        "version": version,
        "purl": f"pkg:cargo/{name}@{version}",
    }
    if package["license"]:
        entry["licenses"] = [{"expression": " ".join(package["license"].replace("/", " OR ").split())}]
    if (name, version) in checksums:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
    return entry


def bill(program, crate, metadata, checksums):
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(package["id"] for package in metadata["packages"] if package["name"] == crate)
    needs = reached(nodes, root)
    reference = lambda package: component(packages[package], checksums)["bom-ref"]
    components = [component(packages[package], checksums) for package in needs if package != root]
    components.sort(key=lambda entry: entry["bom-ref"])
    content = json.dumps(components, sort_keys=True)
    main = {**component(packages[root], checksums), "name": program}
    graph = [{"ref": reference(p), "dependsOn": sorted(map(reference, below))} for p, below in needs.items()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, content).urn,
        "version": 1,
        "metadata": {"component": main},
        "components": components,
        "dependencies": sorted(graph, key=lambda entry: entry["ref"]),
    }


def expected(crate, target):
    """What cargo itself says is below a crate."""
    lines = output("cargo", "tree", "--locked", "--package", crate, "--edges", "normal,build", "--target", target,
                   "--prefix", "none", "--format", "{p}").splitlines()
    return {tuple(line.split(" (")[0].split(" v")) for line in lines if line.strip()}


def main():
    target = host()
    metadata = json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    folder = ROOT / "target/sbom"
    folder.mkdir(parents=True, exist_ok=True)
    for program, crate in PROGRAMS.items():
        made = bill(program, crate, metadata, checksums)
        listed = {(entry["name"], entry["version"]) for entry in made["components"]}
        # cargo tree leaves out what no feature of this program asks for; a bill may list more, never less.
        missing = {entry for entry in expected(crate, target) if entry[0] != crate} - listed
        if missing:
            sys.exit(f"failed to write the bill of {program}: it lacks {sorted(missing)}")
        (folder / f"{program}.cdx.json").write_text(json.dumps(made, indent=1) + "\n")
        print(f"target/sbom/{program}.cdx.json: {len(listed)} crates", file=sys.stderr)


if __name__ == "__main__":
    main()

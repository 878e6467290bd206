"""The list of crates that each program carries, read back from the program in its image: what Cargo.lock and the bill say.

cargo-auditable writes it into the section .dep-v0 of the program, as JSON, compressed with zlib.
"""

import json
import struct
import sys
import tarfile
import tomllib
import zlib
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {"operator": "alcazar-operator", "gateway": "alcazar-gateway", "runtime": "alcazar-runtime"}


def program(archive, name):
    """The bytes of /NAME in an image archive."""
    with tarfile.open(archive) as tar:
        blob = lambda digest: tar.extractfile(f"blobs/{digest.replace(':', '/')}").read()
        index = json.load(tar.extractfile("index.json"))
        manifest = json.loads(blob(index["manifests"][0]["digest"]))
        for layer in reversed(manifest["layers"]):
            with tarfile.open(fileobj=BytesIO(blob(layer["digest"]))) as files:
                if name in files.getnames():
                    return files.extractfile(name).read()
    sys.exit(f"{archive} has no /{name}")


def section(elf, name):
    """A section of a 64-bit little-endian ELF file, by its name."""
    if elf[:6] != b"\x7fELF\x02\x01":
        sys.exit("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, n_sections, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(n_sections)]
    begin = lambda header: headers[names][4] + header[0]
    title = lambda header: elf[begin(header):elf.index(0, begin(header))].decode()
    found = [elf[h[4]:h[4] + h[5]] for h in headers if title(h) == name]
    return found[0] if found else None


def carried(elf):
    """Name, version and kind of each crate in the list, or None without one."""
    content = section(elf, ".dep-v0")
    if content is None:
        return None
    packages = json.loads(zlib.decompress(content))["packages"]
    return {(p["name"], p["version"]): p.get("kind", "runtime") for p in packages}


def crate(purl):
    """Name and version, of pkg:cargo/NAME@VERSION."""
    name, version = purl.removeprefix("pkg:cargo/").split("@")
    return name, version.split("?")[0]


def wrong(name, crates, lock, bill):
    """What is wrong with a program's list, in words."""
    if not crates:
        return [f"{name} carries no list of crates"]
    found = [f"{name} carries {crate}, which Cargo.lock does not name" for crate in crates.keys() - lock]
    found += [f"{name} carries {crate}, which its bill does not name" for crate in crates.keys() - bill]
    found += [f"{name} does not carry {crate}, which its bill names" for crate in bill - crates.keys()]
    if len(crates) < 50:
        found.append(f"{name} carries only {len(crates)} crates")
    return found


def main():
    lock = {(p["name"], p["version"]) for p in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    found = []
    for image, name in IMAGES.items():
        elf = program(ROOT / f"target/images/{image}.tar", name)
        crates = carried(elf)
        bill = json.loads((ROOT / f"target/sbom/{name}.cdx.json").read_text())
        # By purl: the program itself has another name than its crate.
        listed = {crate(p["purl"]) for p in [*bill["components"], bill["metadata"]["component"]]}
        found += wrong(name, crates, lock, listed)
        if crates:
            print(f"{name}: {len(crates)} crates carried, {len(listed)} in its bill, {len(elf) / 2**20:.1f} MiB")
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()

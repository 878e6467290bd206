"""Unpacks an OCI archive into a folder and adds a label to the image: another digest, the same layers.

relabel.py ARCHIVE FOLDER
"""

import hashlib
import json
import sys
import tarfile
from pathlib import Path


def stored(folder, content):
    """Writes a blob; its digest and size."""
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def blob(folder, descriptor):
    return json.loads((folder / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_text())


def main():
    archive, folder = sys.argv[1], Path(sys.argv[2])
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    index = json.loads((folder / "index.json").read_text())
    manifest = blob(folder, index["manifests"][0])
    config = blob(folder, manifest["config"])
    config["config"].setdefault("Labels", {})["changed"] = "yes"
    manifest["config"] |= stored(folder, json.dumps(config).encode())
    index["manifests"][0] |= stored(folder, json.dumps(manifest).encode())
    index["manifests"][0].pop("annotations", None)
    (folder / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()

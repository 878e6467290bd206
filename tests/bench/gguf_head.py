"""How much of a GGUF file is weights."""

import struct

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9


def number(file, form):
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def skip(file, kind):
    if kind == STRING:
        file.seek(number(file, "<Q"), 1)
    elif kind == ARRAY:
        of, n = number(file, "<I"), number(file, "<Q")
        if of in SIZES:
            file.seek(SIZES[of] * n, 1)
        else:
            for _ in range(n):
                skip(file, of)
    else:
        file.seek(SIZES[kind], 1)


def weight_bytes(path):
    """Bytes from the first tensor to the end of the file, its paddings included."""
    with open(path, "rb") as file:
        magic, version, n_tensors, n_facts = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError(f"{path} is not a GGUF file of version 2 or 3")
        alignment = 32
        for _ in range(n_facts):
            key, kind = file.read(number(file, "<Q")), number(file, "<I")
            if key == b"general.alignment":
                alignment = number(file, "<I")
            else:
                skip(file, kind)
        for _ in range(n_tensors):
            skip(file, STRING)
            n_dimensions = number(file, "<I")
            file.seek(8 * n_dimensions + 4 + 8, 1)
        head = -(-file.tell() // alignment) * alignment
        return file.seek(0, 2) - head

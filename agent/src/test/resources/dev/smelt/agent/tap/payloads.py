"""Writes payloads.json, the routed-experts payloads of the decoder tests, with NumPy.

Run it with Debian's python3-numpy: python3 payloads.py
"""

import base64
import io
import json
import pathlib

import numpy as np
from numpy.lib import format as npy


def text(data):
    return base64.b64encode(data).decode("ascii")


def npy_file(array, version):
    file = io.BytesIO()
    npy.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def good(name, data, ids, **more):
    return dict(
        name=name,
        base64=text(data),
        shape=list(ids.shape),
        ids=[int(i) for i in ids.ravel(order="C")],
        **more,
    )


def bad(name, data, fault, **more):
    encoded = data if isinstance(data, str) else text(data)
    return dict(name=name, base64=encoded, fault=fault, **more)


# Model of the tests: 3 decoder layers with 16 experts each, top-2.
random = np.random.default_rng(7)
ids = np.stack(
    [[random.permutation(16)[:2] for _ in range(3)] for _ in range(5)]
).astype(np.int64)

npy_cases = []
for version in [(1, 0), (2, 0), (3, 0)]:
    for descr in ["|u1", "<u2", ">u2", "<i2", "<i4", ">i4", "|i1"]:
        for order in "CF":
            array = np.array(ids, dtype=np.dtype(descr), order=order)
            name = f"npy {version[0]}.0 {descr} {order}"
            npy_cases.append(good(name, npy_file(array, version), ids))

one = npy_file(ids.astype(np.uint8), (1, 0))
padded = ids.copy()
padded[2] = -1
empty = np.zeros((0, 3, 2), dtype=np.uint8)
npy_cases += [
    good("npy one row", npy_file(ids[:1].astype(np.uint8), (1, 0)), ids[:1]),
    good("npy no rows", npy_file(empty, (1, 0)), empty),
    good("npy padding", npy_file(padded.astype(np.int16), (1, 0)), padded),
    bad("npy cut in the data", one[:-1], "TRUNCATED"),
    bad("npy cut in the header", one[:40], "TRUNCATED"),
    bad("npy cut in the magic", one[:4], "WRONG_SHAPE"),
    bad("npy with bytes after the data", one + b"\0", "OVERSIZED"),
    bad("npy with two dimensions", npy_file(ids[0].astype(np.uint8), (1, 0)), "WRONG_SHAPE"),
    bad("npy with four dimensions", npy_file(ids[None].astype(np.uint8), (1, 0)), "WRONG_SHAPE"),
    bad("npy without layers", npy_file(np.zeros((4, 0, 2), np.uint8), (1, 0)), "WRONG_SHAPE"),
    bad("npy of floats", npy_file(ids.astype(np.float32), (1, 0)), "WRONG_TYPE"),
    bad("npy of 64-bit integers", npy_file(ids, (1, 0)), "WRONG_TYPE"),
    bad("npy of version 4", one[:6] + b"\x04" + one[7:], "MALFORMED"),
    bad("npy with a shape that overflows", one.replace(b"(5, 3, 2), }" + b" " * 24, b"(999999999, 999999999, 999999999), }"[:36].ljust(36)), "OVERSIZED"),
    bad("npy with more rows than data", one.replace(b"(5, 3, 2)", b"(9, 3, 2)"), "TRUNCATED"),
    bad("npy with fewer rows than data", one.replace(b"(5, 3, 2)", b"(4, 3, 2)"), "OVERSIZED"),
    bad("npy whose header is no dictionary", one.replace(b"{'descr'", b"['descr'"), "MALFORMED"),
    bad("not base64", "%%%", "MALFORMED"),
]

little = ids.astype("<i4").tobytes()
raw_cases = [
    good("raw int32", little, ids, rows=5),
    good("raw int32 of unknown rows", little, ids, rows=-1),
    good("raw uint8", ids.astype("u1").tobytes(), ids, rows=5, dtype="uint8"),
    good("raw uint16", ids.astype("<u2").tobytes(), ids, rows=5, dtype="uint16"),
    good("raw int32 padding", padded.astype("<i4").tobytes(), padded, rows=5),
    bad("raw cut inside an element", little[:-1], "TRUNCATED", rows=5),
    bad("raw cut between elements", little[:-4], "WRONG_SHAPE", rows=5),
    bad("raw with an element too many", little + b"\0\0\0\0", "WRONG_SHAPE", rows=5),
    bad("raw without data", b"", "WRONG_SHAPE", rows=5),
    bad("raw without data and rows", b"", "WRONG_SHAPE", rows=-1),
    bad("raw for other rows", little, "WRONG_SHAPE", rows=7),
    bad("raw of an unknown type", little, "WRONG_TYPE", rows=5, dtype="float32"),
    bad("raw that is not base64", "AAA*", "MALFORMED", rows=5),
]

target = pathlib.Path(__file__).with_name("payloads.json")
target.write_text(json.dumps({"npy": npy_cases, "raw": raw_cases}, indent=1) + "\n")

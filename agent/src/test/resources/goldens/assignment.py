"""Writes assignment.safetensors: cost matrices and the objective that SciPy finds for them."""

import json
import struct

import numpy as np
from scipy.optimize import linear_sum_assignment

random = np.random.default_rng(7)


def experts(n, d, noise):
    base = random.standard_normal((n, d))
    other = base[random.permutation(n)] + noise * random.standard_normal((n, d))
    return -(base @ other.T)


problems = {
    "random.64": random.random((64, 64)),
    "random.200": random.random((200, 200)),
    "gaussian.97": random.standard_normal((97, 97)) * 1000,
    "experts.128": experts(128, 16, 0.3),
    "experts.noisy.128": experts(128, 8, 2.0),
    "product.100": -np.outer(np.arange(100.0), np.arange(100.0)),
    "distance.90": np.abs(np.arange(90.0)[:, None] - random.permutation(90)[None, :]),
    "tied.80": random.integers(0, 3, (80, 80)),
    "binary.60": random.integers(0, 2, (60, 60)),
    "constant.40": np.full((40, 40), 2.5),
    "zero.33": np.zeros((33, 33)),
    "rank-one.70": np.outer(random.standard_normal(70), random.standard_normal(70)),
    "duplicated-rows.60": np.repeat(random.random((6, 60)), 10, axis=0),
    "huge-and-tiny.50": random.random((50, 50)) * 10.0 ** random.integers(-6, 7, (50, 50)),
    "single": np.array([[3.0]]),
    "wide.20x50": random.standard_normal((20, 50)),
    "wide.tied.30x31": random.integers(0, 4, (30, 31)),
    "wide.1x9": random.random((1, 9)),
    "few-dimensions.180": -(random.standard_normal((180, 3)) @ random.standard_normal((3, 180))),
    "tied.150": random.integers(0, 2, (150, 150)),
    "wide.90x140": -np.outer(np.arange(90.0), np.arange(140.0)),
}
arrays = {}
for name, costs in problems.items():
    costs = costs.astype(np.float32)
    rows, columns = linear_sum_assignment(costs.astype(np.float64))
    arrays[name + ".costs"] = costs
    arrays[name + ".objective"] = np.array([costs.astype(np.float64)[rows, columns].sum()])

header, end = {}, 0
for name, array in arrays.items():
    dtype = "F32" if array.dtype == np.float32 else "F64"
    header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
    end += array.nbytes
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open("assignment.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    for array in arrays.values():
        file.write(array.tobytes())

"""Deterministic weights and inputs for the parity cases (NumPy only).

`tensor(key, shape, salt)` gives the same float32 array on every machine: PCG64 seeded with
crc32 of "salt/key". Scales keep activations moderate through the whole network.
"""

from __future__ import annotations

import zlib

import numpy as np


def _normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return generator.standard_normal(shape).astype(np.float32)


def tensor(key: str, shape: tuple[int, ...], salt: str = "") -> np.ndarray:
    """Weight named `key` of the reference state dict, float32, shape `shape`."""
    x = _normal(f"{salt}/{key}" if salt else key, tuple(shape))
    if key.endswith("running_var"):
        return 1.0 + 0.1 * np.abs(x)
    if key.endswith("running_mean"):
        return 0.05 * x
    if len(shape) <= 1:
        return 1.0 + 0.05 * x if key.endswith("weight") else 0.02 * x
    return x / np.sqrt(np.prod(shape[1:]))


def clip(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An input video, already normalised, float32, (T, 3, H, W): smooth noise."""
    t, c, h, w = shape
    coarse = _normal(f"clip/{name}", (t, c, h // 8 + 2, w // 8 + 2))
    ys, xs = np.linspace(0, coarse.shape[2] - 1.001, h), np.linspace(0, coarse.shape[3] - 1.001, w)
    y0, x0 = ys.astype(int), xs.astype(int)
    fy, fx = (ys - y0)[:, None].astype(np.float32), (xs - x0)[None, :].astype(np.float32)
    g = lambda dy, dx: coarse[:, :, y0 + dy][:, :, :, x0 + dx]  # noqa: E731
    return (
        g(0, 0) * (1 - fy) * (1 - fx) + g(0, 1) * (1 - fy) * fx + g(1, 0) * fy * (1 - fx) + g(1, 1) * fy * fx
    ).astype(np.float32)


def masks(name: str, shape: tuple[int, int, int], empty: tuple[int, ...] = ()) -> np.ndarray:
    """Binary masks of one object, uint8, (T, H, W): a drifting ellipse; frames in `empty` hold none."""
    t, h, w = shape
    p = _normal(f"masks/{name}", (4,))
    yy, xx = np.mgrid[0:h, 0:w]
    out = np.zeros(shape, np.uint8)
    for i in range(t):
        if i in empty:
            continue
        cy, cx = h * (0.45 + 0.04 * p[0] + 0.03 * i), w * (0.4 + 0.04 * p[1] + 0.04 * i)
        ry, rx = h * (0.18 + 0.02 * p[2]), w * (0.22 + 0.02 * p[3])
        out[i] = ((yy - cy) / ry) ** 2 + ((xx - cx) / rx) ** 2 <= 1
    return out


def token_ids(name: str, length: int, vocab: int = 1000) -> list[int]:
    """RoBERTa-style ids: <s>=0 ... </s>=2; no pad inside."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"ids/{name}".encode())))
    return [0, *generator.integers(3, vocab, length - 2).tolist(), 2]

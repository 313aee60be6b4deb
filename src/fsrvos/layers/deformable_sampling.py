"""Sampling of multi-scale deformable attention: a weighted sum of values between cells, in two equal ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def sample(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    """Sums what is found at sampling points, bilinear between cells and zero outside.

    Args:
        value: (B, N, heads, c), levels one after another.
        locations: (B, Q, heads, levels, points, 2) x, y in [0, 1] of every level.
        weights: (B, Q, heads, levels, points).
        shapes: (h, w) of every level.

    Returns:
        (B, Q, heads * c).
    """
    # Measured on a processor alone (docs/performance.md): a GPU keeps grid_sample.
    by = sample_by_gather if value.device.type == "cpu" else sample_by_grid
    return by(value, locations, weights, shapes)


def sample_by_gather(
    value: Tensor, locations: Tensor, weights: Tensor, shapes: list[tuple[int, int]]
) -> Tensor:
    """As ``sample``: frame by frame, so that what is made stays small, and no sampled value is kept.

    Compiled, all frames at once: a loop would be unrolled, and made anew for every number of frames.
    """
    if torch.compiler.is_compiling():
        return _gather(value, locations, weights, shapes)
    frames = zip(value.split(1), locations.split(1), weights.split(1), strict=True)
    return torch.cat([_gather(*frame, shapes) for frame in frames])


def sample_by_grid(
    value: Tensor, locations: Tensor, weights: Tensor, shapes: list[tuple[int, int]]
) -> Tensor:
    """As ``sample``: ``grid_sample`` on every level."""
    heads = value.shape[2]
    maps = rearrange(value, "b n m c -> (b m) c n").split([h * w for h, w in shapes], -1)
    grids = rearrange(2 * locations - 1, "b q m l p d -> l (b m) q p d")
    sampled = [
        F.grid_sample(level.unflatten(-1, shape), grid, align_corners=False)
        for level, shape, grid in zip(maps, shapes, grids, strict=True)
    ]
    weights = rearrange(weights, "b q m l p -> (b m) q (l p)")
    attended = (torch.cat(sampled, dim=-1) * weights[:, None]).sum(-1)
    return rearrange(attended, "(b m) c q -> b q (m c)", m=heads)


def _gather(value: Tensor, locations: Tensor, weights: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
    """One weighted sum over the four cells around every point: (B, N, heads, c) -> (B, Q, heads * c)."""
    frames, cells_a_frame, heads = value.shape[:3]
    device = value.device
    height, width = torch.tensor(shapes, device=device).to(locations.dtype)[..., None].unbind(1)
    x, y = locations.unbind(-1)
    x, y = x * width - 0.5, y * height - 0.5
    left, top = x.detach().floor(), y.detach().floor()
    right_share, lower_share = x - left, y - top
    # What is not finite stays so in the shares; as a cell's number it would end the program.
    left, top = left.nan_to_num(), top.nan_to_num()

    starts = torch.tensor([0, *(h * w for h, w in shapes[:-1])], device=device).cumsum(0)
    first = starts[:, None] * heads + torch.arange(heads, device=device)[:, None, None]
    earlier = torch.arange(frames, device=device)[:, None, None, None, None] * (cells_a_frame * heads)
    first = (earlier + first).int()
    columns = [_side(left, 1 - right_share, width), _side(left + 1, right_share, width)]
    rows = [_side(top, 1 - lower_share, height), _side(top + 1, lower_share, height)]
    cells, shares = [], []
    for row, row_share in rows:
        row, row_share = row * width, row_share * weights
        for column, column_share in columns:
            cells.append((row + column).int() * heads + first)
            shares.append(row_share * column_share)
    attended = F.embedding_bag(
        torch.stack(cells, -1).flatten(3).flatten(0, 2),
        value.flatten(0, 2).to(shares[0].dtype),
        mode="sum",
        per_sample_weights=torch.stack(shares, -1).flatten(3).flatten(0, 2),
    )
    return rearrange(attended, "(b q m) c -> b q (m c)", b=frames, m=heads)


def _side(cell: Tensor, share: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """A neighbouring row or column, and its share; outside the map there is none, so that it does not matter which."""
    inside = (cell >= 0) & (cell < count)
    return cell.clamp(min=0).minimum(count - 1), share * inside

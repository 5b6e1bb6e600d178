"""Images sampled at any place."""

import torch
from torch import Tensor


def projective_transform(
    x: Tensor, transform: Tensor, mode: str, fill_mode: str, fill_value: float
) -> Tensor:
    """Image-wise projection with eight numbers for each: https://www.tensorflow.org/addons/api_docs/python/tfa/image/transform."""
    height, width = x.shape[2:]
    rows = torch.arange(height, dtype=x.dtype, device=x.device).unsqueeze(1)
    columns = torch.arange(width, dtype=x.dtype, device=x.device)
    a0, a1, a2, b0, b1, b2, c0, c1 = (
        transform.to(x.dtype)[..., None, None].expand(x.shape[0], -1, -1, -1).unbind(1)
    )
    scale = c0 * columns + c1 * rows + 1
    across = folded((a0 * columns + a1 * rows + a2) / scale, width, fill_mode)
    down = folded((b0 * columns + b1 * rows + b2) / scale, height, fill_mode)
    if mode == "nearest":
        return pixels(x, (down + 0.5).floor(), (across + 0.5).floor(), fill_value)
    top, left = down.floor(), across.floor()
    dy, dx = (down - top).unsqueeze(1), (across - left).unsqueeze(1)
    upper = pixels(x, top, left, fill_value) * (1 - dx) + pixels(x, top, left + 1, fill_value) * dx
    lower = (
        pixels(x, top + 1, left, fill_value) * (1 - dx)
        + pixels(x, top + 1, left + 1, fill_value) * dx
    )
    return upper * (1 - dy) + lower * dy


def folded(place: Tensor, size: int, mode: str) -> Tensor:
    """Places outside of an axis, brought inside."""
    if mode == "constant":
        return place
    if mode == "reflect":
        place = place.remainder(2 * size)
        place = torch.where(place >= size, 2 * size - 1 - place, place)
    elif mode == "wrap":
        turns = (place.abs() / (size - 1)).trunc()
        below, above = place + size * (turns + 1), place - size * turns
        place = torch.where(place < 0, below, torch.where(place > size - 1, above, place))
    return place.clamp(0, size - 1)


def pixels(x: Tensor, rows: Tensor, columns: Tensor, fill_value: float) -> Tensor:
    """The pixels of images (N, C, H, W) at places (N, H', W'); `fill_value` outside."""
    height, width = x.shape[2:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = (rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)).long()
    found = x.flatten(2).gather(2, index.flatten(1).unsqueeze(1).expand(-1, x.shape[1], -1))
    return torch.where(
        inside.unsqueeze(1), found.reshape(*x.shape[:2], *rows.shape[1:]), fill_value
    )


def homography(start: Tensor, end: Tensor) -> Tensor:
    """The projection that takes four points `end` (N, 4, 2) to `start`, as eight numbers."""
    x, y = end.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    first, second = start.unbind(-1)
    upper = torch.stack([x, y, one, zero, zero, zero, -first * x, -first * y], -1)
    lower = torch.stack([zero, zero, zero, x, y, one, -second * x, -second * y], -1)
    matrix = torch.stack([upper, lower], -2).flatten(-3, -2)
    solution: Tensor = torch.linalg.solve(matrix, start.flatten(-2).unsqueeze(-1))
    return solution.squeeze(-1)


def map_coordinates(
    x: Tensor, places: Tensor, order: int, fill_mode: str, fill_value: float
) -> Tensor:
    """Elements of `x` at `places` (a row for each axis), interpolated linearly if `order` is 1."""
    low = places.floor() if order else places.round()
    result = torch.zeros_like(places[0])
    for corner in range(2**x.ndim if order else 1):
        upper = [(corner >> axis) & 1 for axis in range(x.ndim)]
        index, weight, inside = (
            [],
            torch.ones_like(result),
            torch.ones_like(result, dtype=torch.bool),
        )
        for axis, size in enumerate(x.shape):
            place = low[axis] + upper[axis]
            part = (places - low)[axis]
            weight = weight * (part if upper[axis] else 1 - part) if order else weight
            inside = inside & (place >= 0) & (place < size)
            index.append(mirrored(place, size, fill_mode).long())
        found = x[tuple(index)]
        result = result + weight * (
            torch.where(inside, found, fill_value) if fill_mode == "constant" else found
        )
    return result


def mirrored(place: Tensor, size: int, mode: str) -> Tensor:
    """Whole places outside of an axis, brought inside as Keras does."""
    if mode == "wrap":
        return place.remainder(size)
    if mode in ("mirror", "reflect"):
        place = place.abs().remainder(2 * size)
        return torch.where(place < size, place, 2 * size - place - int(mode == "reflect"))
    return place.clamp(0, size - 1)

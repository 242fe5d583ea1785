"""Which auxiliary matrices a hierarchy has, and which of them are neighbours: integers alone.

Takes: the number of exponentials K and the depth N. Returns: all n = (n_1, ..., n_K) with n_1 + ... + n_K ≤ N, tier by
tier, and where n ± e_k stand in this order.
"""

import functools
import itertools
import math

import numpy as np


class Tiers:
    """`numbers` [n, K]: n_k. `above`, `below` [n, K]: where n + e_k and n − e_k are, `count` where they are not.
    `starts` [N + 2]: where tiers begin, and the end."""

    def __init__(self, exponentials: int, depth: int):
        self.exponentials, self.depth = exponentials, depth
        each = [
            [np.bincount(np.asarray(chosen, int), minlength=exponentials) for chosen in _choices(exponentials, tier)]
            for tier in range(depth + 1)
        ]
        self.starts = tuple(np.cumsum([0, *map(len, each)]).tolist())
        self.numbers = np.concatenate([np.stack(tier) for tier in each])
        self.count = len(self.numbers)
        where = {tuple(n): position for position, n in enumerate(self.numbers.tolist())}
        steps = np.eye(exponentials, dtype=int)

        def neighbours(sign: int) -> np.ndarray:
            moved = (self.numbers[:, None] + sign * steps).reshape(-1, exponentials).tolist()
            return np.array([where.get(tuple(n), self.count) for n in moved]).reshape(self.numbers.shape)

        self.above, self.below = neighbours(1), neighbours(-1)


def _choices(exponentials: int, tier: int):
    return itertools.combinations_with_replacement(range(exponentials), tier)


tiers_of = functools.lru_cache(maxsize=32)(Tiers)


def matrices_in(exponentials: int, depth: int) -> int:
    """How many matrices a hierarchy has."""
    return math.comb(exponentials + depth, depth)

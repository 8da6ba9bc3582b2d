# SPDX-License-Identifier: LGPL-2.1-or-later
"""Splits by source: all windows of one drive, video or sequence are on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

SPLITS = ("train", "validation", "test")


def by_source(strata: Mapping[str, str], fractions: tuple[float, float, float], seed: int) -> dict[str, str]:
    """Source -> split, for @strata: source -> stratum (its city), so that every city has its share of each split.

    Within a stratum the sources are ordered by a hash of (@seed, source): adding or removing one source does not
    stir the others. Of n sources, round (n * fraction) go to test and to validation, at least one to each that has
    a fraction while one is left for train: a city with a single source is in train alone.
    """
    check_fractions(fractions)
    groups: dict[str, list[str]] = {}
    for source, stratum in strata.items():
        groups.setdefault(stratum, []).append(source)
    result = {}
    for sources in groups.values():
        sources.sort(key=lambda source: hashlib.sha256(f"{seed}\t{source}".encode()).digest())
        left = len(sources)
        for split, fraction in (("test", fractions[2]), ("validation", fractions[1])):
            count = min(max(round(len(sources) * fraction), 1 if fraction > 0 else 0), left - 1)
            result |= dict.fromkeys(sources[left - count : left], split)
            left -= count
        result |= dict.fromkeys(sources[:left], "train")
    return result


def check_fractions(fractions: tuple[float, float, float]) -> None:
    """Raises ValueError unless they are the shares of train, validation and test."""
    if min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"fractions: found {list(fractions)}, expected three shares of train, validation and test that sum to 1"
        )

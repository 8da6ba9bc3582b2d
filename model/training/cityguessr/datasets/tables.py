# SPDX-License-Identifier: LGPL-2.1-or-later
"""CSV files with a header, checked; every error names the file and the line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from .base import DatasetError


class Row(dict):
    """One line by column name. @where is the file and line, for messages."""

    where: str = ""

    def text(self, column: str) -> str:
        """A value that must not be empty."""
        value = self[column].strip()
        if not value:
            raise DatasetError(f"{self.where}: {column} is empty")
        return value

    def number(self, column: str, low: float = -math.inf, high: float = math.inf) -> float:
        try:
            value = float(self[column])
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            bounds = "" if math.isinf(high) else f" of {low:g}..{high:g}"
            raise DatasetError(f"{self.where}: {column}: found {self[column]!r}, expected a number{bounds}")
        return value

    def has(self, column: str) -> bool:
        return bool((self.get(column) or "").strip())

    def location(self) -> tuple[float, float] | None:
        """The columns latitude and longitude, degrees; None if both are empty or absent."""
        if not self.has("latitude") and not self.has("longitude"):
            return None
        if not (self.has("latitude") and self.has("longitude")):
            raise DatasetError(f"{self.where}: latitude and longitude must both be there, or neither")
        return self.number("latitude", -90, 90), self.number("longitude", -180, 180)


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...] | None = None) -> Iterator[Row]:
    """The lines of a CSV whose header has the @required columns. Other columns must be among the @optional ones,
    unless that is None."""
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; expected a CSV with the columns {', '.join(required)}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in required if name not in header]
        unknown = [name for name in header if optional is not None and name not in (*required, *optional)]
        double = sorted({name for name in header if header.count(name) > 1})
        if missing or unknown or double:
            raise DatasetError(
                f"{path}: header: columns missing: {missing}, unknown: {unknown}, twice: {double}; expected "
                f"{', '.join(required)}" + (f", and perhaps {', '.join(optional)}" if optional else "")
            )
        try:
            for values in lines:
                if not any(value.strip() for value in values):
                    continue
                if len(values) != len(header):
                    raise DatasetError(
                        f"{path}:{lines.line_num}: {len(values)} values under a header of {len(header)} columns"
                    )
                row = Row(zip(header, values))
                row.where = f"{path}:{lines.line_num}"
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path}:{lines.line_num}: {error}") from None

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Speaks the protocol of draw-world without drawing a world: each picture is flat, its colour says what was asked.

`crash` in FAKE_WORLD makes it die at the second picture of a request; `scenes` gives cities and drives scene
probabilities.
"""

import json
import os
import sys

CITIES = ("Tokyo", "Osaka", "Berlin", "Lima")
HELD_OUT = "Osaka"
MODE = os.environ.get("FAKE_WORLD", "")


def main() -> int:
    if sys.argv[1:] == ["--list"]:
        cities = [{"city": city, "held_out": city == HELD_OUT} for city in CITIES]
        if MODE == "scenes":
            for i, city in enumerate(cities):
                city["scene"] = [0.25 if i <= s < i + 4 else 0.0 for s in range(16)]
        print(json.dumps(cities))
        return 0
    if sys.argv[1:] == ["--scenes"]:
        for line in sys.stdin:
            city, seed = line.rstrip("\n").split("\t")
            first = (CITIES.index(city) + int(seed)) % 13
            print(*[0.4 if s == first else 0.2 if first < s < first + 4 else 0.0 for s in range(16)])
        return 0
    for n, line in enumerate(sys.stdin):
        city, seed, time, width, height = line.rstrip("\n").split("\t")
        if MODE == "crash" and n == 1:
            print("out of paint", file=sys.stderr)
            return 3
        tenths = int(time) // 100_000_000
        pixel = bytes((40 + 60 * CITIES.index(city), int(seed) % 256, tenths % 256))
        sys.stdout.buffer.write(pixel * (int(width) * int(height)))
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

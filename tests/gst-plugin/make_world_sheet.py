# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes docs/world.png: one moment of a drive through each city of the drawn world.

python tests/gst-plugin/make_world_sheet.py build/gst-plugin/world/draw-world docs/world.png
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

from PIL import Image

COLUMNS = 10
WIDTH, HEIGHT = 176, 99
GAP = 2
CANDIDATES = 14  # drives of each city that are looked at
AT = 6_000_000_000


def cities(program: str) -> list[str]:
    listed = json.loads(subprocess.run([program, "--list"], stdout=subprocess.PIPE, check=True).stdout)
    return [city["city"] for city in listed]


def pictures(program: str, requests: list[tuple[str, int]], width: int, height: int) -> list[Image.Image]:
    lines = "".join(f"{city}\t{drive}\t{AT}\t{width}\t{height}\n" for city, drive in requests)
    out = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True).stdout
    size = width * height * 3
    return [Image.frombytes("RGB", (width, height), out[i * size : (i + 1) * size]) for i in range(len(requests))]


def liveliness(picture: Image.Image) -> float:
    """How bright, varied and free of noise: what tells a street by day from a wall, the night or the rain."""
    grey = picture.convert("L")
    levels = list(grey.tobytes())
    mean = sum(levels) / len(levels)
    spread = (sum((v - mean) ** 2 for v in levels) / len(levels)) ** 0.5
    small = picture.resize((16, 9)).tobytes()
    colour = sum(max(small[i : i + 3]) - min(small[i : i + 3]) for i in range(0, len(small), 3)) / (len(small) / 3)
    steps = sorted(abs(a - b) for a, b in itertools.pairwise(levels))
    noise = steps[len(steps) // 2]  # of the median: edges do not count
    above = sorted(levels[: len(levels) // 4])
    night = above[3 * len(above) // 4] < 110
    return 0.4 * spread + 2 * colour - 0.6 * abs(mean - 128) - 8 * noise - 100 * night


def main() -> None:
    program, target = sys.argv[1:]
    names = cities(program)
    chosen = []
    for place, city in enumerate(names):
        # Each city from drives of its own; now and then not the liveliest, so that all weathers are there.
        drives = [place * 20 + k for k in range(CANDIDATES)]
        seen = zip(pictures(program, [(city, drive) for drive in drives], 128, 72), drives)
        ranked = sorted(seen, key=lambda pair: -liveliness(pair[0]))
        chosen.append((city, ranked[0 if place % 12 else CANDIDATES // 2][1]))
    rows = -(-len(chosen) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (WIDTH + GAP) - GAP, rows * (HEIGHT + GAP) - GAP), (255, 255, 255))
    for i, picture in enumerate(pictures(program, chosen, WIDTH, HEIGHT)):
        sheet.paste(picture, (i % COLUMNS * (WIDTH + GAP), i // COLUMNS * (HEIGHT + GAP)))
    sheet.quantize(240, dither=Image.Dither.NONE).save(target, optimize=True)
    print(", ".join(names))


if __name__ == "__main__":
    main()

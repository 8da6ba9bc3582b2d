# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes docs/overlay-drawn.png: a drawn street with what `cityguessroverlay` says of it.

Run from the top of the tree, where the element is found (as in `meson devenv -C build`):

    python tests/pipelines/make_overlay_picture.py docs/overlay-drawn.png [MODEL]

Without MODEL the network is an untrained one, whose answer means nothing, and the caption says so.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from gst import environment

SIZE = WIDTH, HEIGHT = 960, 540
HORIZON = 330
SCALE = 2  # drawn larger and reduced, for smooth edges
UNTRAINED = "generated:tiny:1"


def scene() -> Image.Image:
    """A street at dusk that runs towards the horizon between two rows of houses."""
    picture = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
    draw = ImageDraw.Draw(picture)
    chance = random.Random(3)

    def polygon(points, colour):
        draw.polygon([(x * SCALE, y * SCALE) for x, y in points], colour)

    for band in range(24):  # the sky, in bands
        t = band / 23
        top = HORIZON * band / 24
        colour = tuple(int(a + (b - a) * t**1.4) for a, b in zip((58, 76, 128), (250, 184, 124)))
        polygon([(0, top), (WIDTH, top), (WIDTH, HORIZON), (0, HORIZON)], colour)
    draw.ellipse([v * SCALE for v in (560, 262, 640, 342)], (255, 226, 160))
    hills = [(x, HORIZON - 46 - 20 * math.sin(x / 90) - 12 * math.sin(x / 37)) for x in range(0, WIDTH + 1, 8)]
    polygon([(0, HORIZON), *hills, (WIDTH, HORIZON)], (112, 104, 134))
    polygon([(0, HORIZON), (WIDTH, HORIZON), (WIDTH, HEIGHT), (0, HEIGHT)], (122, 116, 112))  # pavements
    polygon([(452, HORIZON), (508, HORIZON), (WIDTH - 60, HEIGHT), (60, HEIGHT)], (70, 70, 78))  # road

    def at(x: float, y: float, depth: float) -> tuple[float, float]:
        """A point that is @x right of and @y above the vanishing point at the depth 1."""
        return WIDTH / 2 + x / depth, HORIZON - y / depth

    for k in range(9):  # the line in the middle of the road
        near, far = 1 + k * 0.9, 1.4 + k * 0.9
        polygon([at(-9, -210, near), at(9, -210, near), at(9, -210, far), at(-9, -210, far)], (226, 220, 196))
    walls = [(196, 132, 104), (214, 186, 140), (150, 140, 150), (176, 98, 84), (206, 206, 190), (132, 150, 160)]
    for side in (-1, 1):
        for house in reversed(range(7)):
            near, far = 1 + house * 0.75, 1.7 + house * 0.75
            tall, floors = 200 + chance.randrange(160), chance.randrange(3, 6)
            wall = walls[chance.randrange(len(walls))]
            wall = tuple(int(c * (0.78 if side < 0 else 0.95)) for c in wall)
            x = side * 520
            polygon([at(x, tall, near), at(x, tall, far), at(x, -210, far), at(x, -210, near)], wall)
            polygon([at(x, tall + 14, near), at(x, tall + 14, far), at(x, tall, far), at(x, tall, near)], (92, 66, 60))
            for floor in range(floors):
                for window in range(3):
                    a, b = (near + (far - near) * (window + f) / 3 for f in (0.25, 0.75))
                    foot = -170 + (tall + 150) * floor / floors
                    head = foot + 0.55 * (tall + 150) / floors
                    lit = (255, 224, 140) if chance.random() < 0.4 else (64, 72, 92)
                    polygon([at(x, head, a), at(x, head, b), at(x, foot, b), at(x, foot, a)], lit)
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


def main() -> None:
    target, model = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else UNTRAINED
    template = "Untrained network: {place}" if model == UNTRAINED else "{place} {confidence:%}[ ({demo})]"
    with tempfile.TemporaryDirectory() as folder:
        scene().save(f"{folder}/scene.png")
        # fmt: off
        subprocess.run(["gst-launch-1.0", "-q", "filesrc", f"location={folder}/scene.png", "!", "pngdec", "!",
                        "imagefreeze", "num-buffers=18", "!", "video/x-raw,framerate=1/1", "!", "videoconvert", "!",
                        "cityguessroverlay", "device=cpu", f"model={model}", "sample-interval=1000000000",
                        "processing-mode=offline", f"caption-template={template}", "!", "videoconvert", "!", "pngenc", "!",
                        "multifilesink", f"location={folder}/out-%d.png", "max-files=1"],
                       env=environment(), check=True)
        # fmt: on
        (drawn,) = Path(folder).glob("out-*.png")
        with Image.open(drawn) as image:
            image.convert("RGB").quantize(200).save(target, optimize=True)


if __name__ == "__main__":
    main()

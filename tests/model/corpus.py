#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seed corpus of fuzz-model: small model files and label trees, good ones and bad ones.

corpus.py FOLDER
"""

import json
import struct
import sys
from pathlib import Path

GEOMETRY = {
    "frames": 2, "tubelet": 2, "image": 16, "patch": 4, "width": 32, "depth": 1, "heads": 2, "mlp": 16,
    "layer_norm_eps": 1e-6, "scene_hidden": [5], "text_hidden": [], "text_width": 3,
}  # fmt: skip

CONFIG = {
    "name": "seed", "provenance": "", "licence": "", "demo": False, "geometry": GEOMETRY,
    "input": {"scale": 0.5, "mean": [0, 0, 0], "std": [1, 1, 1], "resize": "squash-bilinear"},
    "sample_interval": 1.4, "scenes": ["in", "out"], "temperatures": [1, 1, 1, 1],
}  # fmt: skip

PLACES = {
    "version": 1, "name": "p",
    "continents": [{"label": "Z"}],
    "countries": [{"label": "Y", "code": "YY", "continent": 0}],
    "states": [{"label": "X", "country": 0}],
    "cities": [
        {"label": "V", "state": 0, "latitude": 1.5, "longitude": -2},
        {"label": "W", "name": "W\u00f6", "state": 0, "latitude": 3, "longitude": 4},
    ],
}  # fmt: skip


def changed(tree, **values):
    return {**tree, **values}


def tensors(geometry=GEOMETRY, labels=(2, 1, 1, 1), scenes=2):
    """Names and shapes, as cg_geometry_tensors() lists them."""
    g, width, mlp = geometry, geometry["width"], geometry["mlp"]
    table = {
        "patch_embed.weight": [width, 3, g["tubelet"], g["patch"], g["patch"]],
        "patch_embed.bias": [width],
    }
    for n in range(g["depth"]):
        block = {
            "norm1.weight": [width], "norm1.bias": [width],
            "attn.qkv.weight": [3 * width, width], "attn.q_bias": [width], "attn.v_bias": [width],
            "attn.proj.weight": [width, width], "attn.proj.bias": [width],
            "norm2.weight": [width], "norm2.bias": [width],
            "mlp.fc1.weight": [mlp, width], "mlp.fc1.bias": [mlp],
            "mlp.fc2.weight": [width, mlp], "mlp.fc2.bias": [width],
        }  # fmt: skip
        table.update({f"blocks.{n}.{name}": shape for name, shape in block.items()})
    for level, count in zip(("city", "state", "country", "continent"), labels):
        table.update({f"heads.{level}.weight": [count, width], f"heads.{level}.bias": [count]})
    for name, rows, columns in (
        ("query", 6, 1), ("key", 6, 1), ("value", 6, 1), ("in_proj", 18, 6), ("out_proj", 6, 6), ("final", 1, 6),
    ):  # fmt: skip
        table.update({f"sca.{name}.weight": [rows, columns], f"sca.{name}.bias": [rows]})
    for head, hidden, last in (("scene", g["scene_hidden"], scenes), ("text", g["text_hidden"], g["text_width"])):
        sizes = [sum(labels), *hidden, last]
        for i in range(len(sizes) - 1):
            table.update({f"{head}.{i}.weight": [sizes[i + 1], sizes[i]], f"{head}.{i}.bias": [sizes[i + 1]]})
    return table


def entries(table, dtype="F32"):
    """The header's entries of @table, one behind the other, and the bytes they need."""
    width = {"F32": 4, "F16": 2, "BF16": 2}[dtype]
    made, offset = {}, 0
    for name, shape in table.items():
        size = width
        for extent in shape:
            size *= extent
        made[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return made, offset


def compact(tree):
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def file(header, data=b"", length=None):
    if not isinstance(header, bytes):
        header = compact(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def model(config=CONFIG, places=PLACES, version="1", dtype="F32", table=None, data=None):
    made, size = entries(table or tensors(), dtype)
    strings = {"cityguessr.version": version, "cityguessr.config": config, "cityguessr.places": places}
    metadata = {key: text if isinstance(text, str) else compact(text) for key, text in strings.items()}
    return file({"__metadata__": metadata, **made}, bytes(size) if data is None else data)


def pair(first, second, shape=(2,)):
    """Two F32 tensors with these data_offsets."""
    return {
        name: {"dtype": "F32", "shape": list(shape), "data_offsets": list(offsets)}
        for name, offsets in (("a", first), ("b", second))
    }


def bad_places():
    city = PLACES["cities"][0]
    yield "cycle", changed(PLACES, countries=[{"label": "Y", "country": 0}])
    yield "cycle-up", changed(PLACES, continents=[{"label": "Z", "country": 0}])
    yield "orphan", changed(PLACES, cities=[changed(city, state=1)])
    yield "childless", changed(PLACES, states=[*PLACES["states"], {"label": "U", "country": 0}])
    yield "duplicate", changed(PLACES, cities=[city, city])
    yield "latitude", changed(PLACES, cities=[changed(city, latitude=91)])
    yield "code", changed(PLACES, countries=[{"label": "Y", "code": "yy", "continent": 0}])
    yield "empty", changed(PLACES, cities=[])
    yield "version", changed(PLACES, version=2)


def bad_configs():
    yield "many-hidden", changed(CONFIG, geometry=changed(GEOMETRY, scene_hidden=[1] * 8))
    for key, value in (
        ("heads", 3), ("heads", 2.0), ("width", 1280), ("depth", 48), ("frames", 64), ("mlp", 8192), ("image", 512),
        ("layer_norm_eps", 0), ("text_width", 0), ("patch", 8), ("tubelet", 1),
    ):  # fmt: skip
        yield f"{key}-{value!r}", changed(CONFIG, geometry=changed(GEOMETRY, **{key: value}))
    yield "no-scenes", changed(CONFIG, scenes=[])
    yield "temperature", changed(CONFIG, temperatures=[1, 1, 1, 0])
    yield "unknown-key", changed(CONFIG, color=1)


def seeds():
    good = model()
    yield "good-f32", good
    yield "good-f16", model(dtype="F16")
    yield "good-bf16", model(dtype="BF16")
    bare = changed(CONFIG, scenes=[], geometry=changed(GEOMETRY, scene_hidden=[], text_width=0))
    encoder = {name: shape for name, shape in tensors().items() if not name.startswith(("sca", "scene", "text"))}
    yield "good-without-auxiliary", model(config=bare, table=encoder, dtype="F16")

    for cut in (0, 7, 8, 9, 10, 100, 1500, len(good) - 1):
        yield f"truncated-{cut}", good[:cut]
    yield "header-length-2^64-1", file({}, length=2**64 - 1)
    yield "header-length-2^64-8", file({}, length=2**64 - 8)
    yield "header-length-0", file({}, length=0)
    yield "header-beyond-file", file({}, length=3)
    yield "trailing-data", good + b"\0"

    yield "overlap", file(pair((0, 8), (4, 12)), bytes(12))
    yield "same-data", file(pair((0, 8), (0, 8)), bytes(8))
    yield "hole", file(pair((0, 8), (12, 20)), bytes(20))
    yield "reversed", file(pair((8, 0), (0, 8)), bytes(8))
    yield "outside", file(pair((0, 8), (8, 2**63)), bytes(16))
    yield "overflowing-shape", file(pair((0, 0), (0, 0), (2**32, 2**32)))
    yield "overflowing-bytes", file(pair((0, 0), (0, 0), (2**62,)))
    yield "rank-6", file(pair((0, 4), (4, 8), (1,) * 6), bytes(8))

    one = compact(pair((0, 8), (8, 16))["a"])
    yield "duplicate-tensor", file(f'{{"a":{one},"a":{one}}}'.encode(), bytes(8))
    yield "duplicate-field", file(b'{"a":{"dtype":"F32","dtype":"F32"}}')
    yield "duplicate-metadata", file(b'{"__metadata__":{"a":"","a":""}}')
    yield "duplicate-config-key", model(config=compact(CONFIG)[:-1] + ',"demo":true}')
    yield "deep-header", file(b'{"a":' * 2000 + b"1" + b"}" * 2000)
    yield "deep-config", model(config='{"a":' + "[" * 2000 + "]" * 2000 + "}")
    yield "deep-places", model(places='{"a":' * 2000 + "1" + "}" * 2000)
    yield "many-tensors", file({f"t{i}": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for i in range(900)})
    yield "many-metadata", file({"__metadata__": {f"k{i}": "" for i in range(100)}})
    yield "million-keys", file(b"{" + b",".join(b'"%d":0' % i for i in range(1_000_000)) + b"}")

    _, size = entries(tensors())
    for name, bits in (("nan", 0x7FC00001), ("infinity", 0xFF800000)):
        yield f"value-{name}", model(data=bytes(size - 4) + struct.pack("<I", bits))
    yield "value-nan-f16", model(dtype="F16", data=struct.pack("<H", 0x7E00) + bytes(size // 2 - 2))
    yield "version-2", model(version="2")
    yield "bad-utf-8-header", file(b'{"a\xff":{}}')
    yield "bad-utf-8-places", good.replace("W\u00f6".encode(), b"W\xc3(")
    yield "control-character", file(b'{"a\x01":{}}')
    yield "escape", file(b'{"a\\u0041":{}}')
    yield "missing-tensor", model(table={k: v for k, v in tensors().items() if k != "heads.city.bias"})
    yield "extra-tensor", model(table={**tensors(), "blocks.0.attn.k_bias": [32]})

    for name, places in bad_places():
        yield f"places-{name}", model(places=places, dtype="F16")
        yield f"tree-{name}", compact(places).encode()
    yield "tree-good", compact(PLACES).encode()
    yield "tree-bad-utf-8", compact(PLACES).encode().replace(b"W\xc3", b"W\xff")
    yield "tree-trailing", compact(PLACES).encode() + b"{}"
    yield "tree-surrogate", compact(PLACES).encode().replace(b'"V"', b'"\\ud83d"')
    for name, config in bad_configs():
        yield f"config-{name}", model(config=config, dtype="F16")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: corpus.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()

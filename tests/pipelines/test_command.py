# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ``cityguessr`` command, as a user calls it. CITYGUESSR_COMMAND names the one that was built."""

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def command():
    path = os.environ.get("CITYGUESSR_COMMAND") or shutil.which("cityguessr")
    if not path:
        pytest.skip("no cityguessr command: set CITYGUESSR_COMMAND")

    def run(*arguments, **options):
        return subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)

    return run


@pytest.fixture(scope="module")
def tiny(command, tmp_path_factory) -> Path:
    """A model file of the smallest network."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    result = command("generate", "tiny", "-o", path)
    assert result.returncode == 0, result.stderr
    return path


def read_header(path):
    """What a safetensors file says of itself, read without our code."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return header.pop("__metadata__"), header, len(data) - 8 - length


def test_version(command):
    result = command("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("cityguessr ")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["inspect", "--help"], ["generate", "--help"], ["bench", "--help"], ["bench-element", "--help"]],
)
def test_help(command, arguments):
    result = command(*arguments)
    assert result.returncode == 0, result.stderr
    assert "Usage:" in result.stdout
    assert " ".join(["cityguessr", *arguments[:-1]]) in result.stdout


@pytest.mark.parametrize("name", ["inspect", "generate", "bench", "bench-element"])
def test_the_manual_names_every_option(command, name):
    manual = (Path(__file__).parents[2] / "docs" / "cityguessr.1").read_text().replace("\\-", "-")
    options = re.findall(r"--[a-z-]+", command(name, "--help").stdout)
    assert options and [option for option in options if option not in manual] == []


def test_help_names_the_commands(command):
    text = command("--help").stdout
    for name in ("inspect", "generate", "bench", "bench-element"):
        assert name in text


@pytest.mark.parametrize(
    "arguments, told",
    [
        ([], "expected a command"),
        (["frobnicate"], "frobnicate"),
        (["--frobnicate"], "--frobnicate"),
        (["inspect"], "one model file"),
        (["inspect", "a", "b"], "one model file"),
        (["inspect", "--frobnicate", "a"], "--frobnicate"),
        (["generate"], "one preset"),
        (["generate", "tiny"], "-o FILE"),
        (["generate", "tiny", "-o", "x", "--seed", "-1"], "--seed"),
        (["generate", "tiny", "-o", "x", "--seed", "one"], "one"),
        (["bench", "--engine", "cuda", "--engine", "cpu"], "goes alone"),
        (["bench", "--engine", "cuda", "--rounds", "50"], "at least 100"),
        (["bench", "--engine", "cuda", "--batch", "33"], "--batch"),
        (["bench", "--precision", "fp16"], "--precision"),
    ],
)
def test_misuse(command, tmp_path, arguments, told):
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert told in result.stderr
    assert "--help" in result.stderr
    assert not list(tmp_path.iterdir())


def test_bench_of_cuda_says_what_is_missing(command):
    result = command("bench", "--engine", "cuda", "--geometry", "tiny", "--json")
    if result.returncode == 0:
        pytest.skip("there is a GPU, and CUDA works")
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"cityguessr bench: .*\n", result.stderr)
    assert re.search("not installed|no NVIDIA|driver|CUDA", result.stderr)


def test_generate_says_that_it_is_untrained(command, tmp_path):
    result = command("generate", "tiny", "-o", tmp_path / "model.safetensors")
    assert result.returncode == 0
    assert "not trained" in result.stdout


def test_generate_depends_on_the_seed_alone(command, tiny, tmp_path):
    files = {}
    for name, seed in (("one", 1), ("other", 2)):
        path = tmp_path / name
        assert command("generate", "tiny", "-o", path, "--seed", seed).returncode == 0
        files[name] = path.read_bytes()
    assert files["one"] == tiny.read_bytes()
    assert files["one"] != files["other"]


def test_generate_full_size(command, tmp_path):
    path = tmp_path / "small-16.safetensors"
    assert command("generate", "small-16", "-o", path).returncode == 0
    _, tensors, size = read_header(path)
    assert tensors["blocks.11.attn.qkv.weight"]["shape"] == [3 * 384, 384]
    assert 80e6 < size < 100e6
    path.unlink()


def test_generate_unknown_preset(command, tmp_path):
    result = command("generate", "enormous", "-o", tmp_path / "x")
    assert result.returncode == 1
    assert "enormous" in result.stderr and "small-16" in result.stderr
    assert not list(tmp_path.iterdir())


def test_generate_into_no_folder(command, tmp_path):
    result = command("generate", "tiny", "-o", tmp_path / "nowhere" / "x")
    assert result.returncode == 1
    assert "nowhere" in result.stderr


def test_inspect_json_tells_what_the_file_holds(command, tiny):
    result = command("inspect", tiny, "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    metadata, tensors, size = read_header(tiny)
    config = json.loads(metadata["cityguessr.config"])
    places = json.loads(metadata["cityguessr.places"])

    assert told["file"] == str(tiny)
    for key, value in config.items():
        assert told[key] == value, key
    assert "ntrained" in told["provenance"]
    assert told["places"]["name"] == places["name"] == "CityGuessr68k"
    for level, count in (("cities", 166), ("states", 157), ("countries", 91), ("continents", 6)):
        assert told["places"][level] == len(places[level]) == count
    assert {t["name"]: (t["dtype"], t["shape"]) for t in told["tensors"]} == {
        name: (t["dtype"], t["shape"]) for name, t in tensors.items()
    }
    # Tensors are contiguous F32 numbers, so that the data are all the parameters.
    assert told["parameters"] * 4 == size
    assert told["flops"] > 0


def test_inspect_text(command, tiny):
    text = command("inspect", tiny).stdout
    who = (str(tiny), "generated tiny", "ntrained", "GeoNames", "166 cities")
    how = ("8 samples", "1.4 s", "64x64", "4 heads of 16", "F32", "outdoor")
    for part in who + how:
        assert part in text, part
    assert "blocks.0.norm1.weight" not in text
    assert "F32  blocks.0.norm1.weight [64]" in command("inspect", "--tensors", tiny).stdout


def test_inspect_writes_numbers_alike_everywhere(command, tiny):
    texts = {
        command("inspect", tiny, env={**os.environ, "LC_ALL": name}).stdout for name in ("C", "C.UTF-8", "de_DE.UTF-8")
    }
    assert len(texts) == 1


def test_inspect_no_file(command, tmp_path):
    result = command("inspect", tmp_path / "nothing.safetensors")
    assert result.returncode == 1
    assert "nothing.safetensors" in result.stderr
    assert result.stdout == ""


def test_inspect_damaged_file(command, tiny, tmp_path):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(tiny.read_bytes()[:-4])
    result = command("inspect", path)
    assert result.returncode == 1
    assert "damaged.safetensors" in result.stderr
    assert result.stdout == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_full_disk_is_an_error(command, tiny):
    path = os.environ.get("CITYGUESSR_COMMAND") or shutil.which("cityguessr")
    with open("/dev/full", "w") as full:
        result = subprocess.run([path, "inspect", tiny], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert result.returncode == 1
    assert "could not write" in result.stderr

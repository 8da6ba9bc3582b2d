# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CUDA engine as a file: what it needs, what needs it, and how it refuses where it cannot work.

None of this takes a GPU. Machines that have none are made here: a driver is a library named libcuda.so.1, and an empty
one stands for a driver on which nothing works."""

import ctypes
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from gst import ROOT, messages, require_element
from running import Running, environment

BUILD = Path(os.environ.get("CITYGUESSR_BUILD_DIR", ROOT / "build"))
MODULE = Path(os.environ.get("CITYGUESSR_CUDA_MODULE", BUILD / "cuda" / "libcityguessr-cuda.so"))
PICTURES = "videotestsrc", "num-buffers=12", "!", "video/x-raw,width=64,height=64,framerate=1/1"
ABSENT, UNSUPPORTED = 1, 2  # CgCudaStatus


def has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


@pytest.fixture
def module() -> Path:
    if not MODULE.exists():
        pytest.skip(f"no {MODULE}: the build says why (CUDA engine: no)")
    return MODULE


def needed(path: Path) -> list[str]:
    dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", dynamic)


def test_the_module_needs_two_libraries_and_libc(module):
    rest = {name for name in needed(module) if not re.match(r"lib(c|m|dl|rt|pthread)\.so\.\d|ld-linux", name)}
    assert rest == {"libcublasLt.so.13", "libcudnn.so.9"}


def test_the_module_shows_one_symbol_and_stays(module):
    symbols = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in symbols.splitlines()] == ["cg_cuda_module"]
    assert "NODELETE" in subprocess.run(["readelf", "-d", module], capture_output=True, text=True, check=True).stdout


def fat_binaries(path: Path) -> list[set[tuple[str, int]]]:
    """What each of the file's fat binaries holds: ("code" or "ptx", architecture). nvcc writes one for each source."""
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    start, size = (int(n, 16) for n in re.search(r"\.nv_fatbin\s+PROGBITS\s+\S+\s+(\S+)\s+(\S+)", sections).groups())
    data, at, found = path.read_bytes()[start : start + size], 0, []
    while at < len(data):
        magic, _, header, length = struct.unpack_from("<IHHQ", data, at)
        if magic != 0xBA55ED50:  # what aligns the next one
            at += 8
            continue
        at += header
        end, parts = at + length, set()
        while at < end:
            kind, _, header, length = struct.unpack_from("<HHIQ", data, at)
            parts.add(({1: "ptx", 2: "code"}[kind], struct.unpack_from("<I", data, at + 28)[0]))
            at += header + length
        found.append(parts)
    return found


def test_every_kernel_is_there_for_every_architecture(module):
    """What is promised by default, unless this build was told otherwise."""
    options = (ROOT / "meson_options.txt").read_text()
    promised = re.findall(r"'(\d+)'", re.search(r"'nvidia_architectures'.*?value: \[(.*?)\]", options).group(1))
    assert promised == ["75", "80", "86", "89", "90", "100", "120"]
    told = BUILD / "meson-info" / "intro-buildoptions.json"
    if told.exists():
        (promised,) = (o["value"] for o in json.loads(told.read_text()) if o["name"] == "nvidia_architectures")

    binaries = fat_binaries(module)
    assert len(binaries) == len(list((ROOT / "cuda" / "kernels").glob("*.cu")))
    for parts in binaries:
        assert {architecture for kind, architecture in parts if kind == "code"} == {int(a) for a in promised}
        assert [architecture for kind, architecture in parts if kind == "ptx"] == [100]


@pytest.mark.parametrize("path", ["gst-plugin/libgstcityguessr.so", "pipelines/cityguessr"])
def test_nothing_else_links_cuda(path):
    if not (BUILD / path).exists():
        pytest.skip(f"no {BUILD / path}: build the project")
    assert [name for name in needed(BUILD / path) if re.search("cuda|cublas|cudnn|nv", name)] == []


# ---- the module, opened by hand ----

PROBE = """
import ctypes, sys
class Error (ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 512)]
class Module (ctypes.Structure):
    _fields_ = [("abi", ctypes.c_uint),
                ("probe", ctypes.CFUNCTYPE (ctypes.c_bool, ctypes.c_int, ctypes.POINTER (Error)))]
library = ctypes.CDLL (sys.argv[1])
library.cg_cuda_module.restype = ctypes.POINTER (Module)
module, error = library.cg_cuda_module ().contents, Error ()
print (module.abi, module.probe (0, error), error.status, error.message.decode ())
"""


def probe(module: Path, **variables: str) -> tuple[bool, int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    abi, works, status, message = done.stdout.strip().split(" ", 3)
    assert abi == "4"
    return works == "True", int(status), message


def test_without_a_driver_the_module_opens_and_says_so(module):
    if has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    works, status, message = probe(module)
    assert not works and status == ABSENT
    assert "no NVIDIA driver" in message and "device=cpu" in message


# ---- the element, on machines that lack something ----


def library(path: Path, source: str, *flags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler = [os.environ.get("CC", "cc"), *"-shared -fPIC -x c - -x none -o".split()]
    subprocess.run(
        [*compiler, path, f"-Wl,-soname,{path.name}", *flags],
        input=source,
        text=True,
        check=True,
    )
    return path


@pytest.fixture
def driver(tmp_path) -> Path:
    """The folder of a driver on which nothing works."""
    return library(tmp_path / "driver" / "libcuda.so.1", "int nothing;").parent


def play(*properties: str, **variables: str) -> tuple[int, str]:
    require_element()
    element = "! cityguessr sample-interval=1000000000".split()
    done = subprocess.run(
        ["gst-launch-1.0", "-m", *PICTURES, *element, *properties, "!", "fakesink"],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def refusal(folder: Path, *properties: str, **variables: str) -> str:
    """What the element says when it fails. gst-launch-1.0 may then wait for ever: see test_gst_launch.failure()."""
    require_element()
    words = "gst-launch-1.0", *PICTURES, "!", "cityguessr", *properties, "!", "fakesink"
    with Running(folder, *words, **variables) as running:
        running.wait_for("ERROR", lambda: "ERROR: " in running.err.read_text())
        try:
            running.process.wait(5)
        except subprocess.TimeoutExpired:
            running.interrupt()
        assert running.process.returncode != 0, running.report()
        told = re.findall(r"^ERROR: from element \S*cityguessr0: (.*)$", running.err.read_text(), re.MULTILINE)
    assert len(told) == 1, told
    return told[0]


def on_the_cpu(**variables: str) -> list[str]:
    """The warnings of a pipeline with device=auto that the CPU answered."""
    status, output = play(**variables)
    assert status == 0, output
    assert {message.fields["device"].split()[0] for message in messages(output)} == {"cpu"}, output
    return re.findall(r"^WARNING: from element \S*cityguessr0: (.*)$", output, re.MULTILINE)


def test_without_the_module_cuda_is_an_error_and_auto_is_silent(tmp_path):
    nowhere = {"CITYGUESSR_CUDA_MODULE": str(tmp_path / "nothing.so")}
    assert "not installed" in (told := refusal(tmp_path, "device=cuda", **nowhere)) and "nothing.so" in told
    assert on_the_cpu(**nowhere) == []


def test_without_a_driver_cuda_is_an_error_and_auto_says_why_the_cpu_computes(tmp_path):
    if has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    here = {"CITYGUESSR_CUDA_MODULE": str(library(tmp_path / "module.so", "int nothing;"))}
    assert "no NVIDIA driver" in refusal(tmp_path, "device=cuda", **here)
    warnings = on_the_cpu(**here)
    assert len(warnings) == 1 and "no NVIDIA driver" in warnings[0] and "The CPU computes" in warnings[0]


def test_an_empty_variable_names_no_module(tmp_path):
    if has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    told = refusal(tmp_path, "device=cuda", CITYGUESSR_CUDA_MODULE="")
    assert "libcityguessr-cuda.so" in told or "no NVIDIA driver" in told  # that of an installation, if there is one


@pytest.mark.parametrize(
    ("name", "advice"), [("libcudnn.so.9", "Install cuDNN 9"), ("libcublasLt.so.13", "Install cuBLAS of CUDA 13")]
)
def test_a_missing_library_is_named(tmp_path, driver, name, advice):
    missing = library(tmp_path / name, "int part;")
    module = library(tmp_path / "module.so", "extern int part; int *use = &part;", "-Wl,--no-as-needed", str(missing))
    missing.unlink()
    here = {"CITYGUESSR_CUDA_MODULE": str(module), "LD_LIBRARY_PATH": str(driver)}
    assert name in (told := refusal(tmp_path, "device=cuda", **here)) and advice in told
    warnings = on_the_cpu(**here)
    assert len(warnings) == 1 and name in warnings[0] and "The CPU computes" in warnings[0]


def test_what_is_no_module_is_refused(tmp_path, driver):
    here = {"CITYGUESSR_CUDA_MODULE": str(library(tmp_path / "module.so", "int nothing;"))}
    assert "interface 0" in refusal(tmp_path, "device=cuda", LD_LIBRARY_PATH=str(driver), **here)


def test_a_module_of_another_release_is_refused(tmp_path, driver):
    source = "static const unsigned abi[64] = { 9999 }; const void *cg_cuda_module (void) { return abi; }"
    here = {"CITYGUESSR_CUDA_MODULE": str(library(tmp_path / "module.so", source)), "LD_LIBRARY_PATH": str(driver)}
    assert "interface 9999" in (told := refusal(tmp_path, "device=cuda", **here)) and "same release" in told
    assert len(on_the_cpu(**here)) == 1


def test_a_driver_that_does_nothing_is_told_once(tmp_path, module, driver):
    """The real module over a driver that has no functions."""
    here = {"LD_LIBRARY_PATH": str(driver), "CITYGUESSR_CUDA_MODULE": str(module)}
    works, _, message = probe(module, LD_LIBRARY_PATH=str(driver))
    assert not works and message
    told = refusal(tmp_path, "device=cuda", **here)
    assert len(told) > 20
    assert len(on_the_cpu(**here)) == 1


def test_half_precision_is_for_gpus(tmp_path):
    assert "fp16 needs a GPU" in refusal(tmp_path, "device=cpu", "precision=fp16")

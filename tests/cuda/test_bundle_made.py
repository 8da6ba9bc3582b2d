# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bundle that `./run gpu-bundle` makes, out of what is built: what is in it, and what it does without a GPU."""

import ctypes
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOP = HERE.parents[1]
BUILD = Path(os.environ.get("CITYGUESSR_BUILD_DIR", TOP / "build"))
MAKE = HERE / "bundle" / "make-bundle.sh"
MOST = 60 * 2**20
LOADER = "ld-linux-x86-64.so.2"
LIBC = re.compile(r"ld-linux|lib(c|m|dl|rt|pthread|resolv)\.so")
NVIDIAS = re.compile(r"lib(cu(?!rl)|nv)")  # libcuda, libcudart, libcublas, libcudnn, libnvrtc, ...


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    if not (BUILD / "cuda" / "libcityguessr-cuda.so").exists():
        pytest.skip(f"no CUDA engine in {BUILD}: the build says why")
    folder = tmp_path_factory.mktemp("made") / "bundle"
    subprocess.run([MAKE, BUILD, folder], check=True, timeout=300)
    return folder


def files(bundle: Path) -> list[Path]:
    return [path for path in bundle.rglob("*") if path.is_file()]


def test_it_is_small_and_brings_no_library_of_cudas(bundle):
    assert sum(path.stat().st_size for path in files(bundle)) <= MOST
    nvidias = [str(path.relative_to(bundle)) for path in files(bundle) if NVIDIAS.match(path.name)]
    assert nvidias == ["gst/no-decoder/libnvcuvid.so.1"]  # ours


def test_it_brings_all_that_run_sh_names(bundle):
    names = {str(path.relative_to(bundle)) for path in files(bundle)}
    script = (bundle / "run.sh").read_text()
    wanted = set(re.findall(r"\$here/([\w./-]+\w)", script)) - {"results"} - {"lib", "libc", "bin"}
    assert {"peers.py", "element.py", "summary.py", "libcityguessr-cuda.so"} <= wanted
    assert wanted - names == set()
    assert {f"bin/{name}" for name in ("cityguessr", "gst-launch-1.0", "test-device", "test-engine")} <= names
    assert "gst/plugins/libgstcityguessr.so" in names and "gst/nvcodec/libgstnvcodec.so" in names


def test_it_brings_compute_sanitizer_with_all_that_starts_it(bundle):
    if not (TOP / ".cache" / "cuda-sanitizer" / "wheel").exists():
        pytest.skip("no compute-sanitizer: ./run deps cuda fetches it")
    (wheel,) = bundle.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
    assert wheel.name.startswith("nvidia_cuda_sanitizer_api-")
    assert {"compute-sanitizer", "TreeLauncherSubreaper", "libsanitizer-collection.so", "License.txt"} <= names


def test_programs_and_plugins_find_their_libraries_in_it(bundle):
    programs = [path for path in files(bundle) if path.parent.name == "bin" or path.parent.parent.name == "gst"]
    assert len(programs) >= 9
    for program in programs:
        said = subprocess.run(
            ["ldd", program], env={**os.environ, "LD_LIBRARY_PATH": str(bundle / "lib")},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert "not found" not in said, f"{program}: {said}"
        for name, place in re.findall(r"^\s*(\S+) => (/\S+)", said, re.MULTILINE):
            assert LIBC.match(name) or place.startswith(f"{bundle}/lib/"), f"{program}: {name} is {place}"
    assert {LOADER, "libc.so.6", "libm.so.6"} <= {path.name for path in (bundle / "libc").iterdir()}


def test_its_own_loader_runs_its_programs(bundle):
    """As on a system whose libc is older."""
    path = f"{bundle}/libc:{bundle}/lib"
    said = subprocess.run(
        [bundle / "libc" / LOADER, "--library-path", path, bundle / "bin" / "cityguessr", "--help"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr


def test_too_large_a_bundle_is_refused(bundle, tmp_path):
    build = tmp_path / "build"
    for name in ("cuda/libcityguessr-cuda.so", "gst-plugin/libgstcityguessr.so", "pipelines/cityguessr"):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).symlink_to(BUILD / name)
    (build / "tests").symlink_to(BUILD / "tests")
    source = "const char table[60 * 1024 * 1024] = { 1 }; int main (void) { return table[1]; }"
    (build / "pipelines" / "cityguessr").unlink()
    compiler = [os.environ.get("CC", "cc"), "-x", "c", "-", "-o", build / "pipelines" / "cityguessr"]
    subprocess.run(compiler, input=source, text=True, check=True)
    done = subprocess.run([MAKE, build, tmp_path / "out"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "expected at most 60" in done.stderr, done


def test_without_a_gpu_it_ends_with_1_and_says_what_is_missing(bundle, tmp_path):
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pass
    else:
        pytest.skip("this machine has an NVIDIA driver")
    done = subprocess.run(
        [bundle / "run.sh", "--only", "bench device engine element sanitizer", tmp_path / "results"],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    text = (tmp_path / "results" / "summary.txt").read_text()
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    wanting = summary["wanting"]
    assert done.stdout == text and all(problem in text for problem in wanting)
    no_driver = "There is no NVIDIA driver on this machine (libcuda.so.1): install one (580 or later)"
    assert "no GPU: nvidia-smi shows none" in wanting
    for network in ("small-16", "small-6", "base"):
        assert any(text.startswith(f"bench-{network}.json: exit status 1: ") and no_driver in text for text in wanting)
    for test in ("clients", "parity", "batches", "pictures"):
        assert any(text.startswith(f"device-{test}: skipped: ") and no_driver in text for text in wanting)
    assert sum(text.startswith("engine: skipped: /engine/") and no_driver in text for text in wanting) == 18
    assert "element: 1 failed" in wanting and any(no_driver in line for line in summary["tests"]["element"]["says"])
    assert any("offers no cudaupload" in text for text in wanting)
    if any(bundle.glob("*.whl")):
        said = summary["tests"]["memcheck-pictures"]["says"]
        assert any(line.startswith("========= Error: Target application terminated") for line in said), said
    else:
        assert any(text.startswith("compute-sanitizer: ") for text in wanting)


# ---- the element, with the CPU's engine in the GPU's place ----


@pytest.fixture
def element(bundle, tmp_path):
    """Runs part `element` of the bundle on the CPU; returns run.sh's exit status, and the summary."""

    def run(*folders: Path) -> tuple[int, dict]:
        results = tmp_path / "results"
        libraries = ":".join(str(folder) for folder in folders) or str(tmp_path)
        done = subprocess.run(
            [bundle / "run.sh", "--only", "element", results], capture_output=True, text=True, timeout=600,
            env={
                **os.environ, "PYTHON": sys.executable, "CITYGUESSR_ELEMENT_DEVICE": "cpu",
                "CITYGUESSR_NVIDIA_LIBRARIES": libraries,
            },
        )  # fmt: skip
        return done.returncode, json.loads((results / "summary.json").read_text())

    return run


def test_the_element_runs_from_the_bundle_and_a_way_that_is_not_there_fails(element):
    status, summary = element()
    told = summary["tests"]["element"]
    assert status == 1
    assert (told["passed"], told["failed"], told["skipped"], told["missing"]) == (1, 0, 2, 0)
    assert re.match(r"9 answers from cpu; different cities: [2-9]", told["says"][0]), told
    assert any("/element/device-memory: GStreamer's nvcodec plugin" in text for text in summary["wanting"])


def test_the_element_reads_the_memory_of_cudaupload(element, tmp_path):
    """Over a driver whose device memory is the host's."""
    driver = tmp_path / "driver" / "libcuda.so.1"
    driver.parent.mkdir()
    compiler = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", driver, HERE / "host-driver.c"]
    subprocess.run(compiler, check=True)
    _, summary = element(driver.parent)
    told = summary["tests"]["element"]
    assert (told["passed"], told["skips"]) == (3, []), told
    assert told["figures"] == [
        {"what": "confidence from system memory and from the device's", "worst": 0.0, "bound": 1e-3, "of": 1}
    ]

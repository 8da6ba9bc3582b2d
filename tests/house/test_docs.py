"""Every command of the README and of docs/ is run, as it stands there, from its ```sh block.

Names of files that a reader would replace by their own stand for files made here. A command that this test cannot run
is listed in NOT_RUN with the reason, and is still checked as far as it goes.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands() -> Iterator[tuple[str, str]]:
    """(page:line, command) of each command, with continued lines joined."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            line = text[: block.start(1)].count("\n") + 1
            for command in re.split(r"(?<!\\)\n", block[1].rstrip("\n")):
                yield f"{page.relative_to(TOP)}:{line}", re.sub(r"\\\n\s*", "", command)
                line += command.count("\n") + 1  # continued lines included


COMMANDS = list(commands())

# A command that begins so is not run, because it would run this test again. What it names must exist.
NOT_RUN = ("./run test", ".ci/run ")
# Nobody sits before a camera or a screen here: these are parsed by GStreamer, elements and properties included.
NEEDS_A_CAMERA = ("v4l2src", "rtspsrc")


@pytest.fixture(scope="session")
def build() -> Path:
    folder = Path(os.environ.get("CITYGUESSR_COMMAND", TOP / "build" / "pipelines" / "cityguessr")).parents[1]
    assert folder.is_dir(), f"nothing is built in {folder}: call ./run test, or ./run build first"
    return folder


@pytest.fixture(scope="session")
def environment(build: Path) -> dict[str, str]:
    """Of a shell in which what was built is found, and in which `meson install` stays out of the system."""
    return {
        **os.environ,
        "GST_PLUGIN_PATH_1_0": str(build / "gst-plugin"),
        "GST_REGISTRY_1_0": str(build / "gst-registry-docs.bin"),
        "PATH": f"{build / 'pipelines'}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(command: str, environment: dict[str, str], folder: Path = TOP) -> str:
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (
        f"$ {command}\nexit status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


@pytest.fixture
def stand_ins(tmp_path: Path, environment: dict[str, str]) -> "StandIns":
    return StandIns(tmp_path, environment)


class StandIns:
    """The files and folders that a reader of the documentation would bring, made when a command names them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def put_into(self, command: str) -> str:
        """`command` with the names of `makers` replaced by what they make."""
        for name, make in self.makers().items():
            if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w/-])", command):
                path = self.folder / name
                written_by_it = f"-o {name}" in command
                if not path.exists() and not written_by_it:
                    make(path)
                command = re.sub(rf"(?<![\w./-]){re.escape(name)}(?![\w/-])", str(path), command)
        return command.replace(".venv/bin/python", sys.executable).replace(
            "meson install -C", f"meson install --destdir {self.folder / 'installed'} -C"
        )

    def makers(self) -> dict:
        return {
            "drive.mp4": self.video,
            "model.safetensors": self.model,
            "videomae-small": self.hugging_face,
            "checkpoint.pth": self.checkpoint,
        }

    def video(self, path: Path) -> None:
        """Motion JPEG in a QuickTime file: ten seconds that every installation can write and read."""
        run(
            "gst-launch-1.0 -q videotestsrc num-buffers=50 pattern=ball "
            f"! video/x-raw,width=320,height=240,framerate=5/1 ! jpegenc ! qtmux ! filesink location={path}",
            self.environment,
        )

    def model(self, path: Path) -> None:
        run(f"cityguessr generate tiny -o {path}", self.environment)

    def hugging_face(self, path: Path) -> None:
        """A VideoMAE folder as Hugging Face writes it, with the preprocessor's configuration beside."""
        encoder(image_size=32, num_frames=4, num_attention_heads=4).save_pretrained(path)
        (path / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')

    def checkpoint(self, path: Path) -> None:
        """A training checkpoint with the authors' layout and a narrow encoder."""
        backbone = encoder(num_attention_heads=16)
        sys.path.insert(0, str(TOP / "tests" / "model" / "training"))
        import judges
        import torch

        torch.save({"state_dict": judges.AuthorsNetwork(backbone, (166, 157, 91, 6)).state_dict()}, path)


def encoder(**config):
    """A small VideoMAE of Hugging Face's."""
    transformers = pytest.importorskip("transformers", reason="the conversion of checkpoints needs PyTorch")
    return transformers.VideoMAEModel(
        transformers.VideoMAEConfig(hidden_size=64, num_hidden_layers=1, intermediate_size=128, **config)
    )


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=[f"{where} {command}" for where, command in COMMANDS])
def test_command(where: str, command: str, environment: dict[str, str], stand_ins: StandIns) -> None:
    if command.startswith(NOT_RUN):
        script, *arguments = command.split()
        text = (TOP / script).read_text(encoding="utf-8")
        for argument in arguments:
            assert re.search(rf"^ *{argument}\)|^gate_{argument} ", text, re.MULTILINE), f"{script} knows no {argument}"
    elif any(element in command for element in NEEDS_A_CAMERA):
        missing = parse_pipeline(re.sub(r"^gst-launch-1.0 (-m )?", "", command), environment)
        assert missing is None, f"{where}: {missing}"
    else:
        run(stand_ins.put_into(command), environment)


def parse_pipeline(description: str, environment: dict[str, str]) -> str | None:
    """What GStreamer says against this pipeline, or None. In a process of its own, for the environment."""
    program = (
        "import ctypes, sys\n"
        "class Error(ctypes.Structure):\n"
        "  _fields_ = [('domain', ctypes.c_uint32), ('code', ctypes.c_int), ('message', ctypes.c_char_p)]\n"
        "gst = ctypes.CDLL('libgstreamer-1.0.so.0')\n"
        "gst.gst_init(None, None)\n"
        "gst.gst_parse_launch.restype = ctypes.c_void_p\n"
        "error = ctypes.POINTER(Error)()\n"
        "gst.gst_parse_launch(sys.argv[1].encode(), ctypes.byref(error))\n"
        "sys.exit(error.contents.message.decode() if error else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, description], env=environment, capture_output=True, text=True, check=False
    )
    return None if done.returncode == 0 else done.stderr.strip()


def test_a_pipeline_that_gstreamer_refuses_is_noticed(environment: dict[str, str]) -> None:
    said = parse_pipeline("videotestsrc ! cityguessr modell=x ! fakesink", environment)
    assert said and "modell" in said, said


def test_the_readme_lists_the_properties_of_the_element(environment: dict[str, str]) -> None:
    inspected = run("gst-inspect-1.0 cityguessr", environment)
    inherited = {"name", "parent", "qos"}
    real = set(re.findall(r"^  ([a-z-]+) +: ", inspected.split("Element Properties:")[1], re.MULTILINE)) - inherited
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == real


def test_the_readme_shows_the_fields_of_a_real_message(environment: dict[str, str]) -> None:
    output = run(
        "gst-launch-1.0 -m videotestsrc num-buffers=300 ! video/x-raw,width=64,height=64,framerate=10/1 "
        "! cityguessr model=generated:tiny:1 ! fakesink",
        environment,
    )
    field = re.compile(r"([a-z-]+)=\((\w+)\)")
    messages = [line for line in output.splitlines() if ": cityguessr, " in line]
    assert messages, output[-2000:]
    shown = field.findall((TOP / "README.md").read_text(encoding="utf-8"))
    missing = [pair for pair in shown if pair not in field.findall(messages[0])]
    assert shown and not missing, f"{missing} is in the README, but not in {messages[0]}"


def test_what_the_documentation_links_to_exists() -> None:
    broken = [
        f"{page.relative_to(TOP)}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if not link.startswith("https://") and not (page.parent / link).exists()
    ]
    assert not broken, broken


def test_files_that_the_documentation_names_exist() -> None:
    folders = ("model", "cuda", "gst-plugin", "pipelines", "tests", "docs", ".ci")
    broken = [
        f"{page.relative_to(TOP)}: {name}"
        for page in PAGES
        for name in re.findall(r"`([\w./-]+/[\w./-]*)`", page.read_text(encoding="utf-8"))
        if name.split("/")[0] in folders and not (TOP / name).exists()
    ]
    assert not broken, broken

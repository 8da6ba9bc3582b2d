"""The tree keeps its own rules: documented headers, licence lines, its short top level, nothing of one machine.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
NOT_OURS = re.compile(
    r"^demo\.(mp4|png)$|(^|/)(build[^/]*|runs|\.venv|\.git|__pycache__|\.cache|\.pytest_cache|[^/]*\.egg-info)(/|$)"
)
FILES = sorted(
    path.relative_to(TOP)
    for path in TOP.rglob("*")
    if path.is_file() and not NOT_OURS.search(str(path.relative_to(TOP))) and path.suffix != ".safetensors"
)
CODE = [
    path
    for path in FILES
    if path.suffix in (".c", ".h", ".py", ".cu", ".cuh", ".cc", ".sh") or str(path) in ("run", ".ci/run")
]
HEADERS = [path for path in CODE if path.suffix == ".h" and path.parts[0] != "tests"]


def test_the_top_level_stays_short() -> None:
    names = {path.parts[0] for path in FILES if not path.parts[0].startswith(".")}
    allowed = {
        *("model", "cuda", "gst-plugin", "pipelines", "tests", "docs"),
        *("meson.build", "meson_options.txt", "run", "README.md", "COPYING", "NOTICE"),
    }
    assert names <= allowed, f"not in the design's top level: {sorted(names - allowed)}"


@pytest.mark.parametrize("path", CODE, ids=str)
def test_each_source_names_its_licence(path: Path) -> None:
    head = "\n".join((TOP / path).read_text(encoding="utf-8").splitlines()[:80])
    assert "SPDX-License-Identifier: LGPL-2.1-or-later" in head, f"{path}: no SPDX line in its first comment"


@pytest.mark.parametrize("path", CODE, ids=str)
def test_no_source_is_two_rooms(path: Path) -> None:
    lines = len((TOP / path).read_text(encoding="utf-8").splitlines())
    most = 1500 if path.parts[0] == "tests" else 850  # a list of cases may be long
    assert lines <= most, f"{path}: {lines} lines; past about 800 it wants to be two files"


def test_nothing_belongs_to_one_machine_or_is_left_for_later() -> None:
    # Written so that this file does not find itself.
    machine = re.compile(r"(?<![\w.$}])/(?:wor[k]|roo[t]|hom[e]/\w+)/|/tm[p]/h-|/op[t]/(?:pyp[i]|wheel[s])")
    later = re.compile(r"\b(?:TOD[O](?!\))|FIXM[E]|XX[X])\b")
    found = []
    for path in FILES:
        try:
            text = (TOP / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if machine.search(line) or later.search(line):
                found.append(f"{path}:{number}: {line.strip()[:120]}")
    assert not found, "\n".join(found)


# ---- headers are contracts: each function that one declares is documented ----


TOKEN = re.compile(
    r"(?P<comment>/\*.*?\*/)|(?P<blank>\n[ \t]*(?=\n))|(?P<statement>[^\s;/][^;]*;)(?P<trailing>[ \t]*/\*.*?\*/)?",
    re.DOTALL,
)
FUNCTION = re.compile(r"(?!typedef\b)[\w\s*]+[\s*](?P<name>\w+) \([^()]*(?:\([^()]*\)[^()]*)*\)[\w\s(),]*;")


def functions(header: str) -> list[tuple[str, bool]]:
    """Name, and whether a comment documents it, of each function that is declared in `header`.

    A comment documents the declarations that follow it up to an empty line, or the one behind which it stands. The
    reference counting of a type (ref, unref, free of one pointer) needs no words."""
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", header, flags=re.MULTILINE)
    text = re.sub(r"^(?:G|GST)_[A-Z_]+\b.*$", "", text, flags=re.MULTILINE)
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    found = []
    documented = False
    for token in TOKEN.finditer(text):
        if token["comment"]:
            documented = True
        elif token["blank"] is not None:
            documented = False
        elif function := FUNCTION.fullmatch(token["statement"]):
            lifetime = function["name"].endswith(("_ref", "_unref", "_free")) and "," not in function[0]
            found.append((function["name"], documented or token["trailing"] is not None or lifetime))
    return found


@pytest.mark.parametrize("path", HEADERS, ids=str)
def test_each_public_function_is_documented(path: Path) -> None:
    missing = [
        f"{path}: {name} has no comment"
        for name, documented in functions((TOP / path).read_text(encoding="utf-8"))
        if not documented
    ]
    assert not missing, "\n".join(missing)


def test_an_undocumented_function_is_found() -> None:
    header = """
/* Head. */
#pragma once
#define LONG(a) \\
  call (a);

G_BEGIN_DECLS

/** cg_good: does
 * it. */
int cg_good (int a,
             int b);
void cg_same_group (void (*callback) (int a), gpointer data);

void cg_bad (int a);
Thing *cg_trailing (void); /* why */

const char *cg_alone (Thing *thing, int i) G_GNUC_PRINTF (1, 2);
void cg_thing_free (Thing *thing);

/* A table. */
typedef struct {
  int (*member) (int a);
} Table;

void cg_last (void);
"""
    assert [name for name, documented in functions(header) if not documented] == ["cg_bad", "cg_alone", "cg_last"]
    assert len(functions(header)) == 7

#!/usr/bin/env python3
"""Adds up what Meson and pytest report, case by case, names what was skipped, and closes with one line of totals.

A test program that speaks TAP counts as its cases, another as one. A program that died, was stopped for its time, or
failed without naming a case counts as one failure more.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

TAP_CASE = re.compile(r"^(not )?ok\b *\d* *-? *([^#]*?)(?:# *(SKIP|TODO)\b *(.*))?$", re.IGNORECASE)


@dataclass
class Totals:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def without_suite(name: str) -> str:
    """Of a test of the log: without its suite and project, which Meson puts before it, "suite - project:name" or,
    from 1.7 on, "project:suite / name"."""
    return re.split(r":| / ", name)[-1].strip()


def count_left_out(tests: Path, log: Path, totals: Totals) -> None:
    """Names the programs that `meson introspect --tests` knows, and that Meson's log does not have."""
    ran = {without_suite(json.loads(line)["name"]) for line in log.read_text(encoding="utf-8").splitlines()}
    for test in json.loads(tests.read_text(encoding="utf-8")):
        if test["name"] not in ran:
            totals.skipped.append(f"{test['name']} (left out; of {' and '.join(test['suite'])})")


def count_meson(path: Path, totals: Totals) -> None:
    """Adds Meson's testlog.json: one JSON object a line, one line a test program."""
    if not path.is_file():
        totals.failed.append(f"{path}: Meson ran no tests")
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        program = json.loads(line)
        name = without_suite(program["name"])
        found = False
        named_failure = False
        for output in (program.get("stdout") or "").splitlines():
            case = TAP_CASE.match(output)  # a nested case is indented and counts with the one around it
            if not case:
                continue
            found = True
            if case[1]:
                named_failure = True
                totals.failed.append(f"{name}: {case[2].strip()}")
            elif case[3]:
                totals.skipped.append(f"{name}: {case[2].strip()} ({case[4]})")
            else:
                totals.passed += 1
        if program["result"] in ("OK", "EXPECTEDFAIL"):
            totals.passed += not found
        elif program["result"] == "SKIP":
            if not found:
                totals.skipped.append(name)
        elif not named_failure:
            totals.failed.append(f"{name}: {program['result'].lower()}, exit status {program['returncode']}")


def count_pytest(path: Path, totals: Totals) -> None:
    """Adds pytest's JUnit file."""
    if not path.is_file():
        totals.failed.append(f"{path}: pytest wrote no report")
        return
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            totals.failed.append(name)
        elif skipped is not None:
            totals.skipped.append(f"{name} ({skipped.get('message')})")
        else:
            totals.passed += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path, help="Meson's testlog.json, pytest's JUnit .xml")
    parser.add_argument("--all-of", type=Path, metavar="FILE", help="what Meson should run: meson introspect --tests")
    parser.add_argument("--strict", action="store_true", help="a file that lacks its packages is a failure")
    parser.add_argument("--needs-pytorch", nargs="*", default=[], metavar="FILE", help="test files left out")
    options = parser.parse_args()

    totals = Totals()
    for report in options.reports:
        (count_pytest if report.suffix == ".xml" else count_meson)(report, totals)
    if options.all_of and options.reports[0].is_file():
        count_left_out(options.all_of, options.reports[0], totals)
    for file in options.needs_pytorch:
        (totals.failed if options.strict else totals.skipped).append(f"{file} (its Python packages are missing)")

    for name in totals.skipped:
        print(f"skipped: {name}")
    for name in totals.failed:
        print(f"failed: {name}")
    print(f"{totals.passed} passed, {len(totals.failed)} failed, {len(totals.skipped)} skipped")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())

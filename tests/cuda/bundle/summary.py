#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What run.sh has measured so far, as one JSON object and as tables: summary.py WORK_FOLDER RESULTS_FOLDER.

Ends with 1 if something is wanting: a part or a test that failed, was skipped or is missing."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from pathlib import Path

NETWORKS = ("small-16", "small-6", "base")

# On an H200: milliseconds for a batch, and how many times faster than the best peer; milliseconds from the last picture
# on the device to the answer; microseconds from a picture on the device to a model frame; the part of the GPU that 64
# live streams take.
BARS = {("small-6", 8): 1.95, ("small-16", 8): 3.0, ("base", 8): 5.7}
RATIO = 1.3
END_TO_END_BARS = {"small-16": 0.65, "small-6": 0.5}
PICTURE_BAR = 15
SHARE_BAR = 0.15

# Relative L2 distance to fp32 beyond which a peer computes something else. fp16 and bf16 stay well under it.
MOST_ERROR = 2e-2


def read(path: Path) -> dict:
    """Without the infinities and NaN that Python writes and no other reader takes."""
    try:
        return json.loads(path.read_text(), parse_constant=lambda _: None)
    except (OSError, ValueError):
        return {}


def read_all(folder: Path, name: str) -> dict:
    """The files NAME-<network>.json as one: their lists one behind the other, and what else they say by network."""
    merged: dict = {}
    for network in NETWORKS:
        for key, value in read(folder / f"{name}-{network}.json").items():
            if isinstance(value, list):
                merged.setdefault(key, []).extend(value)
            else:
                merged.setdefault(key, {})[network] = value
    return merged


def parts(folder: Path) -> list[dict]:
    try:
        lines = (folder / "parts.tsv").read_text().splitlines()
    except OSError:
        return []
    found = [dict(zip(("name", "status", "seconds", "clocks"), line.split("\t"))) for line in lines]
    for part in found:
        if part["status"] != "0" and (said := last_line(folder / f"{part['name']}.log")):
            part["said"] = said
    return found


def last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


# What GLib's test programs say of themselves, in TAP's comments, beside what the tests say.
GLIBS_OWN = re.compile(r"(Start|End) of .* tests|random seed: |slow test |GLib-")

# What compute-sanitizer says in the end, and why there is no more of it.
SANITIZERS = re.compile(r"=========.*(SUMMARY|Error)")

FIGURE = re.compile(r"(?P<what>.+): (?P<found>\S+), bound (?P<bound>\S+)")
CASE = re.compile(r"(?P<failed>not )?ok \d+ *-? *(?P<name>[^#]*?) *(# *SKIP\b *(?P<reason>.*))?")


def tests(folder: Path) -> dict:
    """By file: counts; figures, the worst of those that have one name; and what else the tests say. What a plan
    promises and does not come is missing."""
    found = {}
    for path in sorted(folder.glob("*.tap")):
        lines = path.read_text(errors="replace").splitlines()
        plan = next((int(line[3:]) for line in lines if re.fullmatch(r"1\.\.\d+", line)), None)
        cases = [case for line in lines if (case := CASE.fullmatch(line))]
        bail = [line for line in lines if line.startswith("Bail out!")]
        comments = [line[2:] for line in lines if line.startswith("# ") and not GLIBS_OWN.match(line[2:])]
        found[path.stem] = {
            "passed": sum(not case["failed"] and case["reason"] is None for case in cases),
            "failed": sum(bool(case["failed"]) for case in cases) + len(bail),
            "skipped": sum(not case["failed"] and case["reason"] is not None for case in cases),
            "missing": 1 if plan is None else plan - len(cases),
            "figures": figures(comments),
            "says": [text for text in comments if not is_figure(text)] + bail + list(filter(SANITIZERS.match, lines)),
            "skips": [f"{case['name']}: {case['reason']}" for case in cases if case["reason"] is not None],
        }
    return found


def number(text: str) -> float | None:
    """None: it is none, or none that is finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_figure(comment: str) -> bool:
    figure = FIGURE.fullmatch(comment)
    return figure is not None and number(figure["bound"]) is not None


def figures(comments: list[str]) -> list[dict]:
    """Of the comments "WHAT: FOUND, bound BOUND": the worst of each WHAT and BOUND, and of how many."""
    found: dict = {}
    for figure in map(FIGURE.fullmatch, filter(is_figure, comments)):
        found.setdefault((figure["what"], number(figure["bound"])), []).append(number(figure["found"]))
    return [
        {"what": what, "worst": None if None in values else max(values), "bound": bound, "of": len(values)}
        for (what, bound), values in found.items()
    ]


def is_right(peer: dict) -> bool:
    return peer["error"] is not None and peer["error"] <= MOST_ERROR


def rows(ours: dict, again: dict, peers: dict) -> list[dict]:
    found = []
    for result in ours.get("results", []):
        key = (result["geometry"], result["batch"])

        def same(entries: dict, key=key) -> list[dict]:
            return [entry for entry in entries.get("results", []) if (entry["geometry"], entry["batch"]) == key]

        best = min(filter(is_right, same(peers)), key=lambda peer: peer["median_ms"], default=None)
        second = next((entry["median_ms"] for entry in same(again)), None)
        row = {"geometry": key[0], "batch": key[1], "engine": result["engine"]}
        row |= {"median_ms": result["median_ms"], "again_ms": second, "p99_ms": result["p99_ms"]}
        if key in BARS:
            row["bar_ms"] = BARS[key]
            row["reached"] = result["median_ms"] <= BARS[key]
        if best:
            row |= {"best_peer": best["name"], "peer_ms": best["median_ms"]}
            row["ratio"] = round(best["median_ms"] / max(result["median_ms"], second or 0), 3)
            row["ratio_reached"] = row["ratio"] >= RATIO
        found.append(row)
    return found


def judged(entries: list[dict], member: str, bars: dict) -> list[dict]:
    """The entries, with their bar and whether it was reached where there is one."""
    return [
        entry
        | ({"bar": bar, "reached": entry[member] <= bar} if (bar := bars.get(entry["geometry"])) is not None else {})
        for entry in entries
    ]


def judged_pictures(entries: list[dict]) -> list[dict]:
    """Those that lie in the device's memory have a bar. "device-in-a-row" is of many between two looks at the clock."""
    at_the_bar = [entry for entry in entries if entry["from"].startswith("device")]
    others = [entry for entry in entries if entry not in at_the_bar]
    bars = dict.fromkeys((entry["geometry"] for entry in at_the_bar), PICTURE_BAR)
    return judged(at_the_bar, "median_us", bars) + others


STATES = {"124": "ran out of time", "137": "ran out of time", "left out": "left out, for want of time"}


def complaint(part: dict) -> str:
    """What there is to say of a part that did not end well."""
    status = part["status"]
    state = STATES.get(status, f"exit status {status}" if status.isdigit() else status)
    return ": ".join((part["name"], state, *([part["said"]] if "said" in part else [])))


def wanting(machine: dict, ran: list[dict], tested: dict, peers: dict) -> list[str]:
    """What keeps this from being a run on a GPU in which all was seen. A peer that is not here is none of that, as
    long as there is another."""
    found = [] if machine.get("gpu") else ["no GPU: nvidia-smi shows none"]
    found += [complaint(part) for part in ran if part["status"] != "0"]
    for name, told in tested.items():
        found += [f"{name}: skipped: {skip}" for skip in told["skips"]]
        if told["failed"]:
            found.append(f"{name}: {told['failed']} failed")
        if told["missing"]:
            found.append(f"{name}: {told['missing']} did not come to an end")
    for network in NETWORKS:
        asked = any(part["name"].startswith(f"peers-{network}.") for part in ran)
        if asked and not any(peer["geometry"] == network and is_right(peer) for peer in peers.get("results", [])):
            found.append(f"peers-{network}: no peer's answers are right")
    return found


def summarise(folder: Path) -> dict:
    ours, again, peers = (read_all(folder, name) for name in ("bench", "bench-again", "peers"))
    live = ours.get("live", [])
    machine, ran, tested = read(folder / "machine.json"), parts(folder), tests(folder)
    return {
        "machine": machine,
        "wanting": wanting(machine, ran, tested, peers),
        "parts": ran,
        "tests": tested,
        "errors": ours.get("errors", []),
        "pictures": judged_pictures(ours.get("pictures", [])),
        "end_to_end": judged(ours.get("end_to_end", []), "median_ms", END_TO_END_BARS),
        "live": judged(live, "share", {entry["geometry"]: SHARE_BAR for entry in live}),
        "table": rows(ours, again, peers),
        "peers": peers,
        "bench": ours,
        "bench_again": again,
    }


# ---- as text ----


def line(entry: dict, what: str, value: str) -> str:
    verdict = f"bar {entry['bar']}: {'reached' if entry['reached'] else 'missed'}" if "bar" in entry else ""
    return f"{entry['geometry']:10} {what:44} {value:>10}  {verdict}".rstrip()


def shown(value: object, form: str = "") -> str:
    return "" if value is None else format(value, form)


def tables(summary: dict) -> list[str]:
    out = [f"{summary['machine'].get('gpu') or 'no GPU'}, {summary['machine'].get('date', '')}", ""]
    if summary["wanting"]:
        out += ["Wanting:", *(f"    {text}" for text in summary["wanting"]), ""]
    for part in summary["parts"]:
        out.append(
            f"{part['name']:28} status {part['status']:>8} {part['seconds']:>5} s  {part.get('clocks', '')}".rstrip()
        )
    out.append("")
    for name, told in summary["tests"].items():
        out.append(
            f"{name:28} " + ", ".join(f"{told[what]} {what}" for what in ("passed", "failed", "skipped", "missing"))
        )
        for figure in told["figures"]:
            worst = f"{shown(figure['worst'], '.2e') or 'no number'}, bound {figure['bound']:.0e}"
            out.append(f"    {figure['what']}: {worst}" + (f", worst of {figure['of']}" if figure["of"] > 1 else ""))
        out += [f"    {text}" for text in told["says"] + told["skips"]]
    out += [
        "",
        f"{'network':10} {'batch':>5} {'ms':>9} {'again':>9} {'p99':>9} {'bar':>6} {'ratio':>6}  best peer; engine",
    ]
    for row in summary["table"]:
        out.append(
            f"{row['geometry']:10} {row['batch']:5} {row['median_ms']:9.3f} {shown(row['again_ms'], '.3f'):>9} "
            f"{row['p99_ms']:9.3f} {shown(row.get('bar_ms')):>6} {shown(row.get('ratio')):>6}  "
            f"{row.get('best_peer', '-')}; {row['engine']}"
        )
    for entry in summary["pictures"]:
        what = f"{entry['width']}x{entry['height']} from {entry['from']}, us"
        out.append(line(entry, what, f"{entry['median_us']:.1f}"))
    for entry in summary["end_to_end"]:
        out.append(line(entry, "last picture to answer, ms", f"{entry['median_ms']:.3f}"))
    for entry in summary["live"]:
        out.append(line(entry, f"{entry['streams']} live streams, part of the GPU", f"{entry['share']:.3f}"))
    for error in summary["errors"]:
        out.append(line(error, "relative error of the features", f"{error['relative_error']:.2e}"))
    for network, text in summary["bench"].get("error", {}).items():
        out.append(f"{network:10} ended early: {text}")
    for peer in summary["peers"].get("results", []):
        name = peer["name"] + ("" if is_right(peer) else ", whose answers are WRONG")
        out.append(
            f"{peer['geometry']:10} {peer['batch']:5} {peer['median_ms']:9.3f}  error {shown(peer['error'], '.1e')}  "
            f"{name}, {peer['clock']} clock"
        )
    for peer in summary["peers"].get("missing", []):
        out.append(f"{peer['geometry']:10} {peer['batch']:5} {'-':>9}  {peer['name']}: {peer['reason']}")
    return out


def replace(path: Path, text: str) -> None:
    """At once, so that whoever is interrupted leaves the one or the other."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def main() -> int:
    work, results = map(Path, sys.argv[1:])
    summary = summarise(work)
    replace(results / "summary.json", json.dumps(summary, indent=1) + "\n")
    replace(results / "summary.txt", "\n".join(tables(summary)) + "\n")
    return 1 if summary["wanting"] else 0


if __name__ == "__main__":
    sys.exit(main())

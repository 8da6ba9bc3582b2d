#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One JSON object and one table of what run.sh measured: summary.py RESULTS_FOLDER."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

# On an H200: milliseconds for a batch, and how many times faster than the best peer; milliseconds from the last picture
# on the device to the answer; microseconds from a picture on the device to a model frame; the part of the GPU that 64
# live streams take.
BARS = {("small-6", 8): 1.95, ("small-16", 8): 3.0, ("base", 8): 5.7}
RATIO = 1.3
END_TO_END_BARS = {"small-16": 0.65, "small-6": 0.5}
PICTURE_BAR = 15
SHARE_BAR = 0.15


def read(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def tests(folder: Path) -> dict:
    counts = {}
    for path in sorted(folder.glob("*.tap")):
        lines = path.read_text(errors="replace").splitlines()
        counts[path.stem] = {
            "passed": sum(bool(re.match(r"ok \d+ (?!.*# SKIP)", line)) for line in lines),
            "failed": sum(line.startswith(("not ok", "Bail out!")) for line in lines),
            "skipped": sum("# SKIP" in line for line in lines),
        }
    return counts


def rows(ours: dict, peers: dict) -> list[dict]:
    found = []
    for result in ours.get("results", []):
        key = (result["geometry"], result["batch"])
        rivals = [peer for peer in peers.get("results", []) if (peer["geometry"], peer["batch"]) == key]
        best = min(rivals, key=lambda peer: peer["median_ms"], default=None)
        row = {"geometry": key[0], "batch": key[1], "median_ms": result["median_ms"], "p99_ms": result["p99_ms"]}
        if key in BARS:
            row["bar_ms"] = BARS[key]
            row["reached"] = result["median_ms"] <= BARS[key]
        if best:
            row |= {"best_peer": best["name"], "peer_ms": best["median_ms"]}
            row["ratio"] = round(best["median_ms"] / result["median_ms"], 3)
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


def line(entry: dict, what: str, value: str) -> str:
    verdict = f"bar {entry['bar']}: {'reached' if entry['reached'] else 'missed'}" if "bar" in entry else ""
    return f"{entry['geometry']:10} {what:44} {value:>10}  {verdict}"


def main() -> int:
    folder = Path(sys.argv[1])
    ours, peers = read(folder / "bench.json"), read(folder / "peers.json")
    summary = {
        "machine": read(folder / "machine.json"),
        "tests": tests(folder),
        "errors": ours.get("errors", []),
        "pictures": [
            picture
            for entry in ours.get("pictures", [])
            for picture in judged(
                [entry], "median_us", {entry["geometry"]: PICTURE_BAR} if entry["from"] == "device" else {}
            )
        ],
        "end_to_end": judged(ours.get("end_to_end", []), "median_ms", END_TO_END_BARS),
        "live": judged(ours.get("live", []), "share", {entry["geometry"]: SHARE_BAR for entry in ours.get("live", [])}),
        "table": rows(ours, peers),
        "peers": peers,
        "bench": ours,
        "bench_again": read(folder / "bench-again.json"),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    for name, counts in summary["tests"].items():
        print(f"{name:28} " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    print(f"{'network':10} {'batch':>5} {'ms':>9} {'p99':>9} {'bar':>6} {'ratio':>6}  best peer")
    for row in summary["table"]:
        print(
            f"{row['geometry']:10} {row['batch']:5} {row['median_ms']:9.3f} {row['p99_ms']:9.3f} "
            f"{row.get('bar_ms', ''):>6} {row.get('ratio', ''):>6}  {row.get('best_peer', '')}"
        )
    for entry in summary["pictures"]:
        print(line(entry, f"{entry['width']}x{entry['height']} from {entry['from']}, us", f"{entry['median_us']:.1f}"))
    for entry in summary["end_to_end"]:
        print(line(entry, "last picture to answer, ms", f"{entry['median_ms']:.3f}"))
    for entry in summary["live"]:
        print(line(entry, f"{entry['streams']} live streams, part of the GPU", f"{entry['share']:.3f}"))
    for error in summary["errors"]:
        print(f"{error['geometry']:10} relative error of the features {error['relative_error']:.2e}")
    return 1 if any(counts["failed"] for counts in summary["tests"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a pipeline to its end and prints what rides on the buffers that come to its element "sink".

    read_metas.py "videotestsrc num-buffers=60 ! cityguessr ! fakesink name=sink signal-handoffs=true"

A line for each buffer with a GstCityGuessrMeta: PTS in ns, window-id, city.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


def on_handoff(_sink: Gst.Element, buffer: Gst.Buffer, _pad: Gst.Pad) -> None:
    meta = buffer.get_custom_meta("GstCityGuessrMeta")
    if meta is not None:
        answer = meta.get_structure()
        print(buffer.pts, answer.get_uint64("window-id")[1], answer.get_string("city"))


def main() -> int:
    Gst.init(None)
    pipeline = Gst.parse_launch(sys.argv[1])
    pipeline.get_by_name("sink").connect("handoff", on_handoff)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(60 * Gst.SECOND, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message is None:
        print("no EOS after 60 s", file=sys.stderr)
    elif message.type == Gst.MessageType.ERROR:
        print(*message.parse_error(), file=sys.stderr)
    return 0 if message is not None and message.type == Gst.MessageType.EOS else 1


sys.exit(main())

#!/usr/bin/python3
"""Shows on the terminal where a video was filmed, as "0:00:21 Rome, Lazio, Italy 93 %": one line for each window of
video, with the time of its end. The model is the one that CITYGUESSR_MODEL names.

    show-place.py FILE-OR-URI

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def on_message(bus: Gst.Bus, message: Gst.Message, loop: GLib.MainLoop) -> None:
    if message.type == Gst.MessageType.ELEMENT and message.get_structure().has_name("cityguessr"):
        answer = message.get_structure().get_value
        seconds = (answer("stream-time") + answer("duration")) // Gst.SECOND
        time = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        place = f"{answer('city')}, {answer('state')}, {answer('country')}"
        print(f"{time} {place} {100 * answer('city-confidence'):.0f} %", flush=True)
    elif message.type == Gst.MessageType.ERROR:
        failures.append(message.parse_error()[0].message)
        loop.quit()
    elif message.type == Gst.MessageType.EOS:
        loop.quit()


Gst.init(None)
failures: list[str] = []
try:
    video = sys.argv[1] if len(sys.argv) == 2 else ""
    uri = video if Gst.uri_is_valid(video) else Gst.filename_to_uri(video)
    pipeline = Gst.parse_launch(f"uridecodebin uri={uri} ! videoconvert ! cityguessr ! fakesink")
except GLib.Error as error:
    sys.exit(f"show-place.py: {error.message}")
loop = GLib.MainLoop()
pipeline.bus.add_signal_watch()
pipeline.bus.connect("message", on_message, loop)
pipeline.set_state(Gst.State.PLAYING)
try:
    loop.run()
except KeyboardInterrupt:
    pass
pipeline.set_state(Gst.State.NULL)
if failures:
    sys.exit(f"show-place.py: {failures[0]}")

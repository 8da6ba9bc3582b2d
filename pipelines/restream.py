#!/usr/bin/python3
"""A camera, re-streamed over RTSP with the place written into the picture. Any number of players may watch; the camera
is called when the first one comes.

    restream.py rtsp://camera/stream [PORT]

Then play rtsp://THIS-MACHINE:8554/place. The model is the one that CITYGUESSR_MODEL names.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = """
  uridecodebin uri={uri} !
  videoconvert !
  cityguessroverlay early-results=true !
  videoconvert !
  video/x-raw,format=I420 !
  x264enc tune=zerolatency speed-preset=veryfast key-int-max=50 !
  rtph264pay name=pay0
"""

Gst.init(None)
if len(sys.argv) not in (2, 3):
    sys.exit("usage: restream.py rtsp://camera/stream [PORT]")
server = GstRtspServer.RTSPServer(service=sys.argv[2] if len(sys.argv) == 3 else "8554")
factory = GstRtspServer.RTSPMediaFactory(launch=f"({PIPELINE.format(uri=sys.argv[1])})", shared=True)
server.get_mount_points().add_factory("/place", factory)
if server.attach(None) == 0:
    sys.exit(f"restream.py: port {server.get_service()} cannot be had: is another server running?")
print(f"rtsp://127.0.0.1:{server.get_bound_port()}/place", flush=True)
try:
    GLib.MainLoop().run()
except KeyboardInterrupt:
    pass

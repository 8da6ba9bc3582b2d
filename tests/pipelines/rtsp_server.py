#!/usr/bin/python3
"""A camera for tests: serves a file over RTSP on loopback, each client from its beginning, until it is killed.

    rtsp_server.py FILE PORT [sound]

FILE is H.264, with AAC if "sound" is given. Serves rtsp://127.0.0.1:PORT/camera and prints PORT; 0 takes a free one.

SPDX-License-Identifier: LGPL-2.1-or-later
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
path, port, *sound = sys.argv[1:]
launch = f'filesrc location="{path}" ! qtdemux name=file file.video_0 ! queue ! h264parse'
launch += " ! rtph264pay config-interval=-1 name=pay0 pt=96"
if sound:
    launch += " file.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97"
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
server.get_mount_points().add_factory("/camera", GstRtspServer.RTSPMediaFactory(launch=f"( {launch} )"))
if server.attach(None) == 0:
    sys.exit(f"rtsp_server.py: port {port} cannot be had")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()

#!/bin/sh
# Two cameras in one process: they share one model and one engine. Prints the messages of the bus; each says which
# element it is from, "front" or "rear".
#
#   two-cameras.sh rtsp://front/stream rtsp://rear/stream
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
front=${1:?usage: two-cameras.sh FRONT REAR}
rear=${2:?usage: two-cameras.sh FRONT REAR}

gst-launch-1.0 -m \
  uridecodebin uri="$front" ! \
  videoconvert ! \
  cityguessr name=front early-results=true ! \
  fakesink \
  uridecodebin uri="$rear" ! \
  videoconvert ! \
  cityguessr name=rear early-results=true ! \
  fakesink

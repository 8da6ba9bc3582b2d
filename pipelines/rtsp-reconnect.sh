#!/bin/sh
# An RTSP camera that may go away: answers as JSON lines on the terminal. When the camera is lost, or silent for ten
# seconds, it is called again every two seconds until it is back. Ctrl-C ends it.
#
#   rtsp-reconnect.sh rtsp://camera/stream
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
camera=${1:?usage: rtsp-reconnect.sh rtsp://camera/stream}
trap 'exit 0' INT TERM

while :; do
  gst-launch-1.0 -q \
    rtspsrc location="$camera" protocols=tcp ! \
    application/x-rtp,media=video ! \
    decodebin3 ! \
    watchdog timeout=10000 ! \
    videoconvert ! \
    cityguessr name=guess early-results=true ! \
    fakesink \
    guess.json_src ! \
    filesink location=/dev/stdout append=true buffer-mode=unbuffered || true
  sleep 2
done

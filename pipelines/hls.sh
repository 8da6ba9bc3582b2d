#!/bin/sh
# A stream on the web (an HLS playlist): answers as JSON lines on the terminal.
#
#   hls.sh https://example.org/stream.m3u8
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
playlist=${1:?usage: hls.sh URL}

gst-launch-1.0 -q \
  souphttpsrc location="$playlist" ! \
  hlsdemux ! \
  decodebin ! \
  videoconvert ! \
  cityguessr name=guess ! \
  fakesink \
  guess.json_src ! \
  filesink location=/dev/stdout append=true buffer-mode=unbuffered

#!/bin/sh
# A video file's answers on the terminal, one JSON object a line: for jq, or for a file.
#
#   json-lines.sh drive.mp4
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
video=${1:?usage: json-lines.sh FILE}

gst-launch-1.0 -q \
  filesrc location="$video" ! \
  decodebin ! \
  videoconvert ! \
  cityguessr name=guess ! \
  fakesink \
  guess.json_src ! \
  filesink location=/dev/stdout append=true buffer-mode=unbuffered

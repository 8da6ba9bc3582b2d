#!/bin/sh
# Records an RTSP camera and looks at it at the same time: drive.mkv, and the answers beside it in drive.jsonl. The video
# is recorded as the camera sends it; if this machine is too slow to decode it, the recording does not suffer. Ctrl-C
# ends both files well.
#
#   record-and-analyse.sh rtsp://camera/stream drive.mkv
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
camera=${1:?usage: record-and-analyse.sh rtsp://camera/stream FILE.mkv}
file=${2:?usage: record-and-analyse.sh rtsp://camera/stream FILE.mkv}

gst-launch-1.0 -q -e \
  rtspsrc location="$camera" protocols=tcp ! \
  application/x-rtp,media=video ! \
  parsebin ! \
  tee name=video \
  video. ! \
  queue ! \
  matroskamux ! \
  filesink location="$file" \
  video. ! \
  queue leaky=downstream ! \
  decodebin3 ! \
  videoconvert ! \
  cityguessr name=guess early-results=true ! \
  fakesink \
  guess.json_src ! \
  filesink buffer-mode=unbuffered location="${file%.*}.jsonl"

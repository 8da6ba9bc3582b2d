#!/bin/sh
# An H.264 file into an MP4 with the places as a text track. The video is copied as it is, not encoded again; the sound
# is left out. The first queue holds the video of one window, until its place is known.
#
#   text-track.sh drive.mp4 drive-with-places.mp4
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
video=${1:?usage: text-track.sh FILE OUTPUT}
output=${2:?usage: text-track.sh FILE OUTPUT}

gst-launch-1.0 -q \
  mp4mux name=mux ! \
  filesink location="$output" \
  filesrc location="$video" ! \
  parsebin ! \
  video/x-h264 ! \
  tee name=video \
  video. ! \
  queue max-size-buffers=0 max-size-time=0 max-size-bytes=0 ! \
  mux.video_0 \
  video. ! \
  queue ! \
  decodebin ! \
  videoconvert ! \
  cityguessr name=guess caption-timing=window ! \
  fakesink \
  guess.text_src ! \
  queue ! \
  mux.subtitle_0

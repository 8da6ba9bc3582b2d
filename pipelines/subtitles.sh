#!/bin/sh
# A video file's places as subtitles beside it: drive.mp4 gets drive.srt and drive.vtt, which players find by their name.
#
#   subtitles.sh drive.mp4
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
video=${1:?usage: subtitles.sh FILE}

gst-launch-1.0 -q \
  filesrc location="$video" ! \
  decodebin ! \
  videoconvert ! \
  cityguessr name=guess caption-timing=window ! \
  fakesink \
  guess.text_src ! \
  tee name=captions \
  captions. ! \
  queue ! \
  srtenc ! \
  filesink location="${video%.*}.srt" \
  captions. ! \
  queue ! \
  webvttenc ! \
  filesink location="${video%.*}.vtt"

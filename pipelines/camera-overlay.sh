#!/bin/sh
# A camera, with the place written into the picture: first a guess after some seconds, then better ones.
#
#   camera-overlay.sh            the first camera of this machine
#   SOURCE=videotestsrc SINK=fakesink camera-overlay.sh
#
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck disable=SC2086 # a source may be several words
set -eu

gst-launch-1.0 \
  ${SOURCE:-v4l2src} ! \
  videoconvert ! \
  cityguessroverlay early-results=true ! \
  videoconvert ! \
  ${SINK:-autovideosink}

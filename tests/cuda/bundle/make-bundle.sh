#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# make-bundle.sh BUILD FOLDER: what run.sh needs on a machine with a GPU, at most 60 MB, out of a Meson build folder. The
# libraries of this Debian that our programs need go along; CUDA's, which that machine has, do not.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
out=$2
most=60 # MB

fail ()
{
  printf 'make-bundle.sh: %s\n' "$*" >&2
  exit 1
}

[ -f "$build/cuda/libcityguessr-cuda.so" ] ||
  fail 'the CUDA engine was not built; meson configure says why'
[ ! -e "$out" ] || [ -f "$out/run.sh" ] || fail "$out is there and is no bundle"
rm -rf "$out"
mkdir -p "$out/bin" "$out/lib" "$out/libc" "$out/gst/plugins" "$out/gst/nvcodec" "$out/gst/no-decoder"
out=$(cd "$out" && pwd)

cp "$build/cuda/libcityguessr-cuda.so" "$out/"
cp "$build/tests/cuda/test-cuda-device" "$out/bin/test-device"
cp "$build/tests/cuda/test-cuda-device-engine" "$out/bin/test-engine"
cp "$build/pipelines/cityguessr" "$out/bin/cityguessr"
cp "$here/run.sh" "$here/element.py" "$here/peers-device.py" "$here/nvidia-libraries.py" "$here/summary.py" \
  "$here/../../../pipelines/peers.py" "$here/../../../COPYING" "$out/"

# compute-sanitizer as it comes: NVIDIA's licence, which is in it, lets nobody pass it on, or take it apart.
for wheel in "$here"/../../../.cache/cuda-sanitizer/*.whl; do
  [ ! -f "$wheel" ] || cp "$wheel" "$out/"
done

# GStreamer, and apart from its other plugins the one that needs a driver.
plugins=$(pkg-config --variable=pluginsdir gstreamer-1.0)
cp -L "$(command -v gst-launch-1.0)" "$out/bin/"
for name in coreelements videoconvertscale videotestsrc; do
  cp "$plugins/libgst$name.so" "$out/gst/plugins/"
done
cp "$build/gst-plugin/libgstcityguessr.so" "$out/gst/plugins/"
[ -f "$plugins/libgstnvcodec.so" ] || fail 'there is no nvcodec plugin: install gstreamer1.0-plugins-bad'
cp "$plugins/libgstnvcodec.so" "$out/gst/nvcodec/"
cp -L "$build/tests/cuda/libnvcuvid.so.1" "$out/gst/no-decoder/"

# NVIDIA's own libraries are C++.
{
  ldd "$out"/bin/* "$out"/gst/*/*.so | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 }'
  for name in libstdc++.so.6 libgcc_s.so.1; do
    ${CC:-cc} -print-file-name="$name"
  done
} | sort -u | while IFS= read -r library; do
  case ${library##*/} in
    libcuda.so* | libcublas* | libcudnn* | libcudart* | libnv*) ;;
    ld-linux* | libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so*) cp -L "$library" "$out/libc/" ;;
    *) cp -L "$library" "$out/lib/" ;;
  esac
done
strip --strip-unneeded "$out"/libcityguessr-cuda.so "$out"/bin/* "$out"/lib/* "$out"/gst/*/*
# What only a CUDA library can need is not among what ldd found, because the engine is opened at run time.
for name in libdl.so.2 libpthread.so.0 librt.so.1; do
  cp -L "$(${CC:-cc} -print-file-name="$name")" "$out/libc/"
done

size=$(du -sm "$out" | cut -f 1)
[ "$size" -le $most ] || fail "$out has $size MB: expected at most $most"
printf '%s: %s MB. There: ./run.sh [--quick] [--seconds N] [RESULTS]\n' "$out" "$size"

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The CUDA engine on a machine with a GPU: tests, compute-sanitizer, benchmarks with peers. Needs an NVIDIA driver and a
# Python with PyTorch for CUDA 13, whose cuBLAS and cuDNN the engine takes; no network. Made by `./run gpu-bundle`.
#
#   run.sh [--quick] [RESULTS]     RESULTS: a folder for the results, default ./results
#
# --quick: about three minutes: no full-size comparison with the CPU, no max-autotune, small-16 only.
# PYTHON: the Python to take. CITYGUESSR_NVIDIA_LIBRARIES: folders, joined by colons, instead of that Python's.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
quick=no
if [ "${1:-}" = --quick ]; then
  quick=yes
  shift
fi
results=${1:-$here/results}
mkdir -p "$results" || exit 2
results=$(cd "$results" && pwd)
failed=0

# On standard error: the results of tests and benchmarks go to files.
say ()
{
  printf '== %s\n' "$*" >&2
}

# within SECONDS NAME COMMAND...: NAME.log gets what it says on standard error.
within ()
{
  seconds=$1
  name=$2
  shift 2
  say "$name"
  timeout -k 10 "$seconds" "$@" 2> "$results/$name.log"
  status=$?
  [ $status -eq 0 ] || { say "$name: exit status $status"; tail -n 5 "$results/$name.log"; failed=1; }
  return $status
}

libraries=${CITYGUESSR_NVIDIA_LIBRARIES:-$("$python" "$here/nvidia-libraries.py")}
export CITYGUESSR_CUDA_MODULE="$here/libcityguessr-cuda.so"

# Our binaries are Debian 12's: on a system with an older libc they bring their own, loader included.
loader=
newest=$(getconf GNU_LIBC_VERSION 2> /dev/null | awk '{ print $2 }')
if ! printf '2.36\n%s\n' "${newest:-0}" | sort -V -C; then
  loader=$here/libc/ld-linux-x86-64.so.2
fi
ours_path=$here/lib:$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# ours SECONDS NAME PROGRAM...: one of our programs, with our libraries and NVIDIA's.
ours ()
{
  seconds=$1
  name=$2
  program=$here/bin/$3
  shift 3
  if [ -n "$loader" ]; then
    within "$seconds" "$name" "$loader" --library-path "$here/libc:$ours_path" "$program" "$@"
  else
    within "$seconds" "$name" env LD_LIBRARY_PATH="$ours_path" "$program" "$@"
  fi
}

# ---- the machine ----

query=name,driver_version,memory.total,clocks.max.sm,power.limit
gpu=$(nvidia-smi --query-gpu=$query --format=csv,noheader 2> /dev/null | head -n 1)
printf '{"gpu": "%s", "date": "%s", "kernel": "%s", "libc": "%s", "libraries": "%s"}\n' \
  "$gpu" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(uname -r)" "$newest" "$libraries" > "$results/machine.json"
say "GPU: ${gpu:-nvidia-smi found none}"
say "NVIDIA's libraries: ${libraries:-those of the system}"

# ---- tests ----

export CG_TEST_DEVICE=full
[ $quick = no ] || CG_TEST_DEVICE=normal
export CG_TEST_WINDOWS="${CG_TEST_WINDOWS:-1000}"
ours 1800 test-device test-device > "$results/test-device.tap"
if grep -q '^ok 1 .*# SKIP' "$results/test-device.tap"; then
  say "There is nothing to measure: $(sed -n 's/^ok 1 .*# SKIP *//p' "$results/test-device.tap")"
  exit 1
fi

sanitizer=
for candidate in "$(command -v compute-sanitizer)" /usr/local/cuda*/bin/compute-sanitizer; do
  [ ! -x "$candidate" ] || sanitizer=$candidate
done
if [ -n "$sanitizer" ] && [ -z "$loader" ]; then
  for tool in memcheck racecheck initcheck; do
    within 600 "$tool" env LD_LIBRARY_PATH="$ours_path" CG_TEST_DEVICE=short "$sanitizer" --tool "$tool" \
      --error-exitcode 9 "$here/bin/test-device" -p /cuda/device/parity -p /cuda/device/batches \
      -p /cuda/device/pictures \
      > "$results/$tool.tap"
  done
else
  say 'compute-sanitizer: not here'
fi

# ---- benchmarks: ours, the peers, and ours again, because clocks drift ----

set -- small-16 small-6 base
[ $quick = no ] || set -- small-16
options=
for geometry in "$@"; do
  options="$options --geometry=$geometry"
done
# shellcheck disable=SC2086
ours 900 bench cityguessr bench --engine=cuda --json $options > "$results/bench.json"
if [ $quick = yes ]; then
  within 600 peers "$python" "$here/peers-device.py" --quick --batch 8 "$here/peers.py" "$@" > "$results/peers.json"
else
  within 5400 peers "$python" "$here/peers-device.py" "$here/peers.py" "$@" > "$results/peers.json"
fi
# shellcheck disable=SC2086
ours 900 bench-again cityguessr bench --engine=cuda --json $options > "$results/bench-again.json"

say 'Summary'
"$python" "$here/summary.py" "$results" || failed=1
exit $failed

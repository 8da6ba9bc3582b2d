#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The CUDA engine on a machine with a GPU: benchmarks with peers, tests, compute-sanitizer. Needs an NVIDIA driver and a
# Python with PyTorch for CUDA 13, whose cuBLAS and cuDNN the engine takes; no network. Made by `./run gpu-bundle`.
#
#   run.sh [--quick] [--seconds N] [--only "PART ..."] [RESULTS]
#
# Ends with 0 if every part ran, and no test failed or was skipped; the summary begins with what is wanting to that.
#
# RESULTS: a folder, default ./results. It gets three files, anew after each part, so that whatever ends this leaves what
# was measured: summary.json, summary.txt (the tables), logs.tar.gz (all that was said).
#   --quick      about ten minutes: peers at batch 8 and without max-autotune, 200 windows against the CPU engine, and
#                memcheck alone on more than one test
#   --seconds N  to be done by then, but for some seconds: a part is given what is left, and left out when that is little
#   --only PARTS of: bench peers device engine element bench-again full sanitizer
# PYTHON: the Python to take. CITYGUESSR_NVIDIA_LIBRARIES: folders, joined by colons, instead of that Python's.
set -u
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
quick=no
seconds=14400
parts='bench peers device engine element bench-again full sanitizer'
least=15 # seconds: with less a part is left out

misused ()
{
  printf 'run.sh: %s\nusage: run.sh [--quick] [--seconds N] [--only "PART ..."] [RESULTS]\n' "$1" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --seconds | --only)
      [ $# -ge 2 ] || misused "$1 needs a value"
      if [ "$1" = --only ]; then parts=$2; else seconds=$2; fi
      shift
      ;;
    -*) misused "there is no option $1" ;;
    *) break ;;
  esac
  shift
done
[ $# -le 1 ] || misused 'one folder for results is enough'
case $seconds in
  '' | *[!0-9]*) misused "--seconds $seconds is no number" ;;
esac
for part in $parts; do
  case $part in
    bench | peers | device | engine | element | bench-again | full | sanitizer) ;;
    *) misused "there is no part $part" ;;
  esac
done
command -v "$python" > /dev/null || misused "there is no $python: PYTHON names another"
results=${1:-$here/results}
mkdir -p "$results" || exit 2
results=$(cd "$results" && pwd)
deadline=$(($(date +%s) + seconds))
work=$(mktemp -d) || exit 2
child=

say ()
{
  printf '== %s\n' "$*" >&2
}

# What there is so far, into RESULTS. Returns 1 if something is wanting.
gather ()
{
  verdict=0
  "$python" "$here/summary.py" "$work" "$results" || verdict=1
  tar -C "$work" --exclude=./tools -czf "$results/logs.new" . && mv "$results/logs.new" "$results/logs.tar.gz" || verdict=1
  return $verdict
}

# shellcheck disable=SC2317 # the trap calls it
finish ()
{
  status=$?
  trap - EXIT
  gather || [ "$status" -ne 0 ] || status=1
  cat "$results/summary.txt"
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap '[ -z "$child" ] || kill "$child"; exit 130' INT TERM HUP

clocks ()
{
  nvidia-smi --query-gpu=clocks.sm,power.draw,temperature.gpu --format=csv,noheader 2> /dev/null | head -n 1
}

# part LIMIT NAME COMMAND...: what it prints goes to NAME, what it says on standard error to NAME.log. In parts.tsv: NAME, the
# exit status (124 or 137: it ran out of time; "left out"), seconds, clocks after it.
part ()
{
  limit=$1
  name=$2
  shift 2
  left=$((deadline - $(date +%s)))
  [ $left -ge "$limit" ] || limit=$left
  if [ "$limit" -lt $least ]; then
    say "$name: left out, $left s are left"
    printf '%s\tleft out\t0\t\n' "$name" >> "$work/parts.tsv"
    return 1
  fi
  say "$name"
  begun=$(date +%s)
  # In the background, because a shell hears a signal only after what it waits for in the foreground.
  timeout -k 10 "$limit" "$@" > "$work/$name" 2> "$work/$name.log" &
  child=$!
  wait "$child"
  code=$?
  child=
  printf '%s\t%s\t%s\t%s\n' "$name" $code $(($(date +%s) - begun)) "$(clocks)" >> "$work/parts.tsv"
  if [ $code -ne 0 ]; then
    say "$name: exit status $code"
    tail -n 5 "$work/$name.log" >&2
  fi
  gather
  return $code
}

# absent NAME WHY: a part that can't be had here.
absent ()
{
  say "$1: $2"
  printf '%s\t%s\t0\t\n' "$1" "$2" >> "$work/parts.tsv"
  gather
}

libraries=${CITYGUESSR_NVIDIA_LIBRARIES:-$("$python" "$here/nvidia-libraries.py")}
export CITYGUESSR_CUDA_MODULE="$here/libcityguessr-cuda.so"
export XDG_CACHE_HOME="$work/cache" # what the tuner chose goes into the logs

# Our binaries are Debian 12's: on a system with an older libc they bring their own, loader included.
loader=
newest=$(getconf GNU_LIBC_VERSION 2> /dev/null | awk '{ print $2 }')
if ! printf '2.36\n%s\n' "${newest:-0}" | sort -V -C; then
  loader=$here/libc/ld-linux-x86-64.so.2
fi
ours_path=$here/lib:$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# ours LIMIT NAME PROGRAM...: one of our programs, with our libraries and NVIDIA's.
ours ()
{
  limit=$1
  name=$2
  program=$here/bin/$3
  shift 3
  if [ -n "$loader" ]; then
    part "$limit" "$name" "$loader" --library-path "$here/libc:$ours_path" "$program" "$@"
  else
    part "$limit" "$name" env LD_LIBRARY_PATH="$ours_path" "$program" "$@"
  fi
}

# ---- the machine ----

query=name,driver_version,memory.total,clocks.max.sm,power.limit
gpu=$(nvidia-smi --query-gpu=$query --format=csv,noheader 2> /dev/null | head -n 1)
printf '{"gpu": "%s", "date": "%s", "kernel": "%s", "libc": "%s", "libraries": "%s", "quick": "%s"}\n' \
  "$gpu" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(uname -r)" "$newest" "$libraries" $quick > "$work/machine.json"
say "GPU: ${gpu:-nvidia-smi found none}"
say "NVIDIA's libraries: ${libraries:-those of the system}"

gather

# ---- the parts ----

# A process for each network, so that one that fails takes nothing along.
bench ()
{
  for geometry in small-16 small-6 base; do
    ours 300 "$1-$geometry.json" cityguessr bench --engine=cuda --json "--geometry=$geometry"
  done
}

peers ()
{
  for geometry in small-16 small-6 base; do
    set -- "$here/peers.py" "$work/peers-$geometry.json" "$geometry"
    if [ "$quick" = yes ]; then
      part 200 "peers-$geometry.out" "$python" "$here/peers-device.py" --quick --batch 8 "$@"
    else
      part 2400 "peers-$geometry.out" "$python" "$here/peers-device.py" "$@"
    fi
  done
}

device ()
{
  for test in clients parity batches pictures; do
    ours 400 "device-$test.tap" test-device -p "/cuda/device/$test"
  done
}

element ()
{
  set -- "$here" "$ours_path"
  [ -z "$loader" ] || set -- "$here" "$here/libc:$ours_path" "$loader"
  part 400 element.tap "$python" "$here/element.py" "$@"
}

full ()
{
  windows=1000
  [ "$quick" = no ] || windows=200
  export CG_TEST_DEVICE=full CG_TEST_WINDOWS="${CG_TEST_WINDOWS:-$windows}"
  ours 1800 device-full.tap test-device -p /cuda/device/full
  unset CG_TEST_DEVICE
}

# unpacked: the compute-sanitizer that came along, if there is one.
unpacked ()
{
  for wheel in "$here"/nvidia_cuda_sanitizer_api-*.whl; do
    [ ! -f "$wheel" ] || "$python" -m zipfile -e "$wheel" "$work/tools" >&2
  done
  for candidate in "$work"/tools/nvidia/*/compute-sanitizer/compute-sanitizer; do
    [ ! -f "$candidate" ] || chmod -R u+x "${candidate%/*}"
    [ ! -x "$candidate" ] || printf '%s\n' "$candidate"
  done
}

# Calls that the libraries try and that fail are not ours to answer for.
sanitizer ()
{
  sanitizer=
  for candidate in "$(command -v compute-sanitizer)" /usr/local/cuda*/bin/compute-sanitizer; do
    [ ! -x "$candidate" ] || sanitizer=$candidate
  done
  if [ -z "$sanitizer" ]; then
    sanitizer=$(unpacked)
  fi
  if [ -z "$sanitizer" ]; then
    absent compute-sanitizer 'neither on this machine nor in the bundle'
    return
  elif [ -n "$loader" ]; then
    absent compute-sanitizer "this machine's libc is older than our programs'"
    return
  fi
  for tool in memcheck racecheck initcheck; do
    set -- --tool "$tool" --error-exitcode 9
    [ "$tool" != memcheck ] || set -- "$@" --report-api-errors no
    tests='pictures batches parity'
    [ "$quick" = no ] || [ "$tool" = memcheck ] || tests=batches
    for test in $tests; do
      part 200 "$tool-$test.tap" env LD_LIBRARY_PATH="$ours_path" CG_TEST_DEVICE=short "$sanitizer" "$@" \
        "$here/bin/test-device" -p "/cuda/device/$test"
    done
  done
}

for each in $parts; do
  case $each in
    bench | bench-again) bench "$each" ;;
    peers) peers ;;
    device) device ;;
    engine) ours 400 engine.tap test-engine ;;
    element) element ;;
    full) full ;;
    sanitizer) sanitizer ;;
  esac
done
exit 0 # or what finish makes of it

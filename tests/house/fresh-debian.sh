#!/bin/bash
# A truly fresh machine: a minimal Debian in a folder, a clean copy of the tree in it, and the README's two commands as
# the very first ones. Needs root, debootstrap and a network. Takes the host's way to its package indexes along: apt's
# configuration, pip's, proxies and certificates.
#
#   tests/house/fresh-debian.sh bookworm|trixie [FOLDER [COMMAND...]]
#
# FOLDER (default, or empty: a temporary one) keeps the system and, in FOLDER/logs, what the commands said. A FOLDER that
# holds a bootstrapped system already (FOLDER/base) is used again: each run works on a copy of it.
# COMMAND (default: demo test): commands of ./run, each one argument of this script, with its own arguments in it.
# FRESH_DEBIAN_SECONDS (default 3600): the longest that each step may take.
#
# Exit status 0; 1: a command failed; 77: this machine does not permit it (no root, no mounting, no debootstrap).
#
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
suite=${1:?usage: fresh-debian.sh bookworm|trixie [FOLDER [COMMAND...]]}
tree=$(cd "$(dirname "$0")/../.." && pwd)
folder=${2:-$(mktemp -d)}
shift $(($# < 2 ? $# : 2))
commands=("${@:-demo}")
[ $# -gt 0 ] || commands=(demo test)
seconds=${FRESH_DEBIAN_SECONDS:-3600}
mkdir -p "$folder/logs"
folder=$(cd "$folder" && pwd)
base=$folder/base root=$folder/root

# cannot REASON: a skipped test, not a failed one.
cannot ()
{
  printf 'skipped: %s\n' "$*"
  exit 77
}

# Whatever a command left running in the new system (meson gives each test a session of its own).
# shellcheck disable=SC2317 # unmount () calls it
end_processes ()
{
  local process
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/root" 2> /dev/null)" = "$root" ]; then
      kill -KILL "${process#/proc/}" 2> /dev/null || true
    fi
  done
}

mounts=()
# shellcheck disable=SC2317 # at the end
unmount ()
{
  local i
  end_processes
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
    umount "${mounts[i]}" || umount --lazy "${mounts[i]}"
  done
  mounts=()
}
trap unmount EXIT
trap 'exit 130' INT TERM

# bind FOLDER [read-only]: the host's folder, at the same place in the new system.
bind ()
{
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  mounts+=("$root$1")
  [ "${2:-}" != read-only ] || mount -o remount,bind,ro "$root$1"
}

# Whether a root can be made and entered here; tried where nothing is yet.
permitted ()
{
  local try=$folder/try status=0
  [ "$(id -u)" -eq 0 ] || cannot "making a Debian root takes root's rights"
  command -v debootstrap > /dev/null || cannot 'debootstrap is not installed'
  mkdir -p "$try"
  if mount --bind "$try" "$try" 2> /dev/null; then
    umount "$try"
  else
    status=1
  fi
  rmdir "$try"
  [ $status -eq 0 ] || cannot 'this machine does not permit mounting (a container without CAP_SYS_ADMIN?)'
  chroot / true 2> /dev/null || cannot 'this machine does not permit chroot'
}
permitted

# A bind mount of the same disk is no other file system: removing an old copy would reach into the host.
for old in "$root" "$base.part"; do
  if grep -qF " $old/" /proc/self/mounts; then
    printf '%s has mounts of another run; unmount them first\n' "$old" >&2
    exit 1
  fi
done
if [ ! -d "$base" ]; then
  printf '== debootstrap %s\n' "$suite"
  rm -rf --one-file-system "$base.part"
  timeout "$seconds" debootstrap --variant=minbase --include=ca-certificates "$suite" "$base.part" \
    > "$folder/logs/debootstrap" 2>&1 || {
    tail -n 15 "$folder/logs/debootstrap"
    exit 1
  }
  mv "$base.part" "$base"
fi
rm -rf --one-file-system "$root"
cp -a "$base" "$root"

# The way to the package indexes.
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
[ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -e /etc/hosts ] || cp -L /etc/hosts "$root/etc/hosts"
if [ -d /etc/ssl/certs ]; then
  cp -aL /etc/ssl/certs/. "$root/etc/ssl/certs/" 2> /dev/null || true
fi
[ ! -e /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/pip.conf"
if [ -e "${HOME:-/root}/.config/pip/pip.conf" ]; then
  mkdir -p "$root/root/.config/pip"
  cp -L "${HOME:-/root}/.config/pip/pip.conf" "$root/root/.config/pip/"
fi
environment=(HOME=/root "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8)
while IFS= read -r variable; do
  environment+=("$variable")
done < <(env | grep -E '^(PIP_|[A-Za-z]+_proxy=|[A-Z]+_PROXY=|SSL_CERT_|REQUESTS_CA_BUNDLE=)' || true)

# The tree as a clone has it, and the media beside it.
mkdir -p "$root/src/cityguessr"
(cd "$tree" && { git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [ ! -e "$file" ] || printf '%s\0' "$file"
done; } | tar -c --null -T - ) | tar -x -C "$root/src/cityguessr"

for special in /proc /sys /dev /dev/pts /dev/shm; do
  bind "$special"
done
# Package indexes that are folders of this machine.
for path in $( (env | grep '^PIP_'; cat "$root/etc/pip.conf" "$root/root/.config/pip/pip.conf") 2> /dev/null |
  grep -oE '(^|[ =])(file://)?/[^ ]+' | sed -E 's/^[ =]?(file:\/\/)?//' | sort -u); do
  [ ! -d "$path" ] || bind "$path" read-only
  case $path in
    */simple) [ ! -d "${path%/simple}" ] || bind "${path%/simple}" read-only ;;
  esac
done
if [ -d "$tree/../shared/data" ]; then
  mkdir -p "$root/src/shared/data"
  cp -a "$tree/../shared/data/." "$root/src/shared/data/"
fi

status=0
for command in "${commands[@]}"; do
  printf '== %s: ./run %s\n' "$suite" "$command"
  start=$SECONDS
  log=$folder/logs/${command%% *}
  # Asked to end, and its children with it, before the mounts go.
  timeout --kill-after=30 "$seconds" \
    chroot "$root" /usr/bin/env -i "${environment[@]}" /bin/sh -c "cd /src/cityguessr && exec ./run $command" \
    < /dev/null > "$log" 2>&1 && verdict='done' || verdict="FAILED with status $?"
  [ "$verdict" = 'done' ] || status=1
  tail -n 15 "$log"
  printf '== %s: ./run %s %s after %d s\n' "$suite" "$command" "$verdict" $((SECONDS - start))
done
exit $status

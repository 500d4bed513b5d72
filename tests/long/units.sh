#!/usr/bin/env bash
# The units that are shipped are such as systemd understands.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v systemd-analyze >/dev/null; then
    echo "SKIPPED: there is no systemd-analyze"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The program stands where the unit wants it only on a machine that it was installed on.
sed "s|/usr/bin/herald|$(realpath "$HERALD")|" packaging/herald.service >"$work/herald.service"
cp packaging/herald.socket "$work/"
if ! said=$(systemd-analyze verify --man=no "$work/herald.service" "$work/herald.socket" 2>&1); then
    echo "$said" >&2
    exit 1
fi
# It says what it passes over, too, of units that are not ours.
if grep -E 'herald\.(service|socket)' <<<"$said"; then
    exit 1
fi
echo "ok: systemd understands herald.service and herald.socket"

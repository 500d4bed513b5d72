#!/usr/bin/env bash
# The program as packages have it: built by `packaging/build`, and it does the main job.
set -euo pipefail
cd "$(dirname "$0")/../.."
packaging/build
program=${CARGO_TARGET_DIR:-target}/packages/herald
"$program" demo --once
"$program" check -c config.toml
HERALD=$program tests/long/run killed restarted

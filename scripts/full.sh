#!/usr/bin/env bash
# full.sh: the long campaigns: the steps of check.sh without slices, and with 60 times the time. Takes hours.
#   scripts/full.sh [STEP...]
INGOT_FULL=1 exec "$(dirname "$0")/check.sh" "$@"

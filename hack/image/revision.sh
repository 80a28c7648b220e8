#!/usr/bin/env bash
# Prints the commit of this checkout, with -dirty behind it if a file of it was changed since; nothing where there is no commit.
set -euo pipefail
cd "$(dirname "$0")/../.."

git describe --always --abbrev=40 --dirty --exclude='*' 2> /dev/null || true

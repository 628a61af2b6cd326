#!/bin/sh
# Makes the secrets of fleet.yaml in deploy/compose/secrets, once; existing files stay.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
once() { [ -s "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"; }
once database-password "$(random)"
once database-url "postgres://berth:$(cat secrets/database-password)@postgres/berth?sslmode=disable"
once fleet-secret "$(random)"
once seal-keys "$(date +%Y)a=$(head -c 32 /dev/urandom | base64)"
# The programs in the containers run as the user 65532.
if [ "$(id -u)" -eq 0 ]; then chown 65532:65532 secrets/*; else chmod 0644 secrets/*; fi

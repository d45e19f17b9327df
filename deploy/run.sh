#!/bin/sh
# Starts the server, or what its arguments name, with the secrets that lie as files in the folder SECRETS. The password
# goes beside DATABASE_URL rather than into it.
set -eu
JWT_SECRET=$(cat "$SECRETS/jwt_secret")
PGPASSWORD=$(cat "$SECRETS/postgres_password")
export JWT_SECRET PGPASSWORD
# While the key is being changed: the one before.
if [ -s "$SECRETS/jwt_secret_previous" ]; then
  JWT_SECRET_PREVIOUS=$(cat "$SECRETS/jwt_secret_previous")
  export JWT_SECRET_PREVIOUS
fi
[ $# -gt 0 ] || set -- src/main.ts
exec bun "$@"

#!/bin/sh
# Starts the server in docker-compose.yml, or what its arguments name, with the secrets that its service "secrets" made once.
set -eu
JWT_SECRET=$(cat /secrets/jwt_secret)
DATABASE_URL="postgres://concord:$(cat /secrets/postgres_password)@postgres:5432/concord"
export JWT_SECRET DATABASE_URL
[ $# -gt 0 ] || set -- src/main.ts
exec bun "$@"

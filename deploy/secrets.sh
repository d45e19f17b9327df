#!/bin/sh
# Makes the secrets of an installation in the folder SECRETS, once. They are for every user of the containers that the
# folder is mounted into, because PostgreSQL and the server are not the same user.
set -eu
umask 022
for name in jwt_secret postgres_password; do
  [ -s "$SECRETS/$name" ] && continue
  od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$SECRETS/$name.part"
  mv "$SECRETS/$name.part" "$SECRETS/$name"
done

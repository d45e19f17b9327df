# Sourced by bin/start, bin/test and bin/admin, in the root of the checkout: 'prepare' sets $BUN to a Bun that works
# and installs the packages of bun.lock. Needs a POSIX shell and Node.js >= 20 with npm, or Bun; no root.
# Everything it makes lies in .concord/ and node_modules/; a second run finds it there and does no work.

BUN_VERSION=1.4.5

say() { printf 'concord: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# A sentence for failures that a full disk may have caused; nothing when there is room.
disk_hint() {
  free=$(df -Pm . | awk 'NR == 2 { print $4 }')
  [ "$free" -ge 300 ] || printf ' The disk of this checkout has only %s MB left: free some space and try again.' "$free"
}

# True for Bun $BUN_VERSION and for later ones of the same major version.
bun_fits() {
  found=$("$1" --version 2>/dev/null) || return 1
  printf '%s %s\n' "$found" "$BUN_VERSION" | awk '{
    split($1, have, "[.+-]"); split($2, need, ".")
    if (have[1] != need[1]) exit 1
    if (have[2] + 0 != need[2] + 0) exit !(have[2] + 0 > need[2] + 0)
    exit !(have[3] + 0 >= need[3] + 0)
  }'
}

# Puts the pinned Bun in .concord/bun, through npm or through a Bun that is here in a version that does not fit.
# The folder appears whole or not at all, so that an interrupted download is not taken for a Bun.
fetch_bun() {
  rm -rf .concord/bun .concord/bun.part
  mkdir .concord/bun.part
  printf '{"private":true}\n' >.concord/bun.part/package.json
  if command -v npm >/dev/null 2>&1; then
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null ||
      die "Node.js here is $(node --version 2>/dev/null || echo 'missing'), and Concord needs Node.js 20 or newer (or Bun $BUN_VERSION): update it and try again."
    say "fetching Bun $BUN_VERSION with npm, once (about 40 MB) ..."
    script_runner=node
    (cd .concord/bun.part && npm install --no-audit --no-fund --loglevel=error "bun@$BUN_VERSION" >&2) ||
      die "npm could not fetch Bun; its own message is above. Concord needs the npm registry and about 300 MB of disk for this.$(disk_hint)"
  elif command -v bun >/dev/null 2>&1; then
    say "fetching Bun $BUN_VERSION, as the one here is $(bun --version 2>/dev/null), once (about 40 MB) ..."
    script_runner=bun
    (cd .concord/bun.part && bun add --exact "bun@$BUN_VERSION" >&2) ||
      die "Bun could not fetch its version $BUN_VERSION; its own message is above.$(disk_hint)"
  else
    die "neither npm nor bun is on the PATH. Install Node.js 20 or newer with npm (apt-get install nodejs npm), or Bun $BUN_VERSION, and try again."
  fi
  # The package's postinstall puts the binary for this processor in place, and some installers do not run it.
  if ! bun_fits .concord/bun.part/node_modules/.bin/bun; then
    (cd .concord/bun.part && "$script_runner" node_modules/bun/install.js >&2) || true
  fi
  bun_fits .concord/bun.part/node_modules/.bin/bun ||
    die "Bun $BUN_VERSION was fetched but does not run here: try .concord/bun.part/node_modules/.bin/bun --version to see why."
  mv .concord/bun.part .concord/bun
}

find_bun() {
  if command -v bun >/dev/null 2>&1 && bun_fits bun; then
    BUN=$(command -v bun)
    return
  fi
  bun_fits .concord/bun/node_modules/.bin/bun || fetch_bun
  BUN=$PWD/.concord/bun/node_modules/.bin/bun
}

# The stamp lies in node_modules, so that removing that folder is enough to have it made again. The other file says that
# an installation was cut short: Bun takes a package that is there in part for installed, so all is made anew.
install_packages() {
  stamp=$(cksum <bun.lock)
  if [ "$(cat node_modules/.concord-installed 2>/dev/null)" != "$stamp" ]; then
    say "installing the packages of bun.lock ..."
    [ ! -e node_modules/.concord-installing ] || rm -rf node_modules
    mkdir -p node_modules && : >node_modules/.concord-installing
    "$BUN" install --frozen-lockfile --no-summary >&2 ||
      die "the packages could not be installed; Bun's own message is above. This needs the npm registry and about 500 MB of disk.$(disk_hint)"
    printf '%s\n' "$stamp" >node_modules/.concord-installed
    rm node_modules/.concord-installing
  fi
}

# Makes .concord/, which holds all that the commands make besides node_modules/.
make_state_folder() {
  if [ ! -d .concord ]; then
    { mkdir .concord && chmod 755 .concord; } ||
      die "cannot write in $PWD: run this in a checkout of your own, or free some disk space."
  fi
  # Data of two users in one folder would leave each unable to read the other's.
  owner=$(stat -c %u .concord)
  [ "$owner" = "$(id -u)" ] ||
    die ".concord belongs to $(stat -c %U .concord) and you are $(id -un): run this as $(stat -c %U .concord), or remove .concord (which deletes the documents in it)."
}

# Finds or fetches Bun and the packages. The kernel drops the lock with the process, so that it never goes stale.
prepare() {
  exec 8>.concord/install.lock
  flock -n 8 || { say "another command is installing in this checkout; waiting for it ..."; flock 8; }
  find_bun
  install_packages
  exec 8>&-
}

[ "$(uname -s)" = Linux ] || die "this command runs on Linux. On other systems use 'docker compose up', or run 'bun src/main.ts' with a PostgreSQL and a Redis of yours."
make_state_folder

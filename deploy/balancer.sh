#!/bin/sh
# Starts nginx with deploy/nginx.conf. The environment says where everything is:
#   USERS, DOCUMENTS, COLLABORATION, WORKER  addresses as host:port, with spaces between them
#   LISTEN    address and port, or port alone, that clients connect to
#   STATE     a folder that it may fill and that holds nothing else
#   RESOLVER  address of a DNS server that is asked again and again where the names above point, for containers that are
#             made anew with new addresses (nginx 1.27.3 or newer); without it they are looked up once
#   TRUSTED   addresses or networks of proxies in front of this one, with spaces between them: who the client is and
#             whether it speaks HTTPS is then what these say. Without it clients connect here themselves
set -eu
here=$(dirname "$(readlink -f "$0")")
servers=$STATE/servers
mkdir -p "$servers"

# A node that did not answer is left alone for two seconds, then tried again.
write() {
  for address in $2; do
    printf 'server %s max_fails=1 fail_timeout=2s%s;\n' "$address" "${RESOLVER:+ resolve}"
  done >"$servers/$1"
}
write users "$USERS"
write documents "$DOCUMENTS"
write collaboration "$COLLABORATION"
write worker "$WORKER"
printf 'listen %s;\n' "$LISTEN" >"$servers/listen"
printf '%s' "${RESOLVER:+resolver $RESOLVER valid=5s ipv6=off;}" >"$servers/resolver"

for network in ${TRUSTED:-}; do
  printf 'set_real_ip_from %s;\n' "$network"
done >"$servers/trusted"
for network in ${TRUSTED:-}; do
  printf '%s 1;\n' "$network"
done >"$servers/trusted_networks"

# nginx looks for what a file includes beside that file.
ln -sf "$here/nginx.conf" "$STATE/nginx.conf"
exec nginx -p "$STATE" -c "$STATE/nginx.conf" -e stderr -g 'daemon off;'

#!/bin/sh
# Installs from Debian what `make bench` compares with and is built with. The packages would start
# their servers on ports 80 and 443: they are told not to.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libssl-dev python3 \
	openssl util-linux nginx-light lighttpd lighttpd-mod-mbedtls lighttpd-mod-openssl caddy

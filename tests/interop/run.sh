#!/usr/bin/env bash
# Real senders against mta-stsd on its real port, in a small internet of their own: a network
# namespace without a way out, a name server that has loaded what --print-dns printed, and a private
# CA that is all that the system trusts in there. Root only.
# usage: tests/interop/run.sh [BUILD-DIRECTORY]
set -u -o pipefail

build=$(realpath "${1:-build}")
cd "$(dirname "$0")/../.." || exit 1
name_server=192.0.2.53
limit=300 # seconds; a server that leaves each client waiting would take an hour

# Program and Debian package.
needed='ip iproute2
unshare util-linux
openssl openssl
knotd knot
kzonecheck knot-dnssecutils
named-checkzone bind9-utils
/usr/lib/postfix/sbin/master postfix
mta-sts-daemon postfix-mta-sts-resolver
testmxlookup courier-base
wget wget
curl curl
gnutls-cli gnutls-bin
/usr/bin/pytest-3 python3-pytest'

skip() {
	echo "tests/interop: skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

[ "$(id -u)" = 0 ] || skip "it needs root, for ports below 1024 and namespaces"
missing=$(echo "$needed" | while read -r program package; do
	command -v "$program" >/dev/null || echo "$package"
done | sort -u | tr '\n' ' ')
[ -z "$missing" ] || skip "it needs the packages $missing"
namespaces=(unshare --net --mount --pid --fork --kill-child --mount-proc)
"${namespaces[@]}" true || skip "namespaces cannot be made here"

export MTA_STSD=$build/mta-stsd MTA_STS_CHECK=$build/mta-sts-check
export MTA_STSD_USER=${MTA_STSD_USER:-65534:65534} MTA_STSD_SANDBOX=${MTA_STSD_SANDBOX:-strict}
MTA_STSD_INTEROP=$(mktemp -d /var/tmp/mta-stsd.XXXXXX)
export MTA_STSD_INTEROP
log=$(mktemp)
trap 'rm -rf "$log" "$MTA_STSD_INTEROP"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; exit 1' INT TERM
umask 022 # servers give up root

# All that it writes is in memory, and ends with the namespace, as every process does. What is
# mounted over the system's configuration is seen in there alone.
inside() {
	local work=$MTA_STSD_INTEROP file
	mount -t tmpfs -o mode=755 tmpfs "$work" && mkdir "$work/certs" "$work/etc" || return 1
	echo "nameserver $name_server" >"$work/etc/resolv.conf"
	printf '%s: files\n' passwd group >"$work/etc/nsswitch.conf"
	echo "hosts: files dns" >>"$work/etc/nsswitch.conf"
	echo "127.0.0.1 localhost" >"$work/etc/hosts"
	for file in resolv.conf nsswitch.conf hosts; do
		mount --bind "$work/etc/$file" "/etc/$file" || return 1
	done
	mount --bind "$work/certs" /etc/ssl/certs &&
		mount -t tmpfs tmpfs /var/lib/courier && mkdir /var/lib/courier/sts &&
		chown -R courier:courier /var/lib/courier &&
		ip link set lo up &&
		/usr/bin/python3 -m pytest -q -p no:cacheprovider --tb=short -rs tests/interop
}

# The number before a word in pytest's last line; 0 if it is not there.
count() {
	local number
	number=$(tail -n 1 "$log" | grep -o "[0-9][0-9]* $1" | cut -d' ' -f1)
	echo "${number:-0}"
}

export -f inside
export name_server
# In the background, so that a trap does not wait for its end.
timeout $limit "${namespaces[@]}" bash -c inside </dev/null >"$log" 2>&1 &
wait $!
status=$?
cat "$log"
failed=$(($(count failed) + $(count error)))
[ $status -ne 124 ] || echo "tests/interop: not done after $limit s"
[ $status -eq 0 ] || [ $failed -gt 0 ] || failed=1
echo "$(count passed) passed, $failed failed, $(count skipped) skipped"
[ $failed -eq 0 ]

#!/usr/bin/env bash
# What testssl.sh (Debian's) finds about the program: nothing bad but what expected.txt lists.
# Offline: in a network of its own, in which there is nothing but the server.
# usage: tests/tls/run.sh BUILD-DIRECTORY
set -u

cd "$(dirname "$0")/../.." || exit 1
program=$(cd "$1" && pwd)/mta-stsd || exit 1
host=mta-sts.example.com

skip() {
	echo "tests/tls: skipped: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

if [ -z "${MTA_STSD_TLS_INSIDE:-}" ]; then
	command -v testssl >/dev/null || skip "there is no testssl: apt-get install testssl.sh"
	{ [ "$(id -u)" = 0 ] && unshare --net true; } ||
		skip "a network namespace cannot be made here; it needs root"
	MTA_STSD_TLS_INSIDE=1 exec unshare --net "$0" "$@"
fi

work=$(mktemp -d)
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$work"
ip link set lo up || exit 1
export MTA_STSD_USER="${MTA_STSD_USER:-65534:65534}" MTA_STSD_SANDBOX="${MTA_STSD_SANDBOX:-strict}"
/usr/bin/python3 tests/tls/certificates.py "$work" || exit 1

# start NAME: sets $server, and $port as soon as it serves.
start() {
	local deadline=$((SECONDS + 20))
	"$program" -c "$work/$1.ini" >"$work/$1.log" 2>&1 &
	server=$!
	until grep -qs 'event=ready' "$work/$1.log"; do
		if [ $SECONDS -ge $deadline ] || ! kill -0 "$server" 2>/dev/null; then
			cat "$work/$1.log"
			return 1
		fi
		sleep 0.1
	done
	port=$(sed -n 's/.*event=listening address=127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/$1.log")
}

# scan NAME: all that testssl.sh looks for, but what other clients would negotiate. Without a file
# of findings, or with a server that did not end well, there is nothing to judge: a failure.
scan() {
	start "$1" || return 1
	if ! timeout 600 testssl --quiet --color 0 --warnings off --nodns none --ip 127.0.0.1 \
		--add-ca "$work/root.pem" --jsonfile "$work/$1.json" -p -s -f -P -S -h -U -g \
		"https://$host:$port/.well-known/mta-sts.txt" </dev/null >"$work/$1.out" 2>&1; then
		tail -n 20 "$work/$1.out"
	fi
	kill "$server"
	if ! wait "$server"; then
		cat "$work/$1.log"
		rm -f "$work/$1.json"
	fi
	server=
}

for kind in ecdsa rsa; do
	echo "testssl.sh looks at a server with a certificate of kind $kind; that takes a minute"
	scan $kind
done
/usr/bin/python3 tests/tls/judge.py tests/tls/expected.txt "$work/ecdsa.json" "$work/rsa.json"

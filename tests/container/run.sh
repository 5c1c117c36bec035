#!/usr/bin/env bash
# Builds the Dockerfile and tries its image: what is in it, and that it serves, is found healthy and
# unhealthy, and ends, with a read-only root and without any capability. Run as root; needs buildah,
# podman, runc, curl, openssl, binutils, python3-yaml and, without ROOT, debootstrap. It downloads
# what the Dockerfile installs.
# usage: tests/container/run.sh [ROOT]      ROOT: a Debian 13 made by debootstrap --variant=minbase
# shellcheck disable=SC2317 # most functions are called by check
set -u -o pipefail

if [ $# -gt 1 ] || { [ $# -eq 1 ] && [ ! -d "$1" ]; }; then
	echo "usage: tests/container/run.sh [ROOT]; ROOT is a directory as debootstrap makes it" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "tests/container: skipped: it needs root, to build and run images"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
cd "$(dirname "$0")/../.." || exit 1
size_max=1500000
host=mta-sts.example.com
root=${1:-}
work=$(mktemp -d /var/tmp/mta-stsd-container.XXXXXX)
# Containers see these directories as another user.
chmod 755 "$work"
export TMPDIR=$work
storage=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
passed=0 failed=0

in_store() { timeout 1800 buildah "${storage[@]}" "$@"; }
engine() {
	timeout 120 podman "${storage[@]}" --tmpdir "$work/libpod" --runtime runc --cgroup-manager cgroupfs \
		--events-backend none "$@" 2> >(grep -v 'systemd connection' >&2)
}

finish() {
	jobs -p | xargs -r kill
	engine rm --all --force --time 0
	in_store umount --all
	in_store rm --all
	findmnt --raw --noheadings --output TARGET | grep "^$work/" | sort -r | xargs -r umount -l
	rm -rf --one-file-system "$work"
} >/dev/null 2>&1
trap finish EXIT
trap 'exit 1' INT TERM

# check NAME COMMAND...: its output is shown when it fails.
check() {
	local name=$1
	shift
	if "$@" >"$work/output" 2>&1; then
		passed=$((passed + 1))
		echo "ok: $name"
	else
		failed=$((failed + 1))
		echo "not ok: $name"
		tail -n 40 "$work/output" | sed 's/^/    /'
		return 1
	fi
}

end() {
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
	exit
}

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >"$work/last" 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			cat "$work/last"
			return 1
		fi
		sleep 0.1
	done
}

fails() { ! "$@"; }
# has TEXT FILE: shows the file if not.
has() { grep -F -- "$1" "$2" || fails cat "$2"; }
# ends_well PID: a child ends, and with code 0.
ends_well() { wait_until 20 fails kill -0 "$1" && wait "$1"; }
# says TEXT COMMAND...: the output has the text, whatever the exit code.
says() {
	local text=$1 output
	shift
	output=$("$@" 2>&1)
	echo "$output"
	grep -qF -- "$text" <<<"$output"
}
# gives TEXT COMMAND...: the output is the text.
gives() {
	local text=$1 output
	shift
	output=$("$@") || return 1
	echo "$output"
	[ "$output" = "$text" ]
}

# The base image, from the mirror that this machine's own apt uses.

# mirror NAME: its address with that last part.
mirror() {
	# shellcheck disable=SC2016 # the name is apt's
	apt-get indextargets --no-release-info --format '$(REPO_URI)' | sed 's|/$||' |
		grep "/$1\$" | sort -u | head -n 1
}

# stanza URI SUITES: as in the real image's deb822 file.
stanza() {
	local keyring=/usr/share/keyrings/debian-archive-keyring
	[ ! -e "$base$keyring.pgp" ] || keyring=$keyring.pgp
	[ ! -e "$base$keyring.gpg" ] || keyring=$keyring.gpg
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$keyring"
}

make_base() {
	local container main security
	main=$(mirror debian) || return 1
	security=$(mirror debian-security)
	if [ -z "$root" ]; then
		root=$work/root
		debootstrap --variant=minbase trixie "$root" "$main" || return 1
	fi
	container=$(in_store from scratch) && base=$(in_store mount "$container") || return 1
	tar -C "$root" --one-file-system --exclude='./var/lib/apt/lists/*' \
		--exclude='./var/cache/apt/*' --exclude='./tmp/*' -c . | tar -C "$base" -x || return 1
	rm -f "$base/etc/apt/sources.list"
	mkdir -p "$base/etc/apt/sources.list.d"
	{
		stanza "$main" "trixie trixie-updates"
		[ -z "$security" ] || stanza "$security" trixie-security
	} >"$base/etc/apt/sources.list.d/debian.sources"
	in_store umount "$container" && in_store commit -q --rm "$container" \
		docker.io/library/debian:trixie-slim
}

build() {
	in_store bud --isolation chroot --format docker --pull-never -t mta-stsd .
}

# What is in the image.

image() { in_store inspect --type image --format "$1" mta-stsd; }
in_image() { (cd "$mount" && find . -mindepth 1 "$@"); }
is_small() {
	local size
	size=$(stat -c %s "$mount/mta-stsd")
	echo "$size octets"
	[ "$size" -le "$size_max" ]
}
headers() { readelf -hlWd "$mount/mta-stsd"; }
is_static_pie() {
	headers | tee "$work/headers"
	grep -q 'Type: *DYN' "$work/headers" && fails grep -qE 'INTERP|NEEDED|RPATH|RUNPATH' "$work/headers"
}
is_hardened() {
	headers | tee "$work/headers"
	grep -q GNU_RELRO "$work/headers" && grep -q BIND_NOW "$work/headers" &&
		grep -q 'GNU_STACK .* RW ' "$work/headers" && fails grep -q ' RWE ' "$work/headers"
}

# What is mounted.

# ini FILE MODE LINE...: a policy in that mode, with lines for [server].
ini() {
	local file=$1 mode=$2
	shift 2
	{
		printf '[server]\ncertificate = fullchain.pem\nprivate_key = privkey.pem\n'
		printf 'sandbox = strict\nworkers = 1\n'
		[ $# -eq 0 ] || printf '%s\n' "$@"
		printf '[policy]\ndomain = example.com\nmode = %s\nmx = mail.example.com\n' "$mode"
		printf 'max_age = 1209600\nrua = mailto:tls@example.com\n'
	} >"$etc/new.ini"
	mv "$etc/new.ini" "$etc/$file"
}

make_etc() {
	etc=$work/etc
	certs-example/make-certs.sh "$etc" $host
	chmod 755 "$etc"
	chown 65534:65534 "$etc/privkey.pem"
	ini mta-stsd.ini testing
	# No mapping of ports here, and no limits to raise.
	ini local.ini testing 'listen = 127.0.0.1:0' 'max_connections = 100'
	ini other.ini enforce 'listen = 127.0.0.1:0' 'max_connections = 100'
	printf 'version: STSv1\r\nmode: testing\r\nmx: mail.example.com\r\nmax_age: 1209600\r\n' >"$work/testing"
	sed 's/testing/enforce/' "$work/testing" >"$work/enforce"
}

# fetch PORT EXPECTED [PREFIX...]: over TLS 1.3, the very bytes.
fetch() {
	local port=$1 expected=$2
	shift 2
	"$@" curl -sS --max-time 10 --tlsv1.3 --noproxy '*' --cacert "$etc/ca.pem" -o "$work/body" \
		--resolve "$host:$port:127.0.0.1" "https://$host:$port/.well-known/mta-sts.txt" &&
		cmp "$work/body" "$expected"
}

# One real run by buildah, on this machine's network.

build_run() {
	in_store run --isolation chroot --cap-drop all -v "$etc:/etc/mta-stsd:ro" "$container" -- /mta-stsd "$@"
}
# The server's process: of those that run this image, the one whose parent does not.
server_of_buildah() {
	local exe pid parent
	for exe in /proc/[0-9]*/exe; do
		[[ $(readlink "$exe") = "$work"/buildah*/mta-stsd ]] || continue
		pid=${exe//[!0-9]/}
		parent=$(awk '$1 == "PPid:" {print $2}' "/proc/$pid/status")
		[[ $(readlink "/proc/$parent/exe") = "$work"/buildah*/mta-stsd ]] || echo "$pid"
	done
}
run_by_buildah() {
	local runner log=$work/buildah.log
	container=$(in_store from --pull-never mta-stsd)
	build_run -c /etc/mta-stsd/local.ini >"$log" 2>&1 &
	runner=$!
	check "buildah run: it starts with the sandbox strict" \
		wait_until 20 has 'event=ready' "$log" || end
	port=$(sed -n 's/.*event=listening address=127.0.0.1:\([0-9]*\)$/\1/p' "$log")
	check "buildah run: it serves over TLS 1.3" fetch "$port" "$work/testing"
	check "buildah run: the probe passes" \
		build_run -c /etc/mta-stsd/local.ini --probe "127.0.0.1:$port"
	check "buildah run: the probe of another policy fails" \
		fails build_run -c /etc/mta-stsd/other.ini --probe "127.0.0.1:$port"
	kill -TERM "$(server_of_buildah)"
	check "buildah run: SIGTERM ends it with code 0" ends_well $runner
}

# The image as an engine runs it: as process 1, its root read-only, with no capability, no way to new
# privileges, no network but its own loopback.

locked_up=(--network none --read-only --cap-drop all --security-opt no-new-privileges
	--sysctl net.ipv4.ip_unprivileged_port_start=0 --log-driver k8s-file
	--ulimit nofile=4096:4096 --ulimit nproc=4096:4096)
run_once() { engine run --rm "${locked_up[@]}" -v "$etc:/etc/mta-stsd:ro" mta-stsd "$@"; }
logs_have() { engine logs server >"$work/logs" 2>&1 && has "$1" "$work/logs"; }
process() { engine inspect --format '{{.State.Pid}}' server; }
worker() { pgrep -P "$server"; }
healthy() { engine healthcheck run server; }
# ill TEXT: the check fails, and that is what it said.
ill() { fails healthy && says "$1" engine inspect server; }
# status PID KEY VALUE...: lines of /proc/PID/status.
status() {
	local pid=$1
	shift
	cat "/proc/$pid/status"
	while [ $# -gt 0 ]; do
		[ "$(awk -v key="$1:" '$1 == key {print $NF}' "/proc/$pid/status")" = "$2" ] || return 1
		shift 2
	done
}
is_powerless() {
	local none=0000000000000000
	status "$1" Uid 65534 Gid 65534 CapInh "$none" CapPrm "$none" CapEff "$none" CapBnd "$none" \
		CapAmb "$none" NoNewPrivs 1
}
root_is_read_only() {
	cat "/proc/$server/mountinfo"
	awk '$5 == "/" {options = $6} END {exit options !~ /^ro(,|$)/}' "/proc/$server/mountinfo"
}
is_stopped() { [ "$(awk '$1 == "State:" {print $2}' "/proc/$1/status")" = T ]; }
serves() { fetch 443 "$work/$1" nsenter -t "$server" -n; }

run_by_engine() {
	engine run -d --name server "${locked_up[@]}" -v "$etc:/etc/mta-stsd:ro" mta-stsd >/dev/null
	check "locked up: it starts with the sandbox strict" wait_until 20 logs_have 'event=ready' || end
	server=$(process)
	check "locked up: it is process 1" status "$server" NSpid 1
	check "locked up: the root is read-only" root_is_read_only
	check "locked up: the supervisor has no capability" is_powerless "$server"
	check "locked up: nor has the worker" is_powerless "$(worker)"
	# The engine's own filter is the first.
	check "locked up: the worker has a system call filter of its own" \
		status "$(worker)" Seccomp 2 Seccomp_filters 2
	check "locked up: it serves over TLS 1.3, on port 443" serves testing
	check "locked up: the health check passes" healthy
}

# What the health check must find. A supervisor that is stopped cannot reload.
fall_ill() {
	kill -STOP "$server"
	wait_until 5 is_stopped "$server"
	ini mta-stsd.ini enforce
	check "health check: fails for a policy that is not the INI file's" \
		ill 'is not the policy of the INI file'
	kill -CONT "$server"
	check "health check: passes when the INI file has been reloaded" wait_until 20 healthy
	check "locked up: the new policy is served" serves enforce
	local pid
	pid=$(worker) || return
	kill -STOP "$pid"
	wait_until 5 is_stopped "$pid"
	check "health check: fails for a server that does not answer" ill 'no answer within 5 seconds'
	kill -CONT "$pid"
	check "health check: passes when it answers again" healthy
}

stop() {
	engine stop --time 20 server >/dev/null
	check "locked up: SIGTERM ends process 1 with code 0" \
		gives 0 engine inspect --format '{{.State.ExitCode}}' server
	check "locked up: it has finished by itself" logs_have 'event=stopped'
}

# A certificate that only root can read is what goes wrong first.
refuse() {
	chown root "$etc/privkey.pem"
	check "a key that it may not read is named" \
		says '/etc/mta-stsd/privkey.pem: Permission denied' run_once --check
	check "and it does not start" says 'mta-stsd: not started' run_once
	chown 65534 "$etc/privkey.pem"
}

# The examples.

yaml() {
	/usr/bin/python3 -c 'import sys, yaml
documents = list(yaml.safe_load_all(open(sys.argv[1])))
for step in sys.argv[2:]:
    documents = documents[int(step) if step.isdigit() else step]
print(documents)' "$@"
}
# The INI of the ConfigMap, with its files where the Deployment mounts them.
check_kubernetes() {
	local tls=$work/tls
	mkdir -p "$tls" && cp -p "$etc/fullchain.pem" "$tls/tls.crt" && cp -p "$etc/privkey.pem" "$tls/tls.key" &&
		mkdir -p "$work/map" && yaml config/kubernetes.yaml 0 data mta-stsd.ini >"$work/map/mta-stsd.ini" &&
		engine run --rm "${locked_up[@]}" -v "$work/map:/etc/mta-stsd:ro" -v "$tls:/etc/mta-stsd-tls:ro" \
			mta-stsd --check
}

check "base image" make_base || end
check "the Dockerfile builds" build || end
mount=$(in_store mount "$(in_store from --pull-never mta-stsd)")
check "the image holds one file" gives './mta-stsd' in_image
check "of at most $size_max octets" is_small
echo "    $(stat -c %s "$mount/mta-stsd") octets"
check "the user is a number" gives 65534:65534 image '{{.Docker.Config.User}}'
check "the entry point is the program" gives '[/mta-stsd]' image '{{.Docker.Config.Entrypoint}}'
check "there is a health check" gives '[CMD /mta-stsd --probe]' \
	image '{{.Docker.Config.Healthcheck.Test}}'
check "the program is static-pie" is_static_pie
check "its relocations are read-only, its stack is not executable" is_hardened
make_etc >/dev/null
run_by_buildah
run_by_engine
fall_ill
stop
refuse
check "compose.yaml is well-formed" yaml config/compose.yaml 0 services mta-stsd
check "kubernetes.yaml: its INI file is valid" check_kubernetes
end

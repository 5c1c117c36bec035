#!/usr/bin/env bash
# Boots a Debian 13 with the units installed and has tests/systemd/inside.sh try them there.
# usage: tests/systemd/run.sh [ROOT]
# Root only. ROOT is a root directory as debootstrap makes it, of Debian 12 or later; it stays as it
# is. Without it one is made, from the mirror that this machine's own apt uses.
# Needs the packages systemd-container and, without ROOT, debootstrap.
set -u -o pipefail

if [ $# -gt 1 ] || { [ $# -eq 1 ] && [ ! -d "$1" ]; }; then
	echo "usage: tests/systemd/run.sh [ROOT]; ROOT is a directory as debootstrap makes it" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "tests/systemd: skipped: it needs root, to boot a machine"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
lower=${1:+$(realpath "$1")}
cd "$(dirname "$0")/../.." || exit 1
limit=300 # seconds that the machine may take
packages=(systemd systemd-sysv dbus procps curl ca-certificates openssl
	gcc make libc6-dev libmbedtls-dev libinih-dev
	libgmime-3.0-dev libjansson-dev zlib1g-dev pkgconf postfix)
passed=0 failed=0
name=mta-stsd-test-$$
work=$(mktemp -d "/var/tmp/$name.XXXXXX")
root=$work/root
log=$work/log
machine=

# The machine's own control groups, so that they can be removed.
control_groups() {
	local base
	for base in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
		[ ! -e "$base/cgroup.procs" ] || echo "$base/$name"
	done
}

finish() {
	local group
	if [ -n "$machine" ]; then
		kill -TERM "$machine" 2>/dev/null # timeout passes it on and waits
		wait "$machine"
	fi
	for group in $(control_groups); do
		[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +
	done
	rmdir "/run/systemd/nspawn/propagate/$name" 2>/dev/null
	umount "$root/proc" 2>/dev/null
	umount "$root" 2>/dev/null
	rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

ok() {
	passed=$((passed + 1))
	echo "ok: $1"
}

not_ok() {
	failed=$((failed + 1))
	echo "not ok: $1"
}

# step NAME COMMAND...: a check, or what the checks need; its output is shown when it fails.
step() {
	local what=$1 start=$SECONDS
	shift
	if "$@" >"$log" 2>&1; then
		ok "$what ($((SECONDS - start)) s)"
		grep '^# ' "$log"
		return 0
	else
		not_ok "$what ($((SECONDS - start)) s)"
		tail -n 50 "$log"
		return 1
	fi
}

mirror() {
	sed -n -E 's/^URIs: *([^ ]*debian)\/?$/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]*debian)\/? .*/\2/p' \
		/etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
		head -n 1
}

make_root() {
	local url
	url=$(mirror)
	[ -n "$url" ] || { echo "no Debian mirror in the sources of apt" && return 1; }
	debootstrap --variant=minbase trixie "$lower" "$url"
}

# What is changed lies in a layer above the root directory.
mount_root() {
	mkdir "$root" "$work/upper" "$work/overlay" &&
		mount -t overlay "$name" "$root" \
			-o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/overlay"
}

in_root() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive sh -c "$1"
}

install_packages() {
	mount -t proc proc "$root/proc" &&
		in_root "apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
	local status=$?
	umount "$root/proc"
	return $status
}

install_sources() {
	mkdir "$root/src" &&
		git ls-files -z --cached --others --exclude-standard |
		tar --null --ignore-failed-read -T - -c | tar -x -C "$root/src" &&
		in_root 'cd /src && make && make install'
}

# The service that runs the checks when the machine is up, and switches it off.
install_checks() {
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants" &&
		cat >"$root/etc/systemd/system/checks.service" <<-EOF &&
			[Unit]
			After=dbus.service systemd-user-sessions.service
			SuccessAction=poweroff
			FailureAction=poweroff
			[Service]
			Type=oneshot
			ExecStart=/src/tests/systemd/inside.sh
			StandardOutput=file:/checks.output
			StandardError=inherit
			TimeoutStartSec=$((limit - 60))
		EOF
		ln -s ../checks.service "$root/etc/systemd/system/multi-user.target.wants/" &&
		: >"$root/etc/machine-id"
}

# The workers need the last two calls, which not every version of systemd-nspawn lets through.
boot() {
	local group
	for group in $(control_groups); do
		mkdir "$group" && echo "$BASHPID" >"$group/cgroup.procs"
	done
	exec timeout --kill-after=30 $limit systemd-nspawn --quiet --boot --register=no --keep-unit \
		--machine="$name" --directory="$root" --private-network --link-journal=no \
		--resolv-conf=off --timezone=off --console=pipe \
		--system-call-filter='landlock_create_ruleset landlock_restrict_self'
}

# Adds up what inside.sh found, and shows it.
collect() {
	local output=$root/checks.output
	cat "$output"
	passed=$((passed + $(grep -c '^ok: ' "$output")))
	failed=$((failed + $(grep -c '^not ok: ' "$output")))
	grep -qx 'end of the checks' "$output" || not_ok "the checks ran to their end"
}

run_machine() {
	local start=$SECONDS status
	boot </dev/null >"$log" 2>&1 &
	machine=$!
	wait "$machine"
	status=$?
	machine=
	collect
	if [ $status -eq 0 ]; then
		ok "the machine came up and went down ($((SECONDS - start)) s)"
	else
		not_ok "the machine came up and went down: exit code $status"
		tail -n 50 "$log"
	fi
}

# By this machine's systemd; inside.sh asks the other one.
score_here() {
	systemd-analyze security --no-pager --offline=true --threshold=5 \
		"$root/usr/local/lib/systemd/system/mta-stsd.service" | sed 's/^.*Overall/# Overall/'
}

prepare() {
	if [ -z "$lower" ]; then
		lower=$work/lower
		step "root directory made" make_root || return 1
	fi
	step "root directory mounted" mount_root && step "packages installed" install_packages &&
		step "make install" install_sources && step "checks installed" install_checks
}

if prepare; then
	step "score offline, $(systemctl --version | head -n 1)" score_here
	run_machine
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

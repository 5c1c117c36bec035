#!/usr/bin/env bash
# Tries the units out on the machine that tests/systemd/run.sh boots: start by the first fetch,
# renewal as certbot does it, restart under load, reload, crash, stop. Never run it elsewhere.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

host=mta-sts.example.com
letsencrypt=/etc/letsencrypt
live=$letsencrypt/live/$host
archive=$letsencrypt/archive/$host
service=mta-stsd.service
renewal=mta-stsd-certificate.service
units=/usr/local/lib/systemd/system
scratch=$(mktemp -d)
tls=1.3
case $(mta-stsd --version) in
*"TLS 2."*) tls=1.2 ;;
esac

# check NAME COMMAND...: the command's output is shown if it fails, its lines with "# " always.
check() {
	local what=$1
	shift
	if "$@" >"$scratch/check" 2>&1; then
		echo "ok: $what"
		grep '^# ' "$scratch/check"
		return 0
	else
		echo "not ok: $what"
		tail -n 40 "$scratch/check"
		return 1
	fi
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# Pair number N, with an authority of its own.
make_pair() {
	certs-example/make-certs.sh "/certs/$1" $host >/dev/null
	cp "/certs/$1/fullchain.pem" "$archive/fullchain$1.pem"
	cp "/certs/$1/privkey.pem" "$archive/privkey$1.pem"
}

# switch NAME N: as certbot, which removes the link and makes it anew.
switch() {
	rm -f "$live/$1.pem"
	ln -s "../../archive/$host/$1$2.pem" "$live/$1.pem"
}

# fetch N [ADDRESS]: the policy, if pair N is served.
fetch() {
	curl -sS --max-time 20 --tlsv$tls --cacert "/certs/$1/ca.pem" \
		--resolve "$host:443:${2:-127.0.0.1}" "https://$host/.well-known/mta-sts.txt"
}

serves() {
	fetch "$@" >"$scratch/body" && mta-stsd --print-policy | cmp - "$scratch/body"
}

property() {
	systemctl show --value -p "$1" "${2:-$service}"
}

journal() {
	journalctl --no-pager -q -o cat -u "$@"
}

journal_has() {
	journal "$1" >"$scratch/journal"
	grep -q -- "$2" "$scratch/journal"
}

prepare() {
	mkdir -p "$live" "$archive"
	chmod 700 $letsencrypt/live $letsencrypt/archive
	make_pair 1
	switch privkey 1
	switch fullchain 1
	ln -s "$live" /etc/mta-stsd/certs
	sed -i 's|^\[server\]$|&\nsandbox = strict\nmetrics_file = /run/mta-stsd/metrics.prom|' \
		/etc/mta-stsd/mta-stsd.ini
	mta-stsd --check
}

units_are_correct() {
	systemd-analyze verify --man=no $units/mta-st* 2>&1 | tee "$scratch/verify"
	[ ! -s "$scratch/verify" ]
}

is_idle() {
	[ "$(systemctl is-active mta-stsd.socket)" = active ] &&
		[ "$(systemctl is-active $service)" = inactive ]
}

shows_status() {
	systemctl status --no-pager $service
	systemctl status --no-pager $service |
		grep -E 'Status: "1 of 1 domains served, certificate days left (29|30), [0-9]+ fetches'
}

workers() {
	pgrep -P "$(property MainPID)"
}

# The value of a line of /proc/PID/status.
status_of() {
	awk -v key="$2:" '$1 == key {print $2}' "/proc/$1/status"
}

workers_are_locked_up() {
	local main worker=
	main=$(property MainPID)
	for worker in $(workers); do
		cat "/proc/$worker/status"
		[ "$(status_of "$worker" Uid)" != 0 ] || return 1
		[ "$(status_of "$worker" NoNewPrivs)" = 1 ] || return 1
		[ "$(status_of "$worker" CapBnd)" = 0000000000000000 ] || return 1
		[ "$(status_of "$worker" Seccomp_filters)" -gt "$(status_of "$main" Seccomp_filters)" ] ||
			return 1
	done
	[ -n "$worker" ]
}

has_no_network() {
	[ "$(readlink "/proc/$(property MainPID)/ns/net")" != "$(readlink /proc/1/ns/net)" ]
}

others_can_read_metrics() {
	wait_for 15 [ -e /run/mta-stsd/metrics.prom ]
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		grep '^mta_stsd_build_info' /run/mta-stsd/metrics.prom
}

renew() {
	local main start
	main=$(property MainPID)
	make_pair 2
	start=$SECONDS
	switch privkey 2
	switch fullchain 2
	wait_for 30 serves 2 && [ "$(property MainPID)" != "$main" ] &&
		echo "# served after $((SECONDS - start)) s"
}

# One of the files is late by more than the units wait for.
renew_by_halves() {
	make_pair 3
	switch privkey 3
	wait_for 30 journal_has $renewal CERT_KEY && serves 2 || return 1
	switch fullchain 3
	wait_for 60 serves 3
}

renewal_is_done() {
	[ "$(property ActiveState $renewal)" = inactive ] && [ "$(property Result $renewal)" = success ]
}

# The certificate does not cover the new domain; the old one must not suffer from that.
renew_beside_a_bad_one() {
	cp /etc/mta-stsd/mta-stsd.ini "$scratch/good.ini"
	cat >>/etc/mta-stsd/mta-stsd.ini <<-EOF
		[policy other]
		domain  = example.org
		mode    = testing
		mx      = mail.example.org
		max_age = 1209600
		rua     = mailto:tls-reports@example.net
	EOF
	make_pair 6
	cat /certs/6/fullchain.pem >/etc/mta-stsd/certs/fullchain.pem
	cat /certs/6/privkey.pem >/etc/mta-stsd/certs/privkey.pem
	wait_for 30 fetch 6 && wait_for 15 renewal_is_done && journal_has $renewal CERT_NAME || return 1
	cp "$scratch/good.ini" /etc/mta-stsd/mta-stsd.ini
}

# Other clients have no links: they write files, first new ones, then over the old ones.
renew_files() {
	local number
	for number in 4 5; do
		make_pair $number
		[ $number != 4 ] || { rm /etc/mta-stsd/certs && mkdir /etc/mta-stsd/certs; }
		cat /certs/$number/fullchain.pem >/etc/mta-stsd/certs/fullchain.pem
		cat /certs/$number/privkey.pem >/etc/mta-stsd/certs/privkey.pem
		wait_for 30 serves $number && wait_for 15 renewal_is_done || return 1
	done
}

# Fetches until the file "enough" appears; one line for each.
fetch_on() {
	local start code
	while [ ! -e "$scratch/enough" ]; do
		start=${EPOCHREALTIME/./}
		fetch 5 >/dev/null
		code=$?
		echo "exit code $code after $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
	done
}

has_fetched() {
	[ "$(cat "$scratch"/load? | grep -c '^exit code 0 ')" -ge "$1" ]
}

restart_under_load() {
	local i all good
	rm -f "$scratch/enough"
	for i in 1 2 3; do
		fetch_on >"$scratch/load$i" 2>&1 &
	done
	for i in 1 2 3 4 5; do
		systemctl restart $service || touch "$scratch/failed"
		wait_for 20 has_fetched $((i * 20)) || touch "$scratch/failed"
	done
	touch "$scratch/enough"
	wait
	all=$(cat "$scratch"/load? | wc -l)
	good=$(cat "$scratch"/load? | grep -c '^exit code 0 ')
	echo "# fetches: $all, good: $good, slowest: $(cat "$scratch"/load? |
		sort -t ' ' -k 5 -n | tail -n 1 | cut -d ' ' -f 5-)"
	grep -hv '^exit code 0 ' "$scratch"/load?
	[ ! -e "$scratch/failed" ] && [ "$good" -ge 100 ] && [ "$good" -eq "$all" ]
}

reload() {
	local main
	main=$(property MainPID)
	sed -i 's/^mode .*/mode = enforce/' /etc/mta-stsd/mta-stsd.ini
	systemctl reload $service && wait_for 15 journal_has $service event=reloaded || return 1
	serves 5 && grep -q 'mode: enforce' "$scratch/body" && [ "$(property MainPID)" = "$main" ]
}

survive_a_crash() {
	kill -KILL "$(property MainPID)"
	serves 5 && [ "$(property NRestarts)" -ge 1 ]
}

stop() {
	systemctl stop mta-stsd.socket $service
	systemctl status --no-pager $service
	[ "$(property ActiveState)" = inactive ] && [ "$(property Result)" = success ] &&
		[ "$(property ExecMainStatus)" = 0 ] && ! fetch 5
}

# What the service and the manager say about it: each start and stop, and nothing that is wrong.
journal_is_clean() {
	local starts
	journal $service
	starts=$(journal $service | grep -c 'event=ready')
	[ "$starts" -ge 8 ] && [ "$(journal $service | grep -c 'event=stopped')" -eq "$starts" ] &&
		! journal $service | grep -E 'level=(error|warning)' &&
		! journalctl --no-pager -q -p warning -u $service -u mta-stsd.socket \
			-u mta-stsd-certificate.path | grep .
}

# No name server is to be had here, so the check can test nothing: that is no failure of the unit.
weekly_check() {
	systemctl enable --now mta-sts-check.timer && [ -n "$(property NextElapseUSecRealtime mta-sts-check.timer)" ] &&
		systemctl start mta-sts-check.service &&
		[ "$(property ExecMainStatus mta-sts-check.service)" = 1 ] &&
		journal_has mta-sts-check.service 'not tested *DNS_FAILED'
}

weekly_check_fails() {
	local ini=/etc/mta-stsd/mta-stsd.ini failed
	cp $ini "$scratch/ini"
	echo 'mode = often' >>$ini
	! systemctl start mta-sts-check.service
	failed=$?
	cp "$scratch/ini" $ini
	[ $failed -eq 0 ] && [ "$(property ExecMainStatus mta-sts-check.service)" = 3 ] &&
		journal_has mta-sts-check.service 'error\['
}

# A report of yesterday.
report_json() {
	local day
	day=$(date -u -d yesterday +%F)
	cat <<-EOF
		{"organization-name": "Sender One", "contact-info": "reports@sender.example",
		 "date-range": {"start-datetime": "${day}T00:00:00Z", "end-datetime": "${day}T23:59:59Z"},
		 "report-id": "1@sender.example",
		 "policies": [{"policy": {"policy-type": "sts", "policy-domain": "example.com"},
		 "summary": {"total-successful-session-count": 40, "total-failure-session-count": 2},
		 "failure-details": [{"result-type": "certificate-expired", "failed-session-count": 2,
		 "receiving-mx-hostname": "mail.example.com"}]}]}
	EOF
}

# As a sender mails it.
report_mail() {
	cat <<-EOF
		From: reports@sender.example
		To: tls-reports@$(cat /etc/mailname)
		Subject: Report Domain: example.com Submitter: sender.example Report-ID: <1@sender.example>
		MIME-Version: 1.0
		Content-Type: multipart/report; report-type="tlsrpt"; boundary="part"

		--part
		Content-Type: text/plain

		This is a TLS report.

		--part
		Content-Type: application/tlsrpt+gzip
		Content-Transfer-Encoding: base64

		$(report_json | gzip -c | base64)
		--part--
	EOF
}

# The README's recipe: a mailbox, delivered to a Maildir by a real mail server.
mailbox() {
	useradd --system --create-home --home-dir /var/lib/tls-reports \
		--shell /usr/sbin/nologin tls-reports &&
		echo /var/lib/tls-reports/Maildir/ >/var/lib/tls-reports/.forward &&
		systemctl start postfix && report_mail | sendmail tls-reports &&
		wait_for 30 sh -c 'ls /var/lib/tls-reports/Maildir/new/* 2>/dev/null | grep -q .'
}

weekly_report() {
	systemctl enable --now mta-sts-report.timer &&
		[ -n "$(property NextElapseUSecRealtime mta-sts-report.timer)" ] &&
		systemctl start mta-sts-report.service &&
		[ "$(property ExecMainStatus mta-sts-report.service)" = 1 ] &&
		journal_has mta-sts-report.service 'certificate-expired: 2 sessions' &&
		journal_has mta-sts-report.service '^example.com: '
}

score() {
	systemd-analyze security --no-pager --threshold=5 "$@" | sed 's/^.*Overall/# Overall/'
}

check "certificate and INI file are good" prepare || exit
check "systemd-analyze verify has no complaint" units_are_correct
check "score offline, $(systemctl --version | head -n 1)" score --offline=true $units/$service
check "systemctl enable --now mta-stsd.socket" systemctl enable --now mta-stsd.socket || exit
check "the service waits for the first fetch" is_idle
check "fetch over TLS $tls" serves 1 || exit
[ ! -e /proc/net/if_inet6 ] || check "fetch over IPv6" serves 1 '[::1]'
check "systemctl status shows the state" wait_for 15 shows_status
check "score online" score $service
check "workers are locked up" workers_are_locked_up
check "the service has no network" has_no_network
check "others can read the metrics" others_can_read_metrics
check "a renewed certificate is served by itself" renew
check "the renewal is over" wait_for 15 renewal_is_done
check "half of a renewal is not taken" renew_by_halves
check "that renewal is over too" wait_for 15 renewal_is_done
check "files that are written in place are noticed" renew_files
check "no fetch fails during restarts" restart_under_load
check "systemctl reload" reload
check "systemctl stop" stop
check "the journal shows starts and stops and no error" journal_is_clean
check "systemctl start" systemctl start $service
check "a fetch survives a crash" survive_a_crash
check "a bad certificate does not hold up the renewal of another" renew_beside_a_bad_one
check "systemctl stop after a crash" stop
check "the weekly check runs, and says what it could not test" weekly_check
check "the weekly check fails where it cannot run" weekly_check_fails
check "a report is mailed to a Maildir" mailbox
check "the weekly summary of reports is in the journal" weekly_report
check "score of the weekly summary" score mta-sts-report.service
rm -rf "$scratch"
echo "end of the checks"

#!/bin/sh
# Runs the unit tests and the system tests on the programs in a build directory and counts.
# usage: tests/run.sh BUILD-DIRECTORY
set -u

build=$1
cd "$(dirname "$0")/.." || exit 1
if [ -n "${MTA_STSD_WRAPPER:-}" ] && ! command -v "${MTA_STSD_WRAPPER%% *}" >/dev/null; then
	echo "tests: skipped: there is no ${MTA_STSD_WRAPPER%% *}"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
if [ -z "${MTA_STS_VECTORS:-}" ] && [ -d ../shared/vectors ]; then
	MTA_STS_VECTORS=$(cd ../shared/vectors && pwd)
	export MTA_STS_VECTORS
fi

# The number before a word in pytest's last line; 0 if it is not there.
count() {
	number=$(tail -n 1 "$log" | grep -o "[0-9][0-9]* $1" | cut -d' ' -f1)
	echo "${number:-0}"
}

for program in "$build"/tests/test_*; do
	[ -x "$program" ] || continue
	if [ -n "${MTA_STSD_WRAPPER:-}" ] && [ "$(basename "$program")" = test_sandbox ]; then
		echo "test_sandbox: left out; what it tests cannot be had under $MTA_STSD_WRAPPER"
		continue
	fi
	${MTA_STSD_WRAPPER:-} "$program" >"$log" 2>&1
	status=$?
	good=$(grep -c '^\[       OK \]' "$log")
	# cmocka names a failed test when it fails and again at the end.
	bad=$(grep '^\[  FAILED  \] [A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
	if [ $status -ne 0 ] || [ "$good" -eq 0 ]; then
		[ "$bad" -gt 0 ] || bad=1
		cat "$log"
	fi
	left=$(grep '^\[  SKIPPED \] [A-Za-z_0-9]*$' "$log" | sort -u | wc -l)
	echo "$(basename "$program"): $good passed, $left skipped"
	passed=$((passed + good))
	skipped=$((skipped + left))
	failed=$((failed + bad))
done

MTA_STSD=$(cd "$build" && pwd)/mta-stsd
MTA_STS_CHECK=$(cd "$build" && pwd)/mta-sts-check
MTA_STS_REPORT=$(cd "$build" && pwd)/mta-sts-report
export MTA_STSD MTA_STS_CHECK MTA_STS_REPORT
if [ "$(id -u)" = 0 ]; then
	# Whom the workers of a server that is started as root run as.
	export MTA_STSD_USER="${MTA_STSD_USER:-65534:65534}"
fi
export MTA_STSD_SANDBOX="${MTA_STSD_SANDBOX:-strict}"

# pytest_in PATHS [COMMAND...]: their tests, run by COMMAND, are added to the counts.
pytest_in() {
	paths=$1
	shift
	# shellcheck disable=SC2086 # several, without blanks in them
	"$@" /usr/bin/python3 -m pytest -q -p no:cacheprovider --tb=short -rs $paths >"$log" 2>&1
	status=$?
	cat "$log"
	passed=$((passed + $(count passed)))
	bad=$(($(count failed) + $(count error)))
	if [ $status -ne 0 ] && [ $bad -eq 0 ]; then
		bad=1
	fi
	failed=$((failed + bad))
	skipped=$((skipped + $(count skipped)))
}

report_tests=tests/report
check_tests=tests/check
if [ -n "${MTA_STSD_WRAPPER:-}" ]; then
	# The others add inputs, not code; each starts the program, which takes its second there.
	report_tests="tests/report/test_quirks.py tests/report/test_mail.py"
	# A hundred domains at once, each look a process of its own, would take their time-outs here.
	check_tests="tests/check/test_clean.py"
	echo "of tests/report and tests/check only $report_tests $check_tests under $MTA_STSD_WRAPPER"
fi
pytest_in tests/system
pytest_in "$report_tests"
# Real name servers, policy hosts and mail servers on their real ports, in a network of their own.
if [ "$(id -u)" = 0 ] && unshare --net true; then
	pytest_in "$check_tests" unshare --net sh -c 'ip link set lo up && exec "$@"' sh
else
	echo "tests/check: skipped: a network namespace cannot be made here; it needs root"
	skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

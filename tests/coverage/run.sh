#!/bin/sh
# Which lines the tests run, by clang's counters. They are mapped into a file that outlives the
# process, so the workers, who may open no file and end at once, are counted in their sandbox too.
# usage: tests/coverage/run.sh BUILD-DIRECTORY
set -u

cd "$(dirname "$0")/../.." || exit 1
for tool in clang llvm-profdata llvm-cov; do
	if ! command -v $tool >/dev/null; then
		echo "coverage: skipped: there is no $tool; it needs Debian's packages clang and llvm"
		echo "0 passed, 0 failed, 1 skipped"
		exit 0
	fi
done
flags='-fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation -Wno-unused-command-line-argument'
make -s -j"$(nproc)" BUILD="$1" CC=clang HARDENING_CFLAGS=-fPIE HARDENING_LDFLAGS=-pie CFLAGS="-O1 -g $flags" \
	test-programs || exit 1
build=$(cd "$1" && pwd)
counters=$(mktemp -d)
trap 'rm -rf "$counters"' EXIT
chmod 1777 "$counters" # some tests run the programs as somebody else
export LLVM_PROFILE_FILE="$counters/%p-%m-%c.profraw"

failed=0
# counted LOG COMMAND...: its last line; all of its end if it fails.
counted() {
	log=$build/$1
	shift
	if "$@" >"$log" 2>&1; then
		tail -n 1 "$log"
	else
		tail -n 100 "$log"
		failed=1
	fi
}
counted tests.log tests/run.sh "$build"
counted faults.log env CC=clang "FAULTS_FLAGS=$flags" tests/faults/run.sh "$1" "$1"
unset LLVM_PROFILE_FILE
set -- "$build/mta-stsd"
for program in "$build/mta-sts-check" "$build/mta-sts-report" "$build"/tests/test_*; do
	[ -x "$program" ] && set -- "$@" -object "$program"
done
llvm-profdata merge -o "$build/profile" "$counters"/*.profraw &&
	llvm-cov export -format=lcov -instr-profile="$build/profile" "$@" >"$build/lcov" || exit 1
/usr/bin/python3 tests/coverage/table.py "$build/lcov" "$build/uncovered" || failed=1
[ $failed -eq 0 ]

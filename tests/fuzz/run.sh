#!/bin/sh
# Fuzzes for a time; needs clang with its libFuzzer. What is found stays in BUILD-DIRECTORY/fuzz.
# usage: tests/fuzz/run.sh unpack|tlsrpt SECONDS BUILD-DIRECTORY
set -eu

target=$1
seconds=$2
mkdir -p "$3/fuzz"
build=$(cd "$3/fuzz" && pwd)
cd "$(dirname "$0")/../.."
case $target in
unpack)
	modules='report/unpack.c report/unpack_gzip.c report/mail.c report/input.c text.c memory.c'
	packages='gmime-3.0 zlib'
	options='-max_len=20000'
	;;
tlsrpt)
	modules="report/tlsrpt*.c report/summary*.c report/verdict.c report/output*.c
		text.c memory.c name.c finding.c policy.c policy_parse.c policy_lint.c policy_mx.c rua.c"
	packages='jansson'
	options='-max_len=8192 -dict=tests/fuzz/tlsrpt.dict'
	;;
*)
	echo "neither unpack nor tlsrpt: $target" >&2
	exit 1
	;;
esac

/usr/bin/python3 tests/fuzz/seeds.py "$build/seeds"
mkdir -p "$build/corpus-$target"
# shellcheck disable=SC2046,SC2086 # lists of words
clang -std=c11 -D_GNU_SOURCE -DMTA_STSD_VERSION='"0"' -I. -O1 -g -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all $(pkg-config --cflags $packages) ${CPPFLAGS:-} \
	-o "$build/fuzz_$target" "tests/fuzz/fuzz_$target.c" $modules \
	$(pkg-config --libs $packages) ${LIBS:-}
# GLib's own allocator would hide from the sanitizer what is wrong.
# shellcheck disable=SC2086 # a list of words
G_SLICE=always-malloc "$build/fuzz_$target" $options "-max_total_time=$seconds" -timeout=10 \
	-rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=$build/$target-" \
	"$build/corpus-$target" "$build/seeds/$target"

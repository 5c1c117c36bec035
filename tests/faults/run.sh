#!/bin/bash
# Faults: memory that runs out at each call for it in turn, in programs made of the objects of a build
# with sanitizers; and system calls that fail, in the programs of a build as it is shipped. Counts.
# usage: tests/faults/run.sh BUILD-DIRECTORY SANITIZED-BUILD-DIRECTORY
# FAULTS_STRIDE=1: of the calls of one place each fails, not a sixteenth of what is beyond 64.
set -u

build=$1 sanitized=$2
cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d)
log=$scratch/log
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0 skipped=0
# All memory is counted, so nobody needs to look for it.
export ASAN_OPTIONS=exitcode=99:detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1:exitcode=99

# The number before a word in a last line; 0 if it is not there.
count() {
	number=$(tail -n 1 "$log" | grep -o "[0-9][0-9]* $1" | cut -d' ' -f1)
	echo "${number:-0}"
}

# add STATUS: what a part has counted.
add() {
	passed=$((passed + $(count passed)))
	skipped=$((skipped + $(count skipped)))
	bad=$(($(count failed) + $(count error)))
	if [ "$1" -ne 0 ] && [ $bad -eq 0 ]; then
		bad=1
	fi
	failed=$((failed + bad))
}

# LIBS, CPPFLAGS: of other static libraries, for a build that has them. CC, FAULTS_FLAGS: what made the
# objects, where that was not cc with sanitizers.
flags=${FAULTS_FLAGS:-'-fsanitize=address,undefined -fno-sanitize-recover=all'}
libraries=${LIBS:-'-Wl,-Bstatic -lmbedtls -lmbedx509 -lmbedcrypto -linih -Wl,-Bdynamic'}

# make_program NAME SOURCE OBJECT...
make_program() {
	name=$1 source=$2
	shift 2
	# shellcheck disable=SC2046,SC2086 # lists of words
	${CC:-cc} -std=c11 -D_GNU_SOURCE ${CPPFLAGS:-} -I. -O1 -g -fPIE -pie $flags \
		-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free ${WRAP:-} -o "$scratch/$name" \
		tests/faults/alloc.c "tests/faults/$source" "$@" "$sanitized/modules.a" $libraries -lresolv \
		$(pkg-config --libs gmime-3.0 jansson zlib) || exit 1
}

# without_main DIRECTORY: the objects of a program; its main() is called program_main().
without_main() {
	mkdir -p "$scratch/$1"
	objcopy --redefine-sym main=program_main "$sanitized/$1/main.o" "$scratch/$1/main.o" || exit 1
	find "$sanitized/$1" -maxdepth 1 -name '*.o' ! -name main.o
	echo "$scratch/$1/main.o"
}

new_pair() {
	openssl req -x509 -newkey "$2" -pkeyopt "$3" -nodes -keyout "$scratch/$1.key" -out "$scratch/$1.pem" \
		-days 30 -subj '/CN=a test' -addext basicConstraints=critical,CA:FALSE \
		-addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth \
		-addext subjectAltName=DNS:mta-sts.example.com,DNS:mta-sts.example.net,DNS:mta-sts.example.org \
		2>/dev/null || exit 1
}

# write_ini NAME PAIR PAIR
write_ini() {
	cat >"$scratch/$1.ini" <<-END
		[server]
		listen = 127.0.0.1:0
		$([ "$(id -u)" != 0 ] || echo "user = ${MTA_STSD_USER:-65534:65534}")
		workers = 1
		max_connections = 8
		metrics_file = metrics.prom
		certificate = $2.pem
		private_key = $2.key

		[policy]
		domain = example.com
		domain = example.net
		mode = testing
		mx = mail.example.com
		mx = *.example.net
		max_age = 1209600
		rua = mailto:tls@example.com

		[policy]
		domain = example.org
		mode = enforce
		mx = mail.example.org
		max_age = 2419200
		certificate = $3.pem
		private_key = $3.key
	END
}

# runs_out TITLE PROGRAM ARGUMENT...: a program of this directory, its memory running out.
runs_out() {
	echo "memory that runs out: $1"
	shift
	"$@" >"$log" 2>&1
	status=$?
	if [ $status -ne 0 ]; then
		tail -n 100 "$log"
	else
		grep 'calls for memory' "$log"
	fi
	add $status
}

# shellcheck disable=SC2046 # lists of objects
make_program mta-stsd program.c $(without_main .)
# shellcheck disable=SC2046
make_program mta-sts-check program.c $(without_main check)
# shellcheck disable=SC2046
make_program mta-sts-report program.c $(without_main report)
WRAP=-Wl,--wrap=log_end make_program serving serving.c
new_pair one RSA rsa_keygen_bits:2048
new_pair two RSA rsa_keygen_bits:2048
new_pair ec EC ec_paramgen_curve:P-256
write_ini rsa one two
write_ini ec ec ec
printf 'version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmax_age: 1209600\r\n' >"$scratch/policy.txt"
reports="tests/data/tlsrpt/details.json tests/data/tlsrpt/gzip_two_members.gz tests/data/tlsrpt/mail_gz_name.eml"
rsa=$scratch/rsa.ini
for mode in once always; do
	title=$mode
	runs_out "$title: start" "$scratch/mta-stsd" $mode mta-stsd -c "$rsa"
	runs_out "$title: --check" "$scratch/mta-stsd" $mode mta-stsd -c "$rsa" --check
	runs_out "$title: --check --json" "$scratch/mta-stsd" $mode mta-stsd -c "$rsa" --check --json
	runs_out "$title: --print-dns" "$scratch/mta-stsd" $mode mta-stsd -c "$rsa" --print-dns
	runs_out "$title: --print-policy" "$scratch/mta-stsd" $mode mta-stsd -c "$rsa" --print-policy example.org
	runs_out "$title: --lint" "$scratch/mta-stsd" $mode mta-stsd --lint "$scratch/policy.txt"
	runs_out "$title: mta-sts-check" "$scratch/mta-sts-check" $mode mta-sts-check -c "$rsa" \
		--resolver 127.0.0.1:9 --timeout 1 --ca "$scratch/ec.pem"
	# shellcheck disable=SC2086 # a list of words
	runs_out "$title: mta-sts-report" "$scratch/mta-sts-report" $mode mta-sts-report -c "$rsa" $reports
done
runs_out "a key on P-256: --check" "$scratch/mta-stsd" once mta-stsd -c "$scratch/ec.ini" --check
runs_out "serving and reloading" "$scratch/serving" "$scratch/ec.ini"

export MTA_STSD="$PWD/$build/mta-stsd" MTA_STSD_SANDBOX="${MTA_STSD_SANDBOX:-strict}"
if [ "$(id -u)" = 0 ]; then
	export MTA_STSD_USER="${MTA_STSD_USER:-65534:65534}"
fi
unset ASAN_OPTIONS UBSAN_OPTIONS
set -- /usr/bin/python3 -m pytest -q -p no:cacheprovider --tb=short -rs tests/faults
if [ "$(id -u)" = 0 ] && unshare --net true; then
	# Where nobody else takes a port.
	# shellcheck disable=SC2016 # $@ is for the inner shell
	set -- unshare --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
fi
"$@" >"$log" 2>&1
status=$?
cat "$log"
add $status

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

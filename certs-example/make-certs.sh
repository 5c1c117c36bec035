#!/bin/sh
# Makes a throw-away certification authority and a certificate for trying mta-stsd out. Nobody but
# you trusts it: never serve a real domain with it.
#
# usage: make-certs.sh DIRECTORY HOST...     e.g. make-certs.sh /tmp/certs mta-sts.example.com
set -eu

if [ $# -lt 2 ]; then
	echo "usage: $0 DIRECTORY HOST..." >&2
	exit 2
fi
directory=$1
shift
names=
for host; do
	names="$names${names:+,}DNS:$host"
done
mkdir -p "$directory"
cd "$directory"
umask 077

new_key() {
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
}

new_key ca.key
openssl req -x509 -new -key ca.key -days 30 -subj '/CN=mta-stsd throw-away CA' \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
	-out ca.pem

new_key privkey.pem
openssl req -new -key privkey.pem -subj '/' -out request.pem
cat >extensions <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names
EOF
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
	-extfile extensions -out cert.pem 2>/dev/null
cat cert.pem ca.pem >fullchain.pem
rm -f request.pem extensions cert.pem ca.srl
chmod 644 ca.pem fullchain.pem
echo "$directory: ca.pem, fullchain.pem and privkey.pem for $*"

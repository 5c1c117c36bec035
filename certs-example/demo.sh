#!/bin/sh
# Tries mta-stsd out: a throw-away certificate, an example INI, the server on a local port.
set -eu

cd "$(dirname "$0")/.."
port=${DEMO_PORT:-8443}
demo=build/demo
certs-example/make-certs.sh "$demo" mta-sts.example.com >/dev/null
cat >"$demo/demo.ini" <<EOF
[server]
listen      = 127.0.0.1:$port
certificate = fullchain.pem
private_key = privkey.pem

[policy]
domain  = example.com
mode    = testing
mx      = mail.example.com
mx      = *.example.net
max_age = 1209600
rua     = mailto:tls-reports@example.net
EOF
if [ "$(id -u)" = 0 ]; then
	# Started as root it must be told whom to run as: here the user 65534, nobody.
	sed -i 's/^\[server\]$/[server]\nuser        = 65534:65534/' "$demo/demo.ini"
fi

echo "INI file: $demo/demo.ini. The DNS records that go with it:"
echo
./mta-stsd -c "$demo/demo.ini" --print-dns
echo
echo "Fetch the policy from another terminal:"
echo
echo "curl -sS --cacert $PWD/$demo/ca.pem --resolve mta-sts.example.com:$port:127.0.0.1 https://mta-sts.example.com:$port/.well-known/mta-sts.txt"
echo
echo "Serving until Ctrl-C."
exec ./mta-stsd -c "$demo/demo.ini"

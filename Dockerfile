# One static program and nothing else. Mbed TLS is compiled from Debian's source package with just
# the parts that are used, so security updates come by building again: docker build --pull --no-cache
#
#   docker build -t mta-stsd .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -p 443:443 \
#       -v /etc/mta-stsd:/etc/mta-stsd:ro mta-stsd
#
# The directory holds mta-stsd.ini, the certificate and the key, no links that lead out of it; user
# 65534 must be able to read them. Mount the directory, not the files: a renewed file is a new one.
# Port 443 needs no capability where net.ipv4.ip_unprivileged_port_start is 0, as it is in Docker's
# own networks; on the host's network, or in Kubernetes, set listen = [::]:8443.
FROM debian:trixie-slim AS build
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources && \
    apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        dpkg-dev gcc libc6-dev libinih-dev make
WORKDIR /src
RUN apt-get source mbedtls && mv mbedtls-*/ mbedtls
COPY Makefile *.c *.h ./
COPY config/mbedtls_* config/
RUN make -j "$(nproc)" STATIC=1 MBEDTLS_SRC=mbedtls build/mta-stsd

FROM scratch
COPY --from=build /src/build/mta-stsd /mta-stsd
USER 65534:65534
EXPOSE 443
# Fetches the policy over TLS as senders do, and compares it with the INI file's.
HEALTHCHECK --interval=60s --timeout=8s --start-period=10s CMD ["/mta-stsd", "--probe"]
ENTRYPOINT ["/mta-stsd"]

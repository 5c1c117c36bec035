/* SPDX-License-Identifier: MIT
 * Command line of the load client. It prints a line of name=value for the driver to read; what went
 * wrong goes to standard error. It is for `make bench` alone and is never installed.
 */
#include "load.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX 16384
#define SECONDS_MAX 600 /* nothing here goes on for ever */

static const char usage[] =
    "usage: load MODE -p PORT [options]\n"
    "  fetch      fetch the policy          handshake  a handshake and the end\n"
    "  hold       idle TLS connections      slow       ClientHellos of one octet a second\n"
    "  garbage    what is no ClientHello    version    of OpenSSL\n"
    "options: -H HOST  -b FILE (the body)  -t THREADS  -n COUNT  -d SECONDS  -r PER_SECOND\n"
    "         -v 1.2|1.3  -g GROUPS  -s FIRST_SOURCE  -S SOURCES\n";

static bool read_body(struct load *load, const char *path)
{
    FILE *file = fopen(path, "rb");

    load->body = file == NULL ? NULL : malloc(BODY_MAX);
    if (load->body != NULL)
        load->body_len = fread(load->body, 1, BODY_MAX, file);
    if (file != NULL)
        fclose(file);
    return load->body_len > 0;
}

static bool read_source(struct load *load, const char *text)
{
    struct in_addr address;
    bool good = inet_pton(AF_INET, text, &address) == 1;

    load->source = good ? ntohl(address.s_addr) : 0;
    return good && load->source >> 24 == 127;
}

static bool set(struct load *load, int option, char *value, const char **version,
                const char **groups)
{
    switch (option) {
    case 'p':
        load->port = (uint16_t)strtoul(value, NULL, 10);
        return load->port != 0;
    case 'H':
        load->host = value;
        return true;
    case 'b':
        return read_body(load, value);
    case 't':
        load->threads = strtoul(value, NULL, 10);
        return load->threads > 0;
    case 'n':
        load->count = strtoul(value, NULL, 10);
        return load->count > 0;
    case 'd':
        load->seconds = strtod(value, NULL);
        return load->seconds > 0 && load->seconds <= SECONDS_MAX;
    case 'r':
        load->rate = strtod(value, NULL);
        return load->rate >= 1;
    case 'v':
        *version = value;
        return true;
    case 'g':
        *groups = value;
        return true;
    case 's':
        return read_source(load, value);
    case 'S':
        load->source_count = strtoul(value, NULL, 10);
        return load->source_count > 0;
    default:
        return false;
    }
}

static int run_mode(struct load *load, const char *mode)
{
    if (strcmp(mode, "fetch") == 0)
        return load_run(load, true);
    if (strcmp(mode, "handshake") == 0)
        return load_run(load, false);
    if (strcmp(mode, "hold") == 0 && load->count > 0)
        return load_hold(load);
    if (strcmp(mode, "slow") == 0 && load->count > 0)
        return load_slow(load);
    if (strcmp(mode, "garbage") == 0 && load->rate > 0)
        return load_garbage(load);
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct load load = {.host = "mta-sts.example.com",
                        .source = INADDR_LOOPBACK,
                        .source_count = 1,
                        .threads = 1,
                        .seconds = SECONDS_MAX};
    const char *version = NULL, *groups = NULL;
    int option;
    bool good = true;

    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        puts(OpenSSL_version(OPENSSL_VERSION));
        return 0;
    }
    while (good && (option = getopt(argc, argv, "p:H:b:t:n:d:r:v:g:s:S:")) != -1)
        good = set(&load, option, optarg, &version, &groups);
    if (!good || load.port == 0 || optind + 1 != argc) {
        fputs(usage, stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN); /* a server that hangs up is a failure to count, not ours */
    load.tls = load_tls_new(version, groups);
    if (load.tls == NULL) {
        fputs("load: OpenSSL does not take the version or the groups\n", stderr);
        return 2;
    }
    int code = run_mode(&load, argv[optind]);
    SSL_CTX_free(load.tls);
    free(load.body);
    return code;
}

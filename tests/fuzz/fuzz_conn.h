/* SPDX-License-Identifier: MIT
 * The parts of the whole-connection fuzzer: fuzz_conn.c reads the input and runs the connections,
 * fuzz_conn_wire.c is the world around a connection, fuzz_conn_check.c says what must hold.
 */
#ifndef FUZZ_CONN_H
#define FUZZ_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "fuzz.h"

#define WIRE_SERVER_FD 1000001
#define WIRE_CLIENT_FD 1000002
#define WIRE_SIZE (1u << 18)
#define WIRE_NOW 1798761600 /* what time() says: 2027-01-01, when the certificate is in date */

/* Whose system calls these are: on its turn each side has random numbers of its own, and the server
 * the clock and the log. */
enum wire_side {
    WIRE_OUTSIDE,
    WIRE_SERVER,
    WIRE_CLIENT,
};

enum wire_end {
    WIRE_CLOSED, /* when it has sent everything the client closes */
    WIRE_RESET,
    WIRE_SILENT, /* it stays, until a deadline passes */
    WIRE_END_COUNT,
};

/* How the server's system calls go. */
struct wire_script {
    size_t receive_max, send_max;       /* octets in one call; 0: all there is */
    unsigned receive_pause, send_pause; /* each so many calls one says EAGAIN; 0: none */
    size_t send_limit;                  /* after so many octets sending fails; 0: never */
    unsigned clock_step;                /* milliseconds that each look at the clock takes */
    enum wire_end end;
};

struct wire_stream {
    uint8_t bytes[WIRE_SIZE];
    size_t len, taken;
};

struct wire {
    struct wire_script script;
    enum wire_side side;
    struct wire_stream to_server, to_client;
    bool ended;      /* the client will send nothing more */
    bool was_cut;    /* what the server sends has not been taken whole by one call at least */
    bool shut;       /* the server has sent FIN */
    unsigned closes; /* of the server's socket */
    int64_t now;     /* monotonic milliseconds */
    unsigned receives, sends;
    enum {
        WIRE_MOVED,
        WIRE_TOLD_TO_READ,
        WIRE_TOLD_TO_WRITE,
    } last; /* the server's last call, and what it was told to wait for */
    uint64_t random[WIRE_CLIENT + 1];
    char log[4096];
    size_t log_len;
    unsigned fetches, handshake_failures, events; /* counted in the metrics */
};

extern struct wire wire;

/* An input begins with so many octets about the connection; the rest is what its client sends or,
 * with INPUT_LIVE, what it does. */
enum input {
    INPUT_MODE,
    INPUT_RECEIVE_MAX,
    INPUT_RECEIVE_PAUSE,
    INPUT_SEND_MAX,
    INPUT_SEND_PAUSE,
    INPUT_SEND_LIMIT, /* times 16 */
    INPUT_CLOCK_STEP, /* times 16 */
    INPUT_END,
    INPUT_HEADER,
};

/* Bits of the mode. */
#define INPUT_LIVE 1
#define INPUT_OLD 2        /* the client speaks TLS 1.2 only */
#define INPUT_NAME_SHIFT 2 /* two bits for what SNI says, and two for what ALPN does */
#define INPUT_ALPN_SHIFT 4

/* What a live client does: the first octet of each piece of the input, modulo their number; the
 * second one is a length. */
enum command {
    COMMAND_DATA, /* so many octets of the input follow, to be sent as application data */
    COMMAND_RAW,  /* or as they are */
    COMMAND_CLOSE_NOTIFY,
    COMMAND_SERVER_TURN,
    COMMAND_COUNT,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
/* Writes inputs to begin with, recorded from clients of many kinds, to files of a directory; what
 * each of them is to come to is asserted. */
void seeds_write(const char *directory);

void wire_start(const struct wire_script *script);
void wire_feed(const uint8_t *bytes, size_t len);

/* The log of a connection that is over: exactly one line, of the grammar, without its "ms". */
void check_log(char *log);
/* The counters that have moved are those that the line is about. */
void check_counts(const char *line);
/* What the server has sent is TLS records, whole ones unless sending was disturbed. */
void check_records(void);
/* What a client has deciphered is nothing or one response. */
void check_response(const char *bytes, size_t len, bool may_be_head, const char *policy,
                    size_t policy_len);

#endif

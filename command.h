/* SPDX-License-Identifier: MIT
 * What mta-stsd can be asked to do. Each command returns the exit code of the program.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>

#include "config.h"
#include "sandbox.h"

#define EXIT_FINE 0
#define EXIT_ERROR 1
#define EXIT_USAGE 2

enum command_text {
    COMMAND_TEXT_POLICY,
    COMMAND_TEXT_STS,
    COMMAND_TEXT_TLSRPT,
};

struct options {
    const char *config;  /* path of the INI file */
    const char *operand; /* a domain, a file or an address; NULL if none is given */
    enum command_text as;
    unsigned ttl; /* seconds */
    bool json;
};

int command_serve(const struct options *options);
int command_check(const struct options *options);
int command_print_policy(const struct options *options);
int command_print_dns(const struct options *options);
int command_lint(const struct options *options);
int command_probe(const struct options *options);

/* Looks up the user that the INI names, if it names one; false after saying what is wrong with it.
 */
bool command_find_user(const struct config *config, struct sandbox *sandbox,
                       struct finding_list *findings);

#endif

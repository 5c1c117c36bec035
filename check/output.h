/* SPDX-License-Identifier: MIT
 * Printing what mta-sts-check found: for people or as JSON.
 */
#ifndef CHECK_OUTPUT_H
#define CHECK_OUTPUT_H

#include "checks.h"

struct output {
    bool json, quiet, colour;
    size_t domains, errors, warnings, untested; /* so far */
};

void output_begin(struct output *output);
void output_domain(struct output *output, const struct checks *checks);
void output_end(const struct output *output);

#endif

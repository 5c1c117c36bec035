/* SPDX-License-Identifier: MIT
 * When to load everything anew, and whether what was loaded may be served.
 */
#ifndef RELOAD_H
#define RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "finding.h"
#include "snapshot.h"

struct reload {
    const char *path;          /* of the INI file */
    size_t listener_count;     /* for which workers need descriptors */
    struct snapshot *unusable; /* what was loaded last, if it has no domain that can be served */
    unsigned mismatches;       /* looks in a row at a pair that does not match */
    uint64_t seen, tried;      /* states on disk: at the last look; when it was loaded last */
};

enum reload_state {
    RELOAD_CURRENT, /* what is served is what is on disk */
    RELOAD_WAIT,    /* nothing new, or it is being written */
    RELOAD_CHANGED, /* something has changed and been left alone since the last look */
};
/* Looks at the files on disk. */
enum reload_state reload_look(struct reload *reload, const struct snapshot *current);

/* Loads everything anew. NULL with the reasons among the findings if it cannot be served; *again if
 * that may be because only one file of a pair has been written yet. */
struct snapshot *reload_load(struct reload *reload, const struct snapshot *current,
                             struct finding_list *findings, bool *again);
/* A refusal is no longer of interest, or the end has come. */
void reload_forget(struct reload *reload);

#endif

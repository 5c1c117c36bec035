/* SPDX-License-Identifier: MIT
 * Privileges: the user to become, resource limits, capabilities, Landlock, seccomp.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config.h"

struct sandbox {
    enum config_sandbox mode;
    bool change_user; /* to uid and gid, with no other groups */
    uid_t uid;
    gid_t gid;
    size_t descriptors; /* that the process may have open at once */
};

/* Reads "name", looked up in /etc/passwd, or "uid:gid". NULL if it worked, else why not, as the end
 * of a sentence. Root is refused. */
const char *sandbox_find_user(const char *user, struct sandbox *sandbox);

/* Names the parts that this kernel or machine lacks, separated by blanks; empty if it has all. */
void sandbox_missing(char *names, size_t size);

/* True if Landlock or seccomp is missing as a whole: then CONFIG_SANDBOX_STRICT must not start.
 * What an older Landlock leaves open, seccomp closes. */
bool sandbox_lacks_layer(void);

/* Locks this process up for good, in this order: limits, dumpable, user, capabilities,
 * no_new_privs, Landlock, seccomp. Afterwards it can serve sockets that are open already and little
 * else. NULL if it worked, else the name of the part that failed, with errno; the process must then
 * end. With CONFIG_SANDBOX_AUTO the parts that sandbox_missing names are passed over; with
 * CONFIG_SANDBOX_OFF only the user is changed. */
const char *sandbox_enter(const struct sandbox *sandbox);

#endif

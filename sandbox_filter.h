/* SPDX-License-Identifier: MIT
 * The system calls that a locked-up worker may make. Part of sandbox.c.
 */
#ifndef SANDBOX_FILTER_H
#define SANDBOX_FILTER_H

#include <stdbool.h>

/* False if this kernel or this architecture has no such filter. */
bool sandbox_filter_available(void);
/* From now on any other system call kills the process. Needs no_new_privs. False with errno. */
bool sandbox_filter_enter(void);

#endif

/* SPDX-License-Identifier: MIT
 * Locks a worker up before it sees a client's first byte. Whoever takes a worker over by a bug in
 * the TLS library or in our own code can then read the memory of that worker and talk to clients,
 * but not open a file, make a connection, start a program or become anybody else.
 */
#include "sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox_filter.h"
#include "text.h"

/* Landlock as of ABI 6, whatever the kernel headers know (linux/landlock.h). */
struct landlock_ruleset {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
#define LANDLOCK_VERSION_FLAG 1u
#define LANDLOCK_FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define LANDLOCK_FS_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define LANDLOCK_FS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define LANDLOCK_FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define LANDLOCK_NET_TCP UINT64_C(3)              /* ABI 4: bind and connect */
#define LANDLOCK_SCOPED UINT64_C(3)               /* ABI 6: abstract sockets and signals */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

static bool is_number(const char *text, size_t len, unsigned long *number)
{
    uint64_t value = 0;

    if (!policy_number(text, len, &value) || value > UINT32_MAX - 1)
        return false;
    *number = (unsigned long)value;
    return true;
}

/* No NSS: a static binary has none, and the answer must not depend on the network. */
static const char *find_by_name(const char *name, struct sandbox *sandbox)
{
    FILE *passwd = fopen("/etc/passwd", "re");
    const struct passwd *entry;
    const char *why = "is not in /etc/passwd; write uid:gid where there is no such file";

    if (passwd == NULL)
        return why;
    while ((entry = fgetpwent(passwd)) != NULL) {
        if (strcmp(entry->pw_name, name) != 0)
            continue;
        sandbox->uid = entry->pw_uid;
        sandbox->gid = entry->pw_gid;
        why = NULL;
        break;
    }
    fclose(passwd);
    return why;
}

const char *sandbox_find_user(const char *user, struct sandbox *sandbox)
{
    const char *colon = strchr(user, ':'), *why = NULL;
    unsigned long uid, gid;

    if (colon == NULL) {
        why = find_by_name(user, sandbox);
    } else if (is_number(user, (size_t)(colon - user), &uid) &&
               is_number(colon + 1, strlen(colon + 1), &gid)) {
        sandbox->uid = (uid_t)uid;
        sandbox->gid = (gid_t)gid;
    } else {
        why = "is neither a name nor uid:gid";
    }
    if (why == NULL && (sandbox->uid == 0 || sandbox->gid == 0))
        why = "is root: name a user without rights";
    sandbox->change_user = why == NULL;
    return why;
}

static int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

    return abi < 0 ? 0 : (int)abi;
}

bool sandbox_lacks_layer(void)
{
    return landlock_abi() == 0 || !sandbox_filter_available();
}

void sandbox_missing(char *names, size_t size)
{
    struct text text;
    int abi = landlock_abi();

    text_init(&text, names, size);
    if (abi == 0)
        text_add(&text, "landlock");
    else if (abi < 4)
        text_add(&text, "landlock-network landlock-scopes");
    else if (abi < 6)
        text_add(&text, "landlock-scopes");
    if (!sandbox_filter_available())
        text_addf(&text, "%sseccomp", text.len > 0 ? " " : "");
}

static bool limit(int resource, rlim_t value)
{
    struct rlimit limits = {value, value};

    return setrlimit((__rlimit_resource_t)resource, &limits) == 0;
}

/* A log file on standard error must still grow; anything else there is no file. */
static bool limit_resources(const struct sandbox *sandbox)
{
    struct stat st;
    bool log_is_file = fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);

    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, sandbox->descriptors) &&
           (log_is_file || limit(RLIMIT_FSIZE, 0));
}

static bool become_user(const struct sandbox *sandbox)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    uid_t uid = sandbox->uid;
    gid_t gid = sandbox->gid;

    if (!sandbox->change_user)
        return true;
    /* The bounding set first: changing the user takes away the right to change it. */
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
            return false;
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
        return false;
    if (getresuid(&ruid, &euid, &suid) != 0 || getresgid(&rgid, &egid, &sgid) != 0)
        return false;
    if (ruid != uid || euid != uid || suid != uid || rgid != gid || egid != gid || sgid != gid ||
        setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0) {
        errno = EPERM;
        return false;
    }
    return true;
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, data) == 0;
}

/* Every right that this kernel knows is handled, and no rule gives any back. */
static bool enter_landlock(void)
{
    int abi = landlock_abi();
    struct landlock_ruleset rules = {.handled_access_fs = LANDLOCK_FS_ABI1};
    size_t size = sizeof rules.handled_access_fs;

    if (abi == 0) /* or the rules would be those of the oldest kernel, without a word */
        return false;
    if (abi >= 2)
        rules.handled_access_fs |= LANDLOCK_FS_REFER;
    if (abi >= 3)
        rules.handled_access_fs |= LANDLOCK_FS_TRUNCATE;
    if (abi >= 5)
        rules.handled_access_fs |= LANDLOCK_FS_IOCTL_DEV;
    if (abi >= 4) {
        rules.handled_access_net = LANDLOCK_NET_TCP;
        size += sizeof rules.handled_access_net;
    }
    if (abi >= 6) {
        rules.scoped = LANDLOCK_SCOPED;
        size += sizeof rules.scoped;
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0)
        return false;
    bool good = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    return good;
}

const char *sandbox_enter(const struct sandbox *sandbox)
{
    bool strict = sandbox->mode == CONFIG_SANDBOX_STRICT;

    if (sandbox->mode == CONFIG_SANDBOX_OFF)
        return become_user(sandbox) ? NULL : "user";
    if (!limit_resources(sandbox))
        return "limits";
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return "dumpable";
    if (!become_user(sandbox))
        return "user";
    /* Again: the change of user has made it what fs.suid_dumpable says. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return "dumpable";
    /* Not before the user is changed: the limit counts what that user runs already. */
    if (!limit(RLIMIT_NPROC, 0))
        return "limits";
    if (!drop_capabilities())
        return "capabilities";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "no_new_privs";
    if ((strict || landlock_abi() > 0) && !enter_landlock())
        return "landlock";
    if ((strict || sandbox_filter_available()) && !sandbox_filter_enter())
        return "seccomp";
    return NULL;
}

/* SPDX-License-Identifier: MIT
 * Reading whole files at start-up.
 */
#ifndef FILE_H
#define FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* What tells a file, behind any symbolic links, from what was there before; all zero for none. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

/* A file's bytes, with a NUL behind them that is not counted. */
struct file {
    char *bytes; /* owned; file_free */
    size_t len;
    bool others_may_read;    /* the mode lets everybody on the machine read it */
    struct file_stamp stamp; /* from before the first byte was read */
};

/* Reads a regular file of at most max octets, or standard input if path is "-". NULL when it
 * worked, else why not, as the end of a sentence. */
const char *file_read(const char *path, size_t max, struct file *file);
/* The same, but it also reads a pipe, and waits for whoever writes into it. */
const char *file_read_pipe(const char *path, size_t max, struct file *file);
/* Wipes the bytes, which may be a private key, and frees them. */
void file_free(struct file *file);

struct file_stamp file_stamp(const char *path);
bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);
/* False if the file has changed so shortly before `now` that it could change once more and have the
 * same stamp: clocks of file systems tick slowly. */
bool file_stamp_settled(const struct file_stamp *stamp, time_t now);

/* Mixes a stamp into a number that tells states of several files apart (FNV-1a). */
#define FILE_MIX_START UINT64_C(0xcbf29ce484222325)
uint64_t file_stamp_mix(uint64_t mix, const struct file_stamp *stamp);

#endif

/* SPDX-License-Identifier: MIT
 * Reading whole files at start-up: INI files, certificates, keys, policies to lint. A path may name
 * anything, so what is not a regular file is refused before a byte of it is read; only where
 * nothing waits for the answer may it be a pipe.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
#define TICK_MAX 2 /* seconds: FAT */

static struct file_stamp stamp_of(const struct stat *st)
{
    return (struct file_stamp){.device = st->st_dev,
                               .inode = st->st_ino,
                               .size = st->st_size,
                               .modified = st->st_mtim,
                               .changed = st->st_ctim};
}

static const char *check_type(int fd, bool standard_input, bool pipes, struct file *file)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return strerror(errno);
    if (S_ISDIR(st.st_mode))
        return "is a directory";
    if (!standard_input && !S_ISREG(st.st_mode) && !(pipes && S_ISFIFO(st.st_mode)))
        return "is not a regular file";
    file->others_may_read = (st.st_mode & S_IROTH) != 0;
    file->stamp = stamp_of(&st);
    return NULL;
}

/* Grows by doubling instead of trusting the size that stat gave: the file may be growing, or a
 * pipe. */
static const char *read_all(int fd, size_t max, struct file *file)
{
    size_t size = 0;

    for (;;) {
        if (file->len == size) {
            size = size == 0 ? CHUNK : 2 * size;
            char *bytes = malloc(size + 1);
            if (bytes == NULL)
                return "no memory to read it";
            if (file->bytes != NULL) {
                memcpy(bytes, file->bytes, file->len);
                explicit_bzero(file->bytes, file->len);
                free(file->bytes);
            }
            file->bytes = bytes;
        }
        ssize_t n = read(fd, file->bytes + file->len, size - file->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return strerror(errno);
        if (n == 0)
            break;
        file->len += (size_t)n;
        if (file->len > max)
            return "is too large";
    }
    file->bytes[file->len] = '\0';
    return NULL;
}

static bool is_pipe(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static const char *read_path(const char *path, size_t max, bool pipes, struct file *file)
{
    bool standard_input = strcmp(path, "-") == 0;
    /* Waits for a writer of the pipe, but not for anything else. */
    int wait = pipes && is_pipe(path) ? 0 : O_NONBLOCK;
    int fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | wait);

    *file = (struct file){0};
    if (fd < 0)
        return strerror(errno);
    const char *why = check_type(fd, standard_input, pipes, file);
    if (why == NULL)
        why = read_all(fd, max, file);
    if (!standard_input)
        close(fd);
    if (why != NULL)
        file_free(file);
    return why;
}

const char *file_read(const char *path, size_t max, struct file *file)
{
    return read_path(path, max, false, file);
}

const char *file_read_pipe(const char *path, size_t max, struct file *file)
{
    return read_path(path, max, true, file);
}

void file_free(struct file *file)
{
    if (file->bytes != NULL)
        explicit_bzero(file->bytes, file->len);
    free(file->bytes);
    *file = (struct file){0};
}

struct file_stamp file_stamp(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct file_stamp){0};
    return stamp_of(&st);
}

static bool equal_times(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           equal_times(&a->modified, &b->modified) && equal_times(&a->changed, &b->changed);
}

bool file_stamp_settled(const struct file_stamp *stamp, time_t now)
{
    return stamp->changed.tv_sec < now - TICK_MAX;
}

static uint64_t mix_number(uint64_t mix, uint64_t number)
{
    for (int shift = 0; shift < 64; shift += 8)
        mix = (mix ^ (number >> shift & 0xff)) * UINT64_C(0x100000001b3);
    return mix;
}

uint64_t file_stamp_mix(uint64_t mix, const struct file_stamp *stamp)
{
    mix = mix_number(mix, (uint64_t)stamp->device);
    mix = mix_number(mix, (uint64_t)stamp->inode);
    mix = mix_number(mix, (uint64_t)stamp->size);
    mix = mix_number(mix, (uint64_t)stamp->modified.tv_sec);
    mix = mix_number(mix, (uint64_t)stamp->modified.tv_nsec);
    mix = mix_number(mix, (uint64_t)stamp->changed.tv_sec);
    return mix_number(mix, (uint64_t)stamp->changed.tv_nsec);
}

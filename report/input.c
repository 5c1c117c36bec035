/* SPDX-License-Identifier: MIT
 * From operands to bytes: files, mbox files, Maildirs, directories, standard input. The names in a
 * directory and all that is in the files were chosen by others. Files are read and never mapped:
 * one that shrinks meanwhile does no harm.
 */
#include "report/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "text.h"

#define HEAD_SIZE 4096 /* enough to see what it is */
#define CHUNK_SIZE ((size_t)64 << 10)
#define ENTRIES_MAX 1000000 /* of a directory */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY)

/* What was read of a file and is still needed. */
struct source {
    int fd;
    char *data;
    size_t start, end, size;
    bool eof; /* there is no more, or it cannot be had: then error is not 0 */
    int error;
};

static void source_free(struct source *source)
{
    free(source->data);
}

/* Makes room behind the end, if there is none. */
static bool source_grow(struct source *source, size_t max)
{
    if (source->start > 0) {
        memmove(source->data, source->data + source->start, source->end - source->start);
        source->end -= source->start;
        source->start = 0;
    }
    if (source->end < source->size)
        return true;
    size_t size = source->size < HEAD_SIZE ? HEAD_SIZE : 2 * source->size;
    if (size > max)
        size = max;
    char *data = realloc(source->data, size);
    if (data == NULL)
        return false;
    source->data = data;
    source->size = size;
    return true;
}

/* Reads on until there are `want` octets, or all. */
static void source_fill(struct source *source, size_t want)
{
    while (!source->eof && source->end - source->start < want) {
        if ((source->end == source->size || source->start > 0) && !source_grow(source, want)) {
            source->error = ENOMEM;
            source->eof = true;
            return;
        }
        ssize_t got = read(source->fd, source->data + source->end, source->size - source->end);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            source->error = errno;
        source->eof = got <= 0;
        source->end += got > 0 ? (size_t)got : 0;
    }
}

/* Where the next message begins in data[from..len], from > 0: at a line "From " behind an empty
 * one. len, if it is not in sight. */
static size_t mbox_find(const char *data, size_t len, size_t from)
{
    while (from < len) {
        const char *found = memmem(data + from, len - from, "From ", 5);
        if (found == NULL)
            break;
        from = (size_t)(found - data);
        if (from >= 2 && found[-1] == '\n' &&
            (found[-2] == '\n' || (from >= 3 && found[-2] == '\r' && found[-3] == '\n')))
            return from;
        from++;
    }
    return len;
}

/* A message at a time, in a window that is as large as a message may be. */
static void mbox_read(const struct unpack_sink *sink, const char *name, struct source *source)
{
    size_t limit = unpack_limit(sink, UNPACK_MBOX), from = 1, number = 1;
    bool skip = false; /* this one was too large */
    char place[UNPACK_NAME_SIZE];

    for (;;) {
        size_t len = source->end - source->start, end = len;
        if (len > 0)
            end = mbox_find(source->data + source->start, len, from);
        unpack_name(place, name, "message", number);
        if (end > limit && !skip) {
            unpack_fault_size(sink, place, UNPACK_MBOX);
            skip = true;
        }
        if (end < len || source->eof) {
            if (source->error != 0)
                return;
            if (!skip)
                mail_read(sink, place, source->data + source->start, end);
            if (end == len)
                return;
            source->start += end;
            from = 1;
            number++;
            skip = false;
            continue;
        }
        /* Of one that is skipped the last octets must stay: they may begin what separates. */
        if (skip && len > 8)
            source->start = source->end - 8;
        len = source->end - source->start;
        from = len > 4 ? len - 4 : 1;
        source_fill(source, len + CHUNK_SIZE);
    }
}

static void stream_read(const struct unpack_sink *sink, const char *name, int fd)
{
    struct source source = {.fd = fd};

    source_fill(&source, HEAD_SIZE);
    enum unpack_kind kind = unpack_kind(source.data, source.end);
    if (kind == UNPACK_MBOX)
        mbox_read(sink, name, &source);
    else if (kind != UNPACK_UNKNOWN)
        source_fill(&source, unpack_limit(sink, kind) + 1);
    if (source.error != 0)
        sink->fault(sink->context, name, strerror(source.error));
    else if (kind != UNPACK_MBOX)
        unpack_bytes(sink, name, source.data, source.end);
    source_free(&source);
}

/* A directory that is being read. */
struct level {
    int fd;
    struct arena arena; /* of the names */
    const char **names;
    size_t count, next;
    size_t path_len;
    bool maildir; /* only cur and new are of interest */
    bool leaving; /* what is in here may move away: it is the "new" of a Maildir */
};

struct walk {
    const struct unpack_sink *sink;
    struct level levels[INPUT_DEPTH_MAX];
    size_t depth;
    struct text path;
    char buffer[UNPACK_NAME_SIZE];
};

static void walk_fault(const struct walk *walk, const char *why)
{
    walk->sink->fault(walk->sink->context, walk->path.data, why);
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool level_add(struct level *level, const char *name)
{
    const char **names = arena_grow(&level->arena, level->names, level->count, sizeof *names);

    if (names == NULL)
        return false;
    level->names = names;
    names[level->count] = arena_copy(&level->arena, name, strlen(name));
    return names[level->count] != NULL && ++level->count > 0;
}

/* Adds the names in a directory, without what is hidden. 0 or errno. */
static int level_list(struct walk *walk, struct level *level, DIR *dir)
{
    const struct dirent *entry;

    for (;;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL)
            return errno;
        if (entry->d_name[0] == '.')
            continue;
        if (level->count == ENTRIES_MAX) {
            walk_fault(walk, "too many files in it: the rest is left out");
            return 0;
        }
        if (!level_add(level, entry->d_name))
            return ENOMEM;
    }
}

static void level_read(struct walk *walk, struct level *level)
{
    int fd = openat(level->fd, ".", OPEN_FLAGS | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int error = dir != NULL ? level_list(walk, level, dir) : errno;

    if (error != 0)
        walk_fault(walk, strerror(error));
    if (dir != NULL)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    if (level->count > 0)
        qsort(level->names, level->count, sizeof *level->names, names_compare);
}

static bool is_directory(int fd, const char *name)
{
    struct stat status;

    return fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/* Goes down into the directory that walk->path names. Takes over the descriptor. */
static void walk_down(struct walk *walk, int fd, bool leaving)
{
    static const char *maildir[] = {"new", "cur"};

    if (walk->depth == INPUT_DEPTH_MAX) {
        walk_fault(walk, "directories are nested too deep");
        close(fd);
        return;
    }
    struct level *level = &walk->levels[walk->depth++];
    *level = (struct level){.fd = fd, .path_len = walk->path.len, .leaving = leaving};
    if (is_directory(fd, "cur") && is_directory(fd, "new")) {
        /* A mail program moves what it has seen from new to cur. In this order it is met there, if
         * it was moved meanwhile; in the other one it could be missed. */
        level->maildir = true;
        level->names = maildir;
        level->count = 2;
        return;
    }
    level_read(walk, level);
}

static void walk_up(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];

    close(level->fd);
    arena_free(&level->arena);
}

static const char *mode_fault(mode_t mode)
{
    return S_ISLNK(mode)    ? "a symbolic link in a directory is not followed"
           : S_ISFIFO(mode) ? "a fifo in a directory is not read"
           : S_ISSOCK(mode) ? "a socket is not read"
                            : "a device in a directory is not read";
}

/* One entry of the directory, whose path walk->path has. */
static void walk_entry(struct walk *walk, const struct level *level, const char *name)
{
    struct stat status;
    int fd = -1;

    if (fstatat(level->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
            walk_fault(walk, mode_fault(status.st_mode));
            return;
        }
        /* Should it have become something else meanwhile, nothing is followed and nothing blocks.
         */
        fd = openat(level->fd, name, OPEN_FLAGS | O_NOFOLLOW | O_NONBLOCK);
    }
    if (fd < 0) {
        if (errno != ENOENT || !level->leaving)
            walk_fault(walk, strerror(errno));
        return;
    }
    if (S_ISDIR(status.st_mode)) {
        walk_down(walk, fd, level->maildir && strcmp(name, "new") == 0);
        return;
    }
    stream_read(walk->sink, walk->path.data, fd);
    close(fd);
}

/* Reads all that is below a directory, in the order of bytes. Takes over the descriptor. */
static void walk_run(struct walk *walk, int fd)
{
    walk_down(walk, fd, false);
    while (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        if (level->next == level->count) {
            walk_up(walk);
            continue;
        }
        const char *name = level->names[level->next++];
        walk->path.len = level->path_len;
        walk->path.data[walk->path.len] = '\0';
        if (walk->path.len > 0 && walk->path.data[walk->path.len - 1] != '/')
            text_add(&walk->path, "/");
        text_add(&walk->path, name);
        walk_entry(walk, level, name);
    }
}

bool input_read(const struct unpack_sink *sink, const char *path)
{
    struct walk walk = {.sink = sink};
    struct stat status;

    if (strcmp(path, "-") == 0) {
        stream_read(sink, "standard input", STDIN_FILENO);
        return true;
    }
    int fd = open(path, OPEN_FLAGS);
    if (fd < 0 || fstat(fd, &status) != 0) {
        sink->fault(sink->context, path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (S_ISDIR(status.st_mode)) {
        text_init(&walk.path, walk.buffer, sizeof walk.buffer);
        text_add(&walk.path, path);
        walk_run(&walk, fd);
        return true;
    }
    stream_read(sink, path, fd);
    close(fd);
    return true;
}

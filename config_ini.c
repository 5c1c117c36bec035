/* SPDX-License-Identifier: MIT
 * Reads the INI file through inih. inih cuts long lines and section names, joins indented lines to
 * the value above and merges equal sections, all without a word; so the line reader that feeds it
 * looks at each line first, refuses what inih would change, counts lines and keeps track of the
 * section.
 */
#include <ini.h>
#include <stddef.h>
#include <string.h>

#include "config.h"

#define TOP_LEVEL_MIN 2 /* letters of the shortest top-level domains */

enum section {
    SECTION_NONE,
    SECTION_SERVER,
    SECTION_POLICY,
    SECTION_UNKNOWN, /* complained of once; its keys are passed over */
};

struct reader {
    const char *text;
    size_t len, at;
    unsigned line;
    enum section section;
    struct config *config;
    struct finding_list *findings;
};

/* Where a key's value goes: a struct policy_value or, if it may repeat, a struct policy_values. */
struct key {
    const char *name;
    bool repeats;
    size_t offset;
};

static const struct key server_keys[] = {
    {"listen", true, offsetof(struct config_server, listen)},
    {"certificate", false, offsetof(struct config_server, certificate)},
    {"private_key", false, offsetof(struct config_server, private_key)},
    {"user", false, offsetof(struct config_server, user)},
    {"workers", false, offsetof(struct config_server, workers)},
    {"max_connections", false, offsetof(struct config_server, max_connections)},
    {"max_per_source", false, offsetof(struct config_server, max_per_source)},
    {"timeout", false, offsetof(struct config_server, timeout)},
    {"sandbox", false, offsetof(struct config_server, sandbox)},
    {"log", false, offsetof(struct config_server, log)},
    {"metrics_file", false, offsetof(struct config_server, metrics_file)},
    {NULL, false, 0},
};

static const struct key policy_keys[] = {
    {"domain", true, offsetof(struct config_policy, source.domains)},
    {"version", false, offsetof(struct config_policy, source.version)},
    {"mode", false, offsetof(struct config_policy, source.mode)},
    {"mx", true, offsetof(struct config_policy, source.mx)},
    {"max_age", false, offsetof(struct config_policy, source.max_age)},
    {"rua", true, offsetof(struct config_policy, source.rua)},
    {"serial", false, offsetof(struct config_policy, source.serial)},
    {"previous_max_age", false, offsetof(struct config_policy, source.previous_max_age)},
    {"certificate", false, offsetof(struct config_policy, certificate)},
    {"private_key", false, offsetof(struct config_policy, private_key)},
    {NULL, false, 0},
};

static void complain(struct reader *reader, const char *code, const char *text)
{
    finding_add(reader->findings, FINDING_ERROR, code,
                (struct place){reader->config->path, reader->line, 0}, "%s", text);
}

/* What a section lacks is not said where some of it could not be read. */
static void mark_incomplete(struct reader *reader)
{
    if (reader->section == SECTION_POLICY)
        reader->config->policies[reader->config->policy_count - 1].source.incomplete = true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Nothing but blanks and perhaps a comment. */
static bool is_rest_empty(const char *s, size_t len)
{
    while (len > 0 && is_blank(*s)) {
        s++;
        len--;
    }
    return len == 0 || *s == ';' || *s == '#';
}

static void start_policy(struct reader *reader)
{
    struct config *config = reader->config;
    struct config_policy *policies =
        arena_grow(&config->arena, config->policies, config->policy_count, sizeof *policies);
    if (policies == NULL) {
        reader->findings->out_of_memory = true;
        reader->section = SECTION_UNKNOWN;
        return;
    }
    config->policies = policies;
    config->policies[config->policy_count++] =
        (struct config_policy){.source = {.file = config->path, .line = reader->line}};
    reader->section = SECTION_POLICY;
}

/* "[server]", "[policy]" or "[policy LABEL]"; false if the line must not reach inih. */
static bool read_header(struct reader *reader, const char *line, size_t len)
{
    const char *end = memchr(line, ']', len);
    size_t name_len = end == NULL ? 0 : (size_t)(end - line) - 1;
    const char *name = line + 1;

    reader->section = SECTION_UNKNOWN;
    if (end == NULL || !is_rest_empty(end + 1, len - name_len - 2)) {
        complain(reader, "INI_SYNTAX",
                 "a section header is [server] or [policy LABEL] and nothing behind it");
        return false;
    }
    if (name_len == 6 && memcmp(name, "server", 6) == 0) {
        if (reader->config->server.line != 0) {
            complain(reader, "INI_SECTION", "[server] again: there is one such section");
            return true;
        }
        reader->config->server.line = reader->line;
        reader->section = SECTION_SERVER;
    } else if (name_len >= 6 && memcmp(name, "policy", 6) == 0 &&
               (name_len == 6 || is_blank(name[6]))) {
        start_policy(reader);
    } else {
        complain(reader, "INI_SECTION",
                 "unknown section: only [server] and [policy LABEL] are known");
    }
    return true;
}

/* inih wants "name = value" or "name: value", with the sign before any comment. */
static bool has_separator(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '=' || line[i] == ':')
            return i > 0;
        if (line[i] == ';' && i > 0 && is_blank(line[i - 1]))
            return false;
    }
    return false;
}

static bool has_control_byte(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return true;
    return false;
}

/* A name with an inner dot and letters behind its last one, or an address for reports. A wildcard
 * counts only as the first word: behind others it is mostly explained. */
static bool looks_like_value(const char *word, size_t len, bool first)
{
    if (memmem(word, len, "mailto:", 7) != NULL || memmem(word, len, "https://", 8) != NULL)
        return true;
    while (len > 0 && strchr(".:)\"'", word[len - 1]) != NULL)
        len--;
    const char *dot = memrchr(word, '.', len);
    if (dot == NULL || dot == word || (word[0] == '*' && !first))
        return false;
    size_t top = (size_t)(word + len - dot) - 1;
    for (size_t i = 1; i <= top; i++)
        if (!is_letter(dot[i]) && (i == 1 || strchr("0123456789-", dot[i]) == NULL))
            return false;
    return top >= TOP_LEVEL_MIN;
}

/* "mx = a.example ; b.example": what looks like a second value is a comment, and would be missed.
 */
static void check_comment(struct reader *reader, const char *line, size_t len)
{
    size_t at = 1, words = 0;

    if (strncmp(line, "mx", 2) != 0 && strncmp(line, "domain", 6) != 0 &&
        strncmp(line, "rua", 3) != 0)
        return;
    while (at < len && !(line[at] == ';' && is_blank(line[at - 1])))
        at++;
    while (at < len) {
        size_t end = at;
        while (end < len && !is_blank(line[end]) && line[end] != ';' && line[end] != ',')
            end++;
        if (looks_like_value(line + at, end - at, words == 0)) {
            finding_add(reader->findings, FINDING_WARNING, "INI_COMMENT",
                        (struct place){reader->config->path, reader->line, 0},
                        "\"%.*s\" stands in a comment and is not served: one value a line",
                        (int)(end - at), line + at);
            return;
        }
        words += end > at;
        at = end + 1;
    }
}

/* True if inih may see the line: it will read it as it stands. */
static bool accept_line(struct reader *reader, const char *line, size_t len, size_t max)
{
    if (has_control_byte(line, len))
        complain(reader, "INI_CONTROL", "a NUL or another control byte in the line");
    else if (is_rest_empty(line, len))
        return false;
    else if (len > max)
        finding_add(reader->findings, FINDING_ERROR, "INI_LINE_LONG",
                    (struct place){reader->config->path, reader->line, 0},
                    "the line is longer than %zu octets", max);
    else if (is_blank(line[0]))
        complain(reader, "INI_INDENT",
                 "the line begins with a blank and would be joined to the one above: begin it in "
                 "the first column");
    else if (line[0] == '[')
        return read_header(reader, line, len);
    else if (!has_separator(line, len))
        complain(reader, "INI_SYNTAX", "neither a section header nor \"key = value\"");
    else {
        check_comment(reader, line, len);
        return true;
    }
    mark_incomplete(reader);
    return false;
}

/* fgets for inih: one line, or an empty one in place of a line that was refused. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct reader *reader = stream;
    const char *line = reader->text + reader->at;
    size_t rest = reader->len - reader->at;

    if (rest == 0 || size < 8)
        return NULL;
    const char *lf = memchr(line, '\n', rest);
    size_t len = lf == NULL ? rest : (size_t)(lf - line);
    reader->at += lf == NULL ? len : len + 1;
    reader->line++;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (reader->line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        complain(reader, "INI_CONTROL", "the file begins with a byte order mark: save it without");
        line += 3;
        len -= 3;
    }
    if (!accept_line(reader, line, len, (size_t)size - 3))
        len = 0;
    memcpy(buffer, line, len);
    memcpy(buffer + len, "\n", 2);
    return buffer;
}

static const struct key *find_key(const struct key *keys, const char *name)
{
    for (; keys->name != NULL; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static void store_value(struct reader *reader, const struct key *key, void *base, const char *text)
{
    char *slot = (char *)base + key->offset;
    struct policy_value value = {arena_copy(&reader->config->arena, text, strlen(text)),
                                 reader->line};
    struct policy_values *list = (struct policy_values *)(void *)slot;
    struct policy_value *single = (struct policy_value *)(void *)slot;

    if (key->repeats) {
        struct policy_value *items =
            arena_grow(&reader->config->arena, list->items, list->count, sizeof *items);
        if (items == NULL || value.text == NULL) {
            reader->findings->out_of_memory = true;
            return;
        }
        list->items = items;
        list->items[list->count++] = value;
    } else if (single->text != NULL) {
        finding_add(reader->findings, FINDING_ERROR, "INI_KEY_TWICE",
                    (struct place){reader->config->path, reader->line, 0},
                    "%s again: it is set in line %u already", key->name, single->line);
    } else {
        reader->findings->out_of_memory |= value.text == NULL;
        *single = value;
    }
}

static int read_value(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    struct config *config = reader->config;
    struct place place = {config->path, reader->line, 0};
    bool server = reader->section == SECTION_SERVER;

    (void)section; /* cut and merged by inih; read_header knows it whole */
    if (reader->section == SECTION_NONE)
        complain(reader, "INI_SECTION", "a key before the first section header");
    if (reader->section != SECTION_SERVER && reader->section != SECTION_POLICY)
        return 1;
    const struct key *key = find_key(server ? server_keys : policy_keys, name);
    void *base =
        server ? (void *)&config->server : (void *)&config->policies[config->policy_count - 1];
    if (key == NULL)
        finding_add(reader->findings, FINDING_ERROR, "INI_KEY", place,
                    "unknown key \"%s\" in [%s]%s", name, server ? "server" : "policy",
                    find_key(server ? policy_keys : server_keys, name) == NULL ? ""
                    : server ? ": it belongs into [policy]"
                             : ": it belongs into [server]");
    else if (value[0] == '\0') {
        finding_add(reader->findings, FINDING_ERROR, "INI_VALUE", place, "%s has no value", name);
        mark_incomplete(reader);
    } else
        store_value(reader, key, base, value);
    return 1;
}

void config_read_ini(struct config *config, const char *text, size_t len,
                     struct finding_list *findings)
{
    struct reader reader = {
        .text = text, .len = len, .config = config, .findings = findings, .section = SECTION_NONE};
    size_t errors = findings->errors;
    int result = ini_parse_stream(read_line, &reader, read_value, &reader);

    if (result == -2)
        findings->out_of_memory = true;
    else if (result != 0 && findings->errors == errors)
        finding_add(findings, FINDING_ERROR, "INI_SYNTAX",
                    (struct place){config->path, result > 0 ? (unsigned)result : 0, 0},
                    "the INI parser cannot read this line");
}

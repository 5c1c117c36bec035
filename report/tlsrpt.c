/* SPDX-License-Identifier: MIT
 * One TLS-RPT report from its JSON text. Reporters depart from RFC 8460 in many ways, and anybody
 * can send a report: whatever is missing or of a wrong type is taken for absent, and noted where it
 * matters.
 */
#include "report/tlsrpt.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"
#include "policy.h"
#include "text.h"

#define EXIT_NO_MEMORY 3 /* could not run */
#define PERIOD_MAX (31 * 86400L)
#define COMPARED_MAX 10000 /* elements, of one report; such comparing takes time */

struct reader {
    struct arena *arena;
    struct tlsrpt_report *report;
    char *fault;
    bool out_of_memory;
    const json_t *items[TLSRPT_POLICIES_MAX]; /* that the policies were read from */
    unsigned compared;                        /* with each other */
};

static const char *const type_names[] = {
    [TLSRPT_STS] = "sts",
    [TLSRPT_TLSA] = "tlsa",
    [TLSRPT_NO_POLICY] = "no-policy-found",
    [TLSRPT_OTHER] = "other",
};

static const char *const note_texts[] = {
    "a time without a time zone, taken as UTC",
    "a period that ends before it starts",
    "a count that is missing or none, taken as 0",
    "a count that is too large to be true",
    "failures that do not add up to their total; the total counts",
    "no organization-name; the contact-info stands for it",
    "a policy without its domain",
    "the same policy again, counted once",
    "more policies or failures than are read; the rest is left out",
};

/* A text of a few megabytes can ask for a hundred times its size. jansson must not be refused
 * memory for it: its lexer takes no notice, and writes past the end of what it has. So it gets no
 * more text once it has had as much memory as it may; and without any there is no going on. */
static size_t json_used, json_max;
static bool json_refused;

struct json_source {
    const char *at;
    size_t left;
};

static void *json_allocate(size_t size)
{
    void *block = malloc(size);

    if (block == NULL) {
        fputs("mta-sts-report: out of memory\n", stderr);
        exit(EXIT_NO_MEMORY);
    }
    json_used += malloc_usable_size(block);
    return block;
}

static void json_release(void *block)
{
    json_used -= malloc_usable_size(block);
    free(block);
}

/* Called for a kilobyte of text at a time. */
static size_t json_read(void *buffer, size_t size, void *context)
{
    struct json_source *source = context;
    size_t len = size < source->left ? size : source->left;

    json_refused = json_refused || json_used > json_max;
    if (json_refused)
        return 0;
    if (len > 0)
        memcpy(buffer, source->at, len);
    source->at += len;
    source->left -= len;
    return len;
}

const char *tlsrpt_note_text(unsigned bit)
{
    return note_texts[bit];
}

const char *tlsrpt_type_name(enum tlsrpt_type type)
{
    return type_names[type];
}

static bool fail(struct reader *r, const char *fault)
{
    snprintf(r->fault, TLSRPT_FAULT_SIZE, "%s", fault);
    return false;
}

static const char *keep(struct reader *r, const char *bytes, size_t len)
{
    const char *copy =
        arena_copy(r->arena, bytes, len < TLSRPT_STRING_MAX ? len : TLSRPT_STRING_MAX);

    r->out_of_memory = r->out_of_memory || copy == NULL;
    return copy == NULL ? "" : copy;
}

/* The string of the first key that has one; "" if none does. Drafts had other names. */
static const char *get_string(struct reader *r, const json_t *object, const char *key,
                              const char *draft_key)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value) && draft_key != NULL)
        value = json_object_get(object, draft_key);
    if (json_is_array(value))
        value = json_array_get(value, 0);
    return json_is_string(value) ? keep(r, json_string_value(value), json_string_length(value))
                                 : "";
}

/* Digits in a string count too. */
static bool read_count(const json_t *value, double *count)
{
    const char *text = json_string_value(value);

    if (json_is_number(value)) {
        *count = json_number_value(value);
        return *count >= 0 &&
               (*count > (double)TLSRPT_COUNT_MAX || *count == (double)(int64_t)*count);
    }
    if (text == NULL || *text == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    *count = 0;
    for (; *text != '\0'; text++)
        *count = *count * 10 + (*text - '0');
    return true;
}

/* 0 where there is no count; then *bad is set. */
static int64_t get_count(struct reader *r, const json_t *value, bool *bad)
{
    double count = 0;

    *bad = !read_count(value, &count);
    if (*bad) {
        r->report->notes |= TLSRPT_BAD_COUNT;
        return 0;
    }
    if (count > (double)TLSRPT_COUNT_MAX) {
        r->report->notes |= TLSRPT_HUGE_COUNT;
        return TLSRPT_COUNT_MAX;
    }
    return (int64_t)count;
}

static bool read_dates(struct reader *r, const json_t *root)
{
    const json_t *range = json_object_get(root, "date-range");
    const char *start = json_string_value(json_object_get(range, "start-datetime"));
    const char *end = json_string_value(json_object_get(range, "end-datetime"));
    bool start_zone, end_zone;

    if (start == NULL || !tlsrpt_time(start, &r->report->start, &start_zone))
        return fail(r, "no start-datetime that is a date of the years 2016 to 2099");
    if (end == NULL || !tlsrpt_time(end, &r->report->end, &end_zone))
        return fail(r, "no end-datetime that is a date of the years 2016 to 2099");
    if (!start_zone || !end_zone)
        r->report->notes |= TLSRPT_NO_TIMEZONE;
    if (r->report->end < r->report->start) {
        r->report->notes |= TLSRPT_ENDS_EARLY;
        r->report->end = r->report->start;
    }
    /* Else one report could vouch for years. */
    if (r->report->end - r->report->start > PERIOD_MAX)
        return fail(r, "its period is longer than 31 days");
    return true;
}

/* A name that is compared: lower case. It is a copy of ours. */
static const char *get_name(struct reader *r, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    size_t len = json_string_length(value);
    char *name = len == 0 ? NULL
                          : arena_copy(r->arena, json_string_value(value),
                                       len < TLSRPT_STRING_MAX ? len : TLSRPT_STRING_MAX);

    r->out_of_memory = r->out_of_memory || (len > 0 && name == NULL);
    if (name == NULL)
        return "";
    name_lower(name);
    len = strlen(name);
    if (len > 1 && name[len - 1] == '.')
        name[len - 1] = '\0';
    return name;
}

static enum tlsrpt_type read_type(const char *name)
{
    for (enum tlsrpt_type type = TLSRPT_STS; type < TLSRPT_OTHER; type++)
        if (strcmp(name, type_names[type]) == 0)
            return type;
    return TLSRPT_OTHER;
}

/* The lines of the policy as they would be served: an array of them, or one string. */
static const char *read_policy_text(struct reader *r, const json_t *policy)
{
    const json_t *lines = json_object_get(policy, "policy-string");
    char text[POLICY_BODY_MAX];
    size_t len = 0, count = json_is_array(lines) ? json_array_size(lines) : 1;

    for (size_t i = 0; i < count; i++) {
        const json_t *line = json_is_array(lines) ? json_array_get(lines, i) : lines;
        size_t line_len = json_is_string(line) ? json_string_length(line) : 0;
        if (line_len == 0)
            continue;
        if (line_len > sizeof text - 2 || len > sizeof text - 2 - line_len)
            break;
        memcpy(text + len, json_string_value(line), line_len);
        memcpy(text + len + line_len, "\r\n", 2);
        len += line_len + 2;
    }
    const char *copy = arena_copy(r->arena, text, len);
    r->out_of_memory = r->out_of_memory || copy == NULL;
    return copy == NULL ? "" : copy;
}

static struct tlsrpt_failure read_failure(struct reader *r, const json_t *detail)
{
    const json_t *count = json_object_get(detail, "failed-session-count");
    struct tlsrpt_failure failure = {
        .result = get_name(r, detail, "result-type"),
        .sending_ip = get_string(r, detail, "sending-mta-ip", NULL),
        .mx = get_string(r, detail, "receiving-mx-hostname", "receiving-mx-host-name"),
        .receiving_ip = get_string(r, detail, "receiving-ip", NULL),
        .reason = get_string(r, detail, "failure-reason-code", "failure-error-code")};

    if (count == NULL)
        count = json_object_get(detail, "session-count"); /* of a draft */
    failure.count = get_count(r, count, &failure.uncounted);
    if (failure.result[0] == '\0')
        failure.result = "unknown";
    return failure;
}

static void read_failures(struct reader *r, const json_t *item, struct tlsrpt_policy *policy)
{
    const json_t *details = json_object_get(item, "failure-details");
    size_t count = json_array_size(details);
    int64_t sum = 0;

    if (count > TLSRPT_FAILURES_MAX) {
        r->report->notes |= TLSRPT_TOO_MANY;
        count = TLSRPT_FAILURES_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *detail = json_array_get(details, i);
        if (!json_is_object(detail))
            continue;
        struct tlsrpt_failure *failures =
            arena_grow(r->arena, policy->failures, policy->failure_count, sizeof *failures);
        if (failures == NULL) {
            r->out_of_memory = true;
            return;
        }
        policy->failures = failures;
        failures[policy->failure_count] = read_failure(r, detail);
        sum += failures[policy->failure_count++].count;
    }
    if (count > 0 && sum != policy->failed)
        r->report->notes |= TLSRPT_SUM_DIFFERS;
}

/* Whether the very same element was read before. */
static bool is_again(struct reader *r, const json_t *item, const struct tlsrpt_policy *policy)
{
    for (size_t i = 0; i < r->report->policy_count; i++) {
        const struct tlsrpt_policy *before = &r->report->policies[i];
        if (before->type == policy->type && before->good == policy->good &&
            before->failed == policy->failed && strcmp(before->domain, policy->domain) == 0 &&
            r->compared++ < COMPARED_MAX && json_equal(r->items[i], item))
            return true;
    }
    return false;
}

static void add_policy(struct reader *r, const json_t *item, const struct tlsrpt_policy *policy)
{
    struct tlsrpt_report *report = r->report;
    struct tlsrpt_policy *policies =
        arena_grow(r->arena, report->policies, report->policy_count, sizeof *policies);

    if (policies == NULL) {
        r->out_of_memory = true;
        return;
    }
    report->policies = policies;
    r->items[report->policy_count] = item;
    policies[report->policy_count++] = *policy;
}

/* Adds one element of `policies`, unless it is there already. */
static void read_policy(struct reader *r, const json_t *item)
{
    const json_t *policy = json_object_get(item, "policy");
    const json_t *summary = json_object_get(item, "summary");
    const json_t *failed = json_object_get(summary, "total-failure-session-count");
    struct tlsrpt_policy read = {.type = read_type(get_name(r, policy, "policy-type")),
                                 .domain = get_name(r, policy, "policy-domain")};
    bool bad;

    if (!json_is_object(item)) {
        r->report->notes |= TLSRPT_NO_DOMAIN;
        return;
    }
    read.good = get_count(r, json_object_get(summary, "total-successful-session-count"), &bad);
    read.failed = get_count(r, failed, &bad);
    read.doubtful = bad && failed != NULL && !json_is_null(failed);
    if (is_again(r, item, &read)) {
        r->report->notes |= TLSRPT_TWICE;
        return;
    }
    if (read.domain[0] == '\0')
        r->report->notes |= TLSRPT_NO_DOMAIN;
    read.text = read.type == TLSRPT_STS ? read_policy_text(r, policy) : "";
    read_failures(r, item, &read);
    add_policy(r, item, &read);
}

static bool read_report(struct reader *r, const json_t *root)
{
    const json_t *wrapped = json_object_get(root, "tls-report");
    if (json_is_object(wrapped))
        root = wrapped;
    const json_t *policies = json_object_get(root, "policies");

    if (!json_is_object(root))
        return fail(r, "the JSON text is no object");
    r->report->organization = get_string(r, root, "organization-name", NULL);
    r->report->id = get_string(r, root, "report-id", NULL);
    if (r->report->organization[0] == '\0') {
        r->report->notes |= TLSRPT_NO_ORGANIZATION;
        r->report->organization = get_string(r, root, "contact-info", NULL);
    }
    if (!read_dates(r, root))
        return false;
    if (json_is_array(policies)) {
        size_t count = json_array_size(policies);
        if (count > TLSRPT_POLICIES_MAX) {
            r->report->notes |= TLSRPT_TOO_MANY;
            count = TLSRPT_POLICIES_MAX;
        }
        for (size_t i = 0; i < count; i++)
            read_policy(r, json_array_get(policies, i));
    } else if (json_is_object(json_object_get(root, "policy"))) {
        read_policy(r, root); /* a draft had one policy, at the top */
    } else {
        return fail(r, "no policies: this is no TLS report");
    }
    return !r->out_of_memory || fail(r, "out of memory");
}

/* jansson quotes what stands near the fault. */
static void say_json_error(const json_error_t *error, char fault[TLSRPT_FAULT_SIZE])
{
    struct text text;

    text_init(&text, fault, TLSRPT_FAULT_SIZE);
    if (json_refused) {
        text_add(&text, "its JSON takes more memory than it may have (see --max-size)");
        return;
    }
    text_addf(&text, "not JSON: line %d, column %d: ", error->line, error->column);
    text_add_escaped(&text, error->text, strlen(error->text), "");
}

bool tlsrpt_parse(const char *text, size_t len, size_t memory_max, struct arena *arena,
                  struct tlsrpt_report *report, char fault[TLSRPT_FAULT_SIZE])
{
    struct reader reader = {.arena = arena, .report = report, .fault = fault};
    struct json_source source = {text, len};
    json_error_t error;

    *report = (struct tlsrpt_report){.organization = "", .id = ""};
    json_used = 0;
    json_refused = false;
    json_max = memory_max;
    json_set_alloc_funcs(json_allocate, json_release);
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        source = (struct json_source){text + 3, len - 3};
    /* As real numbers integers cannot be too large to be read. */
    json_t *root = json_load_callback(json_read, &source,
                                      JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    if (root == NULL || json_refused) {
        say_json_error(&error, fault);
        json_decref(root);
        return false;
    }
    bool good = read_report(&reader, root);
    json_decref(root);
    return good;
}

/* SPDX-License-Identifier: MIT
 * metrics.c: whose counters are whose over reloads, and the file in the Prometheus text format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "metrics.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define COUNTERS_MAX 131072 /* of domains; the first is for requests that name none */
#define FILE_MAX 1000000

static char directory[] = "/tmp/mta-stsd-test-XXXXXX";
static char ini_path[64], path[64], temporary[64];
static struct metrics *metrics;

/* A configuration of these domains (ended by NULL), with metrics written to `path`. */
static struct config load(const char *const *domains)
{
    struct finding_list findings = {0};
    struct config config;
    FILE *ini = fopen(ini_path, "w");

    assert_non_null(ini);
    fprintf(ini, "[server]\nmetrics_file = %s\n[policy]\n", path);
    for (; *domains != NULL; domains++)
        fprintf(ini, "domain = %s\n", *domains);
    fputs("mode = testing\nmx = mail.example.com\nmax_age = 604800\n", ini);
    assert_int_equal(fclose(ini), 0);
    if (!config_load(&config, ini_path, &findings))
        finding_print(&findings, stderr);
    assert_true(finding_list_ok(&findings));
    finding_list_free(&findings);
    return config;
}

#define LOAD(...) load((const char *const[]){__VA_ARGS__, NULL})

static unsigned counters_of(const struct config *config, const char *domain)
{
    const struct config_domain *found = config_find_domain(config, domain);

    assert_non_null(found);
    return found->counters;
}

static void count(const struct config *config, const char *domain, enum http_status status)
{
    metrics_count_fetch(metrics, domain == NULL ? NULL : config_find_domain(config, domain),
                        status);
}

/* Writes the file without certificates and returns it; the caller frees it. */
static struct file write_metrics(const struct config *config)
{
    struct finding_list findings = {0};
    struct tls_store *store = tls_store_load(NULL, 0, NULL, 0, &findings);
    struct file file;

    assert_non_null(store);
    if (!metrics_write(metrics, config, store))
        fail_msg("metrics_write: %s", strerror(errno));
    tls_store_free(store);
    assert_null(file_read(path, FILE_MAX, &file));
    return file;
}

static void expect_write_fails(const struct config *config, int error)
{
    struct finding_list findings = {0};
    struct tls_store *store = tls_store_load(NULL, 0, NULL, 0, &findings);

    assert_non_null(store);
    errno = 0;
    bool written = metrics_write(metrics, config, store);
    assert_int_equal(errno, error);
    assert_false(written);
    tls_store_free(store);
}

static bool has_line(const struct file *file, const char *line)
{
    size_t len = strlen(line);

    for (const char *at = file->bytes; (at = strstr(at, line)) != NULL; at++)
        if ((at == file->bytes || at[-1] == '\n') && at[len] == '\n')
            return true;
    return false;
}

static void expect_line(const struct config *config, const char *line, bool there)
{
    struct file file = write_metrics(config);

    if (has_line(&file, line) != there)
        fail_msg("%s: \"%s\" in\n%s", there ? "missing" : "too much", line, file.bytes);
    file_free(&file);
}

static void test_each_domain_has_counters_of_its_own(void **state)
{
    struct config config = LOAD("c.test", "a.test", "b.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    assert_int_equal(counters_of(&config, "c.test"), 1);
    assert_int_equal(counters_of(&config, "a.test"), 2);
    assert_int_equal(counters_of(&config, "b.test"), 3);
    config_free(&config);
}

static void test_a_domain_keeps_its_counters_over_reloads(void **state)
{
    struct config first = LOAD("a.test", "b.test");
    struct config second = LOAD("new.test", "b.test", "a.test");

    (void)state;
    metrics_assign(metrics, &first, NULL);
    count(&first, "a.test", HTTP_OK);
    metrics_assign(metrics, &second, &first);
    assert_int_equal(counters_of(&second, "a.test"), counters_of(&first, "a.test"));
    assert_int_equal(counters_of(&second, "b.test"), counters_of(&first, "b.test"));
    count(&second, "a.test", HTTP_OK);
    expect_line(&second, "mta_stsd_fetches_total{domain=\"a.test\",status=\"200\"} 2", true);
    expect_line(&second, "mta_stsd_fetches_total{domain=\"new.test\",status=\"200\"} 0", true);
    config_free(&first);
    config_free(&second);
}

/* Workers of a generation that is still finishing may count into them. */
static void test_counters_of_a_domain_that_is_gone_are_not_the_next_ones(void **state)
{
    struct config first = LOAD("a.test", "b.test"), second = LOAD("b.test"),
                  third = LOAD("b.test", "c.test");

    (void)state;
    metrics_assign(metrics, &first, NULL);
    metrics_assign(metrics, &second, &first);
    metrics_assign(metrics, &third, &second);
    assert_int_not_equal(counters_of(&third, "c.test"), counters_of(&first, "a.test"));
    config_free(&first);
    config_free(&second);
    config_free(&third);
}

static void test_counters_that_are_taken_again_start_at_zero(void **state)
{
    struct config without = LOAD("b.test"), with = LOAD("b.test", "c.test");
    unsigned first, rounds = 0;

    (void)state;
    metrics_assign(metrics, &with, NULL);
    first = counters_of(&with, "c.test");
    do {
        count(&with, "c.test", HTTP_NOT_FOUND);
        metrics_assign(metrics, &without, &with);
        metrics_assign(metrics, &with, &without);
        assert_int_not_equal(counters_of(&with, "b.test"), counters_of(&with, "c.test"));
    } while (counters_of(&with, "c.test") != first && ++rounds < 200000);
    assert_int_equal(counters_of(&with, "c.test"), first);
    expect_line(&with, "mta_stsd_fetches_total{domain=\"c.test\",status=\"200\"} 0", true);
    expect_line(&with, "mta_stsd_fetches_total{domain=\"c.test\",status=\"404\"} 1", false);
    config_free(&without);
    config_free(&with);
}

static void test_no_two_domains_share_counters_after_a_reload(void **state)
{
    struct config first = LOAD("a.test", "b.test", "c.test");
    struct config second = LOAD("x.test", "c.test", "y.test", "a.test", "z.test");
    uint8_t seen[8] = {0};

    (void)state;
    metrics_assign(metrics, &first, NULL);
    metrics_assign(metrics, &second, &first);
    for (size_t i = 0; i < second.domain_count; i++) {
        assert_in_range(second.domains[i].counters, 1, 6);
        assert_int_equal(seen[second.domains[i].counters]++, 0);
    }
    config_free(&first);
    config_free(&second);
}

static void test_domains_beyond_the_last_counters_share_the_first(void **state)
{
    static struct config_domain domains[COUNTERS_MAX + 1];
    struct config config = {.domains = domains, .domain_count = COUNT_OF(domains)};

    (void)state;
    metrics_assign(metrics, &config, NULL);
    for (unsigned i = 0; i < COUNTERS_MAX - 1; i++)
        assert_int_equal(domains[i].counters, i + 1);
    assert_int_equal(domains[COUNTERS_MAX - 1].counters, 0);
    assert_int_equal(domains[COUNTERS_MAX].counters, 0);
}

static void test_workers_count_for_all(void **state)
{
    struct config config = LOAD("a.test");
    int status;

    (void)state;
    metrics_assign(metrics, &config, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        count(&config, "a.test", HTTP_OK);
        metrics_count(metrics, METRICS_ACCEPTED);
        metrics_count_handshake_failure(metrics, "closed");
        metrics_set_open(metrics, 5, 7);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(metrics_fetches(metrics), 1);
    metrics_set_open(metrics, 6, 1);
    expect_line(&config, "mta_stsd_fetches_total{domain=\"a.test\",status=\"200\"} 1", true);
    expect_line(&config, "mta_stsd_connections_total{event=\"accepted\"} 1", true);
    expect_line(&config, "mta_stsd_handshake_failures_total{reason=\"closed\"} 1", true);
    expect_line(&config, "mta_stsd_connections_open 8", true);
    config_free(&config);
}

static void test_requests_for_no_domain_are_counted_apart(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    expect_line(&config, "mta_stsd_fetches_total{domain=\"\",status=\"421\"} 1", false);
    count(&config, NULL, HTTP_MISDIRECTED_REQUEST);
    expect_line(&config, "mta_stsd_fetches_total{domain=\"\",status=\"421\"} 1", true);
    config_free(&config);
}

static void test_a_reason_without_a_counter_is_other(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    metrics_count_handshake_failure(metrics, "mbedtls_12345");
    metrics_count_handshake_failure(metrics, "");
    expect_line(&config, "mta_stsd_handshake_failures_total{reason=\"other\"} 2", true);
    config_free(&config);
}

static void test_a_worker_number_beyond_the_last_changes_nothing(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    metrics_set_open(metrics, METRICS_WORKERS_MAX, 5);
    expect_line(&config, "mta_stsd_connections_open 0", true);
    metrics_set_open(metrics, METRICS_WORKERS_MAX - 1, 5);
    expect_line(&config, "mta_stsd_connections_open 5", true);
    config_free(&config);
}

static void test_without_counters_nothing_is_counted(void **state)
{
    (void)state;
    metrics_count_fetch(NULL, NULL, HTTP_OK);
    metrics_count(NULL, METRICS_FAILED);
    metrics_count_handshake_failure(NULL, "closed");
    metrics_set_open(NULL, 0, 1);
    metrics_free(NULL);
}

/* With the versions and the id of both policies to be filled in. */
static const char golden[] =
    "# HELP mta_stsd_handshake_failures_total Failed TLS handshakes by reason.\n"
    "# TYPE mta_stsd_handshake_failures_total counter\n"
    "mta_stsd_handshake_failures_total{reason=\"closed\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"reset\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"timeout\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"bad_record\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"protocol_version\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"no_shared_cipher\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"no_application_protocol\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"unrecognized_name\"} 1\n"
    "mta_stsd_handshake_failures_total{reason=\"client_hello\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"decode_error\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"unexpected_message\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"alert_bad_certificate\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"alert_certificate_expired\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"alert_certificate_unknown\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"alert_unknown_ca\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"message_too_large\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"no_memory\"} 0\n"
    "mta_stsd_handshake_failures_total{reason=\"other\"} 0\n"
    "# HELP mta_stsd_connections_total Connections by what became of them.\n"
    "# TYPE mta_stsd_connections_total counter\n"
    "mta_stsd_connections_total{event=\"accepted\"} 0\n"
    "mta_stsd_connections_total{event=\"refused\"} 0\n"
    "mta_stsd_connections_total{event=\"displaced\"} 0\n"
    "mta_stsd_connections_total{event=\"timed_out\"} 1\n"
    "mta_stsd_connections_total{event=\"failed\"} 0\n"
    "# HELP mta_stsd_connections_open Open connections.\n"
    "# TYPE mta_stsd_connections_open gauge\n"
    "mta_stsd_connections_open 0\n"
    "# HELP mta_stsd_reloads_total Reloads that were taken over, or not.\n"
    "# TYPE mta_stsd_reloads_total counter\n"
    "mta_stsd_reloads_total{result=\"bad\"} 1\n"
    "mta_stsd_reloads_total{result=\"good\"} 2\n"
    "# HELP mta_stsd_build_info Versions.\n"
    "# TYPE mta_stsd_build_info gauge\n"
    "mta_stsd_build_info{version=\"%s\",tls=\"%s\"} 1\n"
    "# HELP mta_stsd_fetches_total Answered requests by domain and status.\n"
    "# TYPE mta_stsd_fetches_total counter\n"
    "mta_stsd_fetches_total{domain=\"\",status=\"400\"} 1\n"
    "mta_stsd_fetches_total{domain=\"example.com\",status=\"200\"} 0\n"
    "mta_stsd_fetches_total{domain=\"example.net\",status=\"200\"} 3\n"
    "mta_stsd_fetches_total{domain=\"example.net\",status=\"404\"} 1\n"
    "# HELP mta_stsd_certificate_not_after_seconds When the certificate expires, in Unix time; "
    "0 without one: the domain is not served.\n"
    "# TYPE mta_stsd_certificate_not_after_seconds gauge\n"
    "mta_stsd_certificate_not_after_seconds{domain=\"example.com\"} 0\n"
    "mta_stsd_certificate_not_after_seconds{domain=\"example.net\"} 0\n"
    "# HELP mta_stsd_policy_info The policy id and mode of each domain.\n"
    "# TYPE mta_stsd_policy_info gauge\n"
    "mta_stsd_policy_info{domain=\"example.com\",id=\"%s\",mode=\"testing\"} 1\n"
    "mta_stsd_policy_info{domain=\"example.net\",id=\"%s\",mode=\"testing\"} 1\n";

static void test_the_file_golden(void **state)
{
    struct config config = LOAD("example.com", "example.net");
    char expected[8192];

    (void)state;
    metrics_assign(metrics, &config, NULL);
    for (int i = 0; i < 3; i++)
        count(&config, "example.net", HTTP_OK);
    count(&config, "example.net", HTTP_NOT_FOUND);
    count(&config, NULL, HTTP_BAD_REQUEST);
    metrics_count_handshake_failure(metrics, "unrecognized_name");
    metrics_count(metrics, METRICS_TIMED_OUT);
    metrics_count_reload(metrics, true);
    metrics_count_reload(metrics, true);
    metrics_count_reload(metrics, false);
    const char *id = config.policies[0].id;
    snprintf(expected, sizeof expected, golden, MTA_STSD_VERSION, tls_library_version(), id, id);
    struct file file = write_metrics(&config);
    assert_string_equal(file.bytes, expected);
    file_free(&file);
    config_free(&config);
}

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalpha((unsigned char)text[i]) && text[i] != '_')
            return false;
    return len > 0;
}

/* name="value"[,...] up to the brace; NULL if it is not that. Our values need no escapes. */
static const char *skip_labels(const char *at)
{
    while (*at != '}') {
        size_t name = strcspn(at, "=");
        if (!is_name(at, name) || at[name + 1] != '"')
            return NULL;
        at += name + 2;
        at += strcspn(at, "\"\\\n");
        if (*at++ != '"' || (*at != ',' && *at != '}'))
            return NULL;
        at += *at == ',';
    }
    return at + 1;
}

/* One sample of the family that was described last. */
static bool is_sample(const char *line, const char *family)
{
    size_t len = strlen(family);
    const char *at = line + len;

    if (strncmp(line, family, len) != 0)
        return false;
    if (*at == '{')
        at = skip_labels(at + 1);
    return at != NULL && *at == ' ' && isdigit((unsigned char)at[1]) &&
           strspn(at + 1, "0123456789") == strlen(at + 1);
}

/* Every line is HELP, then TYPE of the same family, then its samples; no family comes twice. */
static void test_the_file_is_well_formed_line_by_line(void **state)
{
    struct config config = LOAD("example.com", "xn--bcher-kva.example");
    char family[128] = "", line[512], families[16][128];
    size_t family_count = 0, samples = 1;

    (void)state;
    metrics_assign(metrics, &config, NULL);
    struct file file = write_metrics(&config);
    assert_int_equal(file.bytes[file.len - 1], '\n');
    for (const char *at = file.bytes; *at != '\0'; at += strlen(line) + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        if (sscanf(line, "# HELP %127s", family) == 1) {
            assert_true(samples > 0);
            for (size_t i = 0; i < family_count; i++)
                assert_string_not_equal(families[i], family);
            assert_true(family_count < COUNT_OF(families));
            memcpy(families[family_count++], family, sizeof family);
            samples = 0;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(samples, 0);
            assert_memory_equal(line + 7, family, strlen(family));
            const char *type = line + 7 + strlen(family);
            assert_true(strcmp(type, " counter") == 0 || strcmp(type, " gauge") == 0);
        } else {
            if (!is_sample(line, family))
                fail_msg("not a sample of %s: %s", family, line);
            samples++;
        }
    }
    assert_int_equal(family_count, 8);
    file_free(&file);
    config_free(&config);
}

static void write_text(const char *name, const char *text)
{
    FILE *out = fopen(name, "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void expect_text(const char *name, const char *text)
{
    struct file file;

    assert_null(file_read(name, FILE_MAX, &file));
    assert_string_equal(file.bytes, text);
    file_free(&file);
}

static bool exists(const char *name)
{
    struct stat st;

    return lstat(name, &st) == 0;
}

static void test_no_temporary_file_is_left(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    struct file file = write_metrics(&config);
    file_free(&file);
    assert_false(exists(temporary));
    config_free(&config);
}

static void test_a_missing_directory_is_an_error(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    config.metrics_file = "/nonexistent/directory/metrics.prom";
    expect_write_fails(&config, ENOENT);
    config_free(&config);
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    struct config config = LOAD("a.test");
    struct rlimit old, small;

    (void)state;
    metrics_assign(metrics, &config, NULL);
    write_text(path, "old\n");
    /* A limit on the size of files fails like a full disk, in the middle of writing. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){100, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_write_fails(&config, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    expect_text(path, "old\n");
    assert_false(exists(temporary));
    config_free(&config);
}

static void test_a_name_that_cannot_be_replaced_is_an_error(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_write_fails(&config, EISDIR);
    assert_false(exists(temporary));
    assert_int_equal(rmdir(path), 0);
    config_free(&config);
}

static void test_a_temporary_name_that_is_taken_for_good_is_an_error(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    write_text(path, "old\n");
    assert_int_equal(mkdir(temporary, 0700), 0);
    expect_write_fails(&config, EISDIR);
    expect_text(path, "old\n");
    assert_int_equal(rmdir(temporary), 0);
    config_free(&config);
}

static void test_a_link_at_the_temporary_name_is_not_followed(void **state)
{
    struct config config = LOAD("a.test");
    char victim[80];
    struct stat st;

    (void)state;
    metrics_assign(metrics, &config, NULL);
    snprintf(victim, sizeof victim, "%s/victim", directory);
    write_text(victim, "precious\n");
    assert_int_equal(symlink(victim, temporary), 0);
    struct file file = write_metrics(&config);
    file_free(&file);
    expect_text(victim, "precious\n");
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_false(exists(temporary));
    unlink(victim);
    config_free(&config);
}

static void test_a_stale_temporary_file_is_replaced(void **state)
{
    struct config config = LOAD("a.test");

    (void)state;
    metrics_assign(metrics, &config, NULL);
    write_text(temporary, "stale\n");
    expect_line(&config, "stale", false);
    assert_false(exists(temporary));
    config_free(&config);
}

static void test_a_name_too_long_for_a_temporary_file_is_an_error(void **state)
{
    struct config config = LOAD("a.test");
    char name[2000];

    (void)state;
    metrics_assign(metrics, &config, NULL);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    config.metrics_file = name;
    expect_write_fails(&config, ENAMETOOLONG);
    config_free(&config);
}

static int make_directory(void **state)
{
    (void)state;
    if (!tls_init() || mkdtemp(directory) == NULL)
        return -1;
    snprintf(ini_path, sizeof ini_path, "%s/a.ini", directory);
    snprintf(path, sizeof path, "%s/metrics.prom", directory);
    snprintf(temporary, sizeof temporary, "%s/metrics.prom.tmp", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    tls_exit();
    unlink(ini_path);
    return rmdir(directory);
}

static int set_up(void **state)
{
    (void)state;
    metrics = metrics_new();
    return metrics == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    metrics_free(metrics);
    unlink(path);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_domain_has_counters_of_its_own),
        TEST(test_a_domain_keeps_its_counters_over_reloads),
        TEST(test_counters_of_a_domain_that_is_gone_are_not_the_next_ones),
        TEST(test_counters_that_are_taken_again_start_at_zero),
        TEST(test_no_two_domains_share_counters_after_a_reload),
        TEST(test_domains_beyond_the_last_counters_share_the_first),
        TEST(test_workers_count_for_all),
        TEST(test_requests_for_no_domain_are_counted_apart),
        TEST(test_a_reason_without_a_counter_is_other),
        TEST(test_a_worker_number_beyond_the_last_changes_nothing),
        TEST(test_without_counters_nothing_is_counted),
        TEST(test_the_file_golden),
        TEST(test_the_file_is_well_formed_line_by_line),
        TEST(test_no_temporary_file_is_left),
        TEST(test_a_missing_directory_is_an_error),
        TEST(test_a_full_disk_leaves_the_old_file),
        TEST(test_a_name_that_cannot_be_replaced_is_an_error),
        TEST(test_a_temporary_name_that_is_taken_for_good_is_an_error),
        TEST(test_a_link_at_the_temporary_name_is_not_followed),
        TEST(test_a_stale_temporary_file_is_replaced),
        TEST(test_a_name_too_long_for_a_temporary_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

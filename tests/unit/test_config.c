/* SPDX-License-Identifier: MIT
 * config.c and its parts: the INI file as values, paths, defaults and complaints; and finding a
 * domain among many. What a policy may be is in test_policy_lint.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "tls.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define POLICY                                                                                     \
    "[policy]\ndomain = example.com\nmode = testing\nmx = mx.example.com\nmax_age = 604800\n"
#define MANY 10000

static char directory[] = "/tmp/mta-stsd-test-XXXXXX";
static char path[64];
static struct config config;
static struct finding_list findings;

static void write_ini(const char *text, size_t len)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static bool load_bytes(const char *text, size_t len)
{
    write_ini(text, len);
    config_free(&config);
    finding_list_free(&findings);
    findings = (struct finding_list){0};
    return config_load(&config, path, &findings);
}

static void load(const char *text)
{
    if (load_bytes(text, strlen(text)))
        return;
    finding_print(&findings, stderr);
    fail_msg("refused:\n%s", text);
}

/* Loads it and wants just this error, at this line. */
static void expect_error(const char *text, unsigned line, const char *code)
{
    bool loaded = load_bytes(text, strlen(text));

    for (size_t i = 0; i < findings.count; i++)
        if (findings.items[i].severity == FINDING_ERROR &&
            (strcmp(findings.items[i].code, code) != 0 || findings.items[i].place.line != line))
            fail_msg("line %u: %s: %s of\n%s", findings.items[i].place.line, findings.items[i].code,
                     findings.items[i].text, text);
    if (loaded || findings.errors != 1)
        fail_msg("%zu errors instead of %s at line %u in\n%s", findings.errors, code, line, text);
}

static void test_defaults(void **state)
{
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    load(POLICY);
    assert_int_equal(config.listen_count, 1);
    address_format(&config.listen[0].address, true, text);
    assert_string_equal(text, "[::]:443");
    assert_int_equal(config.workers, 0); /* one for each CPU */
    assert_int_equal(config.max_connections, 1024);
    assert_int_equal(config.max_per_source, 32);
    assert_int_equal(config.timeout, 10);
    assert_int_equal(config.sandbox, CONFIG_SANDBOX_AUTO);
    assert_int_equal(config.log, LOG_INFO);
    assert_null(config.metrics_file);
    assert_null(config.server.user.text);
    assert_null(config.domains[0].certificate);
    assert_null(config.domains[0].private_key);
}

static void test_every_value_of_the_server(void **state)
{
    char text[ADDRESS_TEXT_SIZE];

    (void)state;
    load("[server]\nlisten = 192.0.2.1:8443\nlisten = [2001:db8::1]:1\nuser = 1:2\nworkers = 64\n"
         "max_connections = 65536\nmax_per_source = 0\ntimeout = 300\nsandbox = strict\n"
         "log = debug\nmetrics_file = /run/metrics.prom\n"
         "certificate = /c.pem\nprivate_key = /k.pem\n" POLICY);
    assert_int_equal(config.listen_count, 2);
    address_format(&config.listen[0].address, true, text);
    assert_string_equal(text, "192.0.2.1:8443");
    assert_int_equal(config.listen[0].line, 2);
    address_format(&config.listen[1].address, true, text);
    assert_string_equal(text, "[2001:db8::1]:1");
    assert_int_equal(config.listen[1].line, 3);
    assert_string_equal(config.server.user.text, "1:2");
    assert_int_equal(config.workers, 64);
    assert_int_equal(config.max_connections, 65536);
    assert_int_equal(config.max_per_source, 0);
    assert_int_equal(config.timeout, 300);
    assert_int_equal(config.sandbox, CONFIG_SANDBOX_STRICT);
    assert_int_equal(config.log, LOG_DEBUG);
    assert_string_equal(config.metrics_file, "/run/metrics.prom");
    assert_string_equal(config.domains[0].certificate, "/c.pem");
    assert_string_equal(config.domains[0].private_key, "/k.pem");
}

static void test_words_of_the_server(void **state)
{
    (void)state;
    load("[server]\nworkers = auto\nsandbox = off\nlog = errors\n" POLICY);
    assert_int_equal(config.workers, 0);
    assert_int_equal(config.sandbox, CONFIG_SANDBOX_OFF);
    assert_int_equal(config.log, LOG_ERROR);
    load("[server]\nsandbox = auto\nlog = requests\n" POLICY);
    assert_int_equal(config.sandbox, CONFIG_SANDBOX_AUTO);
    assert_int_equal(config.log, LOG_INFO);
}

static void test_bad_values_of_the_server(void **state)
{
    static const char *const lines[] = {
        "listen = localhost:443",
        "listen = 443",
        "workers = 0",
        "workers = 65",
        "workers = many",
        "workers = -1",
        "max_connections = 0",
        "max_connections = 65537",
        "max_connections = 99999999999",
        "max_per_source = 65537",
        "timeout = 0",
        "timeout = 301",
        "timeout = 10s",
        "sandbox = on",
        "sandbox = Strict",
        "log = info",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char text[512];
        snprintf(text, sizeof text, "[server]\nuser = 1:1\n%s\n" POLICY, lines[i]);
        expect_error(text, 3, "SERVER_VALUE");
    }
}

static void test_complaints_about_the_ini_file(void **state)
{
    static const struct {
        const char *text, *code;
        unsigned line;
    } cases[] = {
        {"[server]\nport = 443\n" POLICY, "INI_KEY", 2},
        {"[server]\ndomain = example.net\n" POLICY, "INI_KEY", 2},
        {POLICY "listen = [::]:443\n", "INI_KEY", 6},
        {"[server]\nTimeout = 5\n" POLICY, "INI_KEY", 2},
        {"[server]\ntimeout = 5\ntimeout = 6\n" POLICY, "INI_KEY_TWICE", 3},
        {POLICY "mode = enforce\n", "INI_KEY_TWICE", 6},
        {"[server]\ntimeout =\n" POLICY, "INI_VALUE", 2},
        {"[servers]\ntimeout = 5\n" POLICY, "INI_SECTION", 1},
        {"[policyx]\n" POLICY, "INI_SECTION", 1},
        {"[server]\n[server]\n" POLICY, "INI_SECTION", 2},
        {"timeout = 5\n" POLICY, "INI_SECTION", 1},
        {"[server\n" POLICY, "INI_SYNTAX", 1},
        {"[server] timeout = 5\n" POLICY, "INI_SYNTAX", 1},
        {"[server]\ntimeout\n" POLICY, "INI_SYNTAX", 2},
        {"[server]\n= 5\n" POLICY, "INI_SYNTAX", 2},
        {"[server]\n timeout = 5\n" POLICY, "INI_INDENT", 2},
        {"[server]\ntimeout = 5\a\n" POLICY, "INI_CONTROL", 2},
        {"\xef\xbb\xbf[server]\n" POLICY, "INI_CONTROL", 1},
        {"[server]\n", "POLICY_MISSING", 0},
        {"", "POLICY_MISSING", 0},
        {POLICY "domain = EXAMPLE.com\n", "DOMAIN_TWICE", 6},
        {POLICY POLICY, "DOMAIN_TWICE", 7},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_error(cases[i].text, cases[i].line, cases[i].code);
}

static void test_a_nul_is_an_error(void **state)
{
    static const char text[] = "[server]\ntimeout = 5\0 0\n" POLICY;

    (void)state;
    assert_false(load_bytes(text, sizeof text - 1));
    assert_int_equal(findings.errors, 1);
    assert_string_equal(findings.items[0].code, "INI_CONTROL");
    assert_int_equal(findings.items[0].place.line, 2);
}

/* What could not be read is not said to be missing, and is not served either. */
static void test_a_refused_line_does_not_make_a_section_lack_its_value(void **state)
{
    static const char *const lines[] = {"mx = mx.example.com\a", " mx = mx.example.com",
                                        "mx mx.example.com", "mx =", NULL};
    char text[512];

    (void)state;
    for (size_t i = 0; lines[i] != NULL; i++) {
        snprintf(text, sizeof text,
                 "[policy]\ndomain = example.com\nmode = enforce\nmax_age = 1209600\n%s\n",
                 lines[i]);
        assert_false(load_bytes(text, strlen(text)));
        if (findings.count != 1 || findings.items[0].place.line != 5)
            fail_msg("%s: %zu findings", lines[i], findings.count);
    }
}

static void test_what_is_behind_a_byte_order_mark_is_read(void **state)
{
    (void)state;
    assert_false(load_bytes("\xef\xbb\xbf" POLICY, strlen("\xef\xbb\xbf" POLICY)));
    assert_int_equal(findings.errors, 1);
    assert_int_equal(config.domain_count, 1);
}

static void test_an_address_to_listen_on_twice_is_an_error(void **state)
{
    (void)state;
    expect_error("[server]\nlisten = [::1]:443\nlisten = [::1]:80\nlisten = [0:0::1]:443\n" POLICY,
                 4, "SERVER_VALUE");
    load("[server]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:0\n" POLICY);
}

static void test_a_domain_that_is_none_is_not_looked_for(void **state)
{
    static const char text[] =
        "[policy]\ndomain = example.com\ndomain = b_d.example\ndomain = mta-sts.example.net\n"
        "mode = enforce\nmx = mx.example.com\nmax_age = 1209600\n";

    (void)state;
    assert_false(load_bytes(text, sizeof text - 1));
    assert_int_equal(findings.errors, 2);
    assert_int_equal(config.domain_count, 1);
    assert_string_equal(config.domains[0].name, "example.com");
}

static void test_a_line_too_long_is_an_error(void **state)
{
    char text[512], value[300];

    (void)state;
    memset(value, 'x', sizeof value);
    snprintf(text, sizeof text, "[server]\nmetrics_file = /%.*s\n" POLICY, 200, value);
    expect_error(text, 2, "INI_LINE_LONG");
}

static void test_all_errors_are_found_in_one_run(void **state)
{
    (void)state;
    assert_false(load_bytes("[server]\ntimeout = 0\nport = 1\nsandbox = on\n[x]\n" POLICY,
                            strlen("[server]\ntimeout = 0\nport = 1\nsandbox = on\n[x]\n" POLICY)));
    assert_int_equal(findings.errors, 4);
}

static void test_a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    assert_false(config_load(&config, "/nonexistent/a.ini", &findings));
    assert_int_equal(findings.errors, 1);
    assert_string_equal(findings.items[0].code, "INI_FILE");
    assert_string_equal(findings.items[0].text,
                        "cannot read the configuration: No such file or directory");
}

static void test_dos_line_ends_and_comments_change_nothing(void **state)
{
    (void)state;
    load("; a comment\r\n[server]\r\n# another\r\ntimeout = 7 ; behind a value\r\n\r\n"
         "[policy of mine] ; a comment\r\ndomain = example.com\r\nmode = testing\r\n"
         "mx = mx.example.com\r\nmax_age = 604800\r\n");
    assert_int_equal(config.timeout, 7);
    assert_string_equal(config.domains[0].name, "example.com");
}

static void test_each_policy_section_is_a_policy_of_its_own(void **state)
{
    (void)state;
    load(POLICY "[policy]\ndomain = example.net\ndomain = example.org\nmode = enforce\n"
                "mx = mx.example.net\nmax_age = 1209600\n");
    assert_int_equal(config.policy_count, 2);
    assert_int_equal(config.domain_count, 3);
    assert_ptr_equal(config.domains[0].policy, &config.policies[0]);
    assert_ptr_equal(config.domains[1].policy, &config.policies[1]);
    assert_ptr_equal(config.domains[2].policy, &config.policies[1]);
    assert_string_equal(config.policies[0].body,
                        "version: STSv1\r\nmode: testing\r\nmx: mx.example.com\r\n"
                        "max_age: 604800\r\n");
    assert_int_equal(config.policies[0].body_len, strlen(config.policies[0].body));
    assert_int_equal(strlen(config.policies[0].id), POLICY_ID_DIGITS);
    assert_string_not_equal(config.policies[0].id, config.policies[1].id);
}

static void test_a_policy_s_own_certificate_goes_before_the_server_s(void **state)
{
    (void)state;
    load("[server]\ncertificate = /s.pem\nprivate_key = /s.key\n" POLICY
         "[policy]\ndomain = example.net\nmode = testing\nmx = mx.example.net\n"
         "max_age = 604800\ncertificate = /p.pem\n");
    assert_string_equal(config.domains[0].certificate, "/s.pem");
    assert_string_equal(config.domains[0].private_key, "/s.key");
    assert_string_equal(config.domains[1].certificate, "/p.pem");
    assert_string_equal(config.domains[1].private_key, "/s.key");
}

static void test_a_relative_path_is_beside_the_ini_file(void **state)
{
    char expected[128];

    (void)state;
    load("[server]\ncertificate = tls/c.pem\nprivate_key = ../k.pem\nmetrics_file = "
         "m.prom\n" POLICY);
    snprintf(expected, sizeof expected, "%s/tls/c.pem", directory);
    assert_string_equal(config.domains[0].certificate, expected);
    snprintf(expected, sizeof expected, "%s/../k.pem", directory);
    assert_string_equal(config.domains[0].private_key, expected);
    snprintf(expected, sizeof expected, "%s/m.prom", directory);
    assert_string_equal(config.metrics_file, expected);
}

static void test_a_relative_path_of_a_relative_ini_file_stays_relative(void **state)
{
    char old[256];

    (void)state;
    write_ini("[server]\ncertificate = c.pem\n" POLICY,
              strlen("[server]\ncertificate = c.pem\n" POLICY));
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(directory), 0);
    assert_true(config_load(&config, "a.ini", &findings));
    assert_int_equal(chdir(old), 0);
    assert_string_equal(config.domains[0].certificate, "c.pem");
}

static void test_credentials_come_from_their_directory(void **state)
{
    char expected[128];

    (void)state;
    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/mta-stsd.service", 1);
    load("[server]\ncertificate = c.pem\nprivate_key = /etc/k.pem\nmetrics_file = m.prom\n" POLICY);
    assert_string_equal(config.domains[0].certificate, "/run/credentials/mta-stsd.service/c.pem");
    assert_string_equal(config.domains[0].private_key, "/etc/k.pem");
    /* It is for what is read, not for what is written. */
    snprintf(expected, sizeof expected, "%s/m.prom", directory);
    assert_string_equal(config.metrics_file, expected);
}

static void test_host_stands_for_the_policy_host(void **state)
{
    (void)state;
    load("[server]\ncertificate = /live/{host}/{host}.pem\nprivate_key = /{host\n"
         "[policy]\ndomain = Example.COM\ndomain = example.net\nmode = testing\n"
         "mx = mx.example.com\nmax_age = 604800\n");
    assert_string_equal(config.domains[0].certificate,
                        "/live/mta-sts.example.com/mta-sts.example.com.pem");
    assert_string_equal(config.domains[1].certificate,
                        "/live/mta-sts.example.net/mta-sts.example.net.pem");
    assert_string_equal(config.domains[0].private_key, "/{host");
}

static void test_a_path_too_long_is_an_error(void **state)
{
    char text[512] = "", long_path[200] = "/";
    unsigned len = 1;

    (void)state;
    while (len + 6 < 170)
        len += (unsigned)snprintf(long_path + len, sizeof long_path - len, "{host}");
    snprintf(text, sizeof text,
             "[policy]\ndomain = a%050d.example.com\nmode = testing\nmx = mx.example.com\n"
             "max_age = 604800\ncertificate = %s\n",
             0, long_path);
    expect_error(text, 6, "PATH_LONG");
}

static void test_names_are_in_lower_case(void **state)
{
    (void)state;
    load("[policy]\ndomain = Example.COM\nmode = testing\nmx = MX.Example.com\nmax_age = 604800\n");
    assert_string_equal(config.domains[0].name, "example.com");
    assert_string_equal(config.domains[0].host, "mta-sts.example.com");
}

static const struct config_domain *find_host(const char *host)
{
    return config_find_host(&config, host, strlen(host));
}

static void test_a_host_is_found_in_any_case(void **state)
{
    (void)state;
    load(POLICY);
    assert_ptr_equal(find_host("mta-sts.example.com"), &config.domains[0]);
    assert_ptr_equal(find_host("MTA-STS.Example.COM"), &config.domains[0]);
    assert_ptr_equal(config_find_domain(&config, "example.com"), &config.domains[0]);
    assert_ptr_equal(config_find_domain(&config, "EXAMPLE.com"), &config.domains[0]);
}

static void test_other_hosts_are_not_found(void **state)
{
    static const char *const hosts[] = {
        "",
        "example.com",
        "mta-sts.example.co",
        "mta-sts.example.comm",
        "mta-sts.example.com.",
        "mta-sts..example.com",
        "xmta-sts.example.com",
        "sub.mta-sts.example.com",
        "mta-sts",
        "*",
    };
    char longest[400];

    (void)state;
    load(POLICY);
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        assert_null(find_host(hosts[i]));
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_null(find_host(longest));
    assert_null(config_find_domain(&config, longest));
}

static void test_only_the_given_octets_of_a_host_count(void **state)
{
    (void)state;
    load(POLICY);
    assert_ptr_equal(config_find_host(&config, "mta-sts.example.com:443", 19), &config.domains[0]);
    assert_null(config_find_host(&config, "mta-sts.example.com", 18));
}

static void test_nothing_is_found_in_an_empty_configuration(void **state)
{
    (void)state;
    assert_null(find_host("mta-sts.example.com"));
}

static void test_ten_thousand_domains_are_found(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    fputs("[policy]\nmode = testing\nmx = mx.example.com\nmax_age = 604800\n", out);
    /* In an order that is neither that of the names nor its reverse. */
    for (unsigned i = 0; i < MANY; i++)
        fprintf(out, "domain = d%u.example.com\n", i * 7919 % MANY);
    fclose(out);
    assert_true(load_bytes(text, size));
    free(text);
    assert_int_equal(config.domain_count, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char host[64];
        snprintf(host, sizeof host, "mta-sts.d%u.example.com", i);
        const struct config_domain *domain = find_host(host);
        assert_non_null(domain);
        assert_string_equal(domain->host, host);
    }
    assert_null(find_host("mta-sts.d10000.example.com"));
}

static void test_the_stamp_is_that_of_the_file(void **state)
{
    (void)state;
    load(POLICY);
    struct file_stamp stamp = file_stamp(path);
    assert_true(file_stamp_equal(&stamp, &config.stamp));
    write_ini(POLICY "\n", strlen(POLICY "\n"));
    stamp = file_stamp(path);
    assert_false(file_stamp_equal(&stamp, &config.stamp));
}

static int make_directory(void **state)
{
    (void)state;
    if (!tls_init() || mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a.ini", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    tls_exit();
    unlink(path);
    return rmdir(directory);
}

static int reset(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    config_free(&config);
    finding_list_free(&findings);
    findings = (struct finding_list){0};
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_value_of_the_server),
        TEST(test_words_of_the_server),
        TEST(test_bad_values_of_the_server),
        TEST(test_complaints_about_the_ini_file),
        TEST(test_a_nul_is_an_error),
        TEST(test_a_refused_line_does_not_make_a_section_lack_its_value),
        TEST(test_what_is_behind_a_byte_order_mark_is_read),
        TEST(test_an_address_to_listen_on_twice_is_an_error),
        TEST(test_a_domain_that_is_none_is_not_looked_for),
        TEST(test_a_line_too_long_is_an_error),
        TEST(test_all_errors_are_found_in_one_run),
        TEST(test_a_file_that_cannot_be_read_is_an_error),
        TEST(test_dos_line_ends_and_comments_change_nothing),
        TEST(test_each_policy_section_is_a_policy_of_its_own),
        TEST(test_a_policy_s_own_certificate_goes_before_the_server_s),
        TEST(test_a_relative_path_is_beside_the_ini_file),
        TEST(test_a_relative_path_of_a_relative_ini_file_stays_relative),
        TEST(test_credentials_come_from_their_directory),
        TEST(test_host_stands_for_the_policy_host),
        TEST(test_a_path_too_long_is_an_error),
        TEST(test_names_are_in_lower_case),
        TEST(test_a_host_is_found_in_any_case),
        TEST(test_other_hosts_are_not_found),
        TEST(test_only_the_given_octets_of_a_host_count),
        TEST(test_nothing_is_found_in_an_empty_configuration),
        TEST(test_ten_thousand_domains_are_found),
        TEST(test_the_stamp_is_that_of_the_file),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

/* SPDX-License-Identifier: MIT
 * Roots and connections that come to nothing; all else of TLS is tested over real connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls.h"

#define CERTIFICATE "tests/fuzz/fuzz_conn_throwaway_cert.pem"
#define KEY "tests/fuzz/fuzz_conn_throwaway_key.pem"

static void a_bundle_without_a_certificate_is_refused(void **state)
{
    const char *why;

    (void)state;
    assert_null(tls_roots_load(KEY, &why));
    assert_string_equal(why, "holds no PEM certificate");
    assert_null(tls_roots_load("tests/unit/none.pem", &why));
    assert_string_equal(why, "No such file or directory");
}

static void before_a_handshake_there_is_no_peer(void **state)
{
    const char *why;
    struct tls_peer peer;
    struct tls_roots *roots = tls_roots_load(CERTIFICATE, &why);

    (void)state;
    assert_non_null(roots);
    struct tls_conn *conn = tls_conn_new_sender(roots, "mta-sts.example.com", -1);
    assert_non_null(conn);
    assert_false(tls_conn_peer(conn, "mta-sts.example.com", &peer));
    assert_false(peer.chain_ok || peer.name_ok || peer.date_ok);
    assert_string_equal(tls_conn_version(conn), "-");
    assert_int_equal(tls_conn_handshake(conn), TLS_FAILED);
    assert_string_equal(tls_conn_reason(conn), "send_failed");
    tls_conn_free(conn);
    tls_roots_free(roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_without_a_certificate_is_refused),
        cmocka_unit_test(before_a_handshake_there_is_no_peer),
    };

    if (!tls_init())
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    tls_exit();
    return failures;
}

/* The URL of a forward proxy: its parts, what is refused, and that no reason quotes a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/net/proxy_url.h"

static void the_parts_of_a_url(void **state) {
    static const struct {
        const char *text, *server, *host, *port, *user, *password;
    } good[] = {
        {"http://proxy.example:3128", "http://proxy.example:3128", "proxy.example", "3128", NULL,
         NULL},
        {"https://proxy.example/", "https://proxy.example:443", "proxy.example", "443", NULL, NULL},
        {"HTTP://10.1.2.3", "http://10.1.2.3:80", "10.1.2.3", "80", NULL, NULL},
        {"http://[fd00::1]:3128", "http://[fd00::1]:3128", "fd00::1", "3128", NULL, NULL},
        {"http://ess@proxy:1", "http://proxy:1", "proxy", "1", "ess", NULL},
        {"http://e%40s:p%3A%2F%40%25@proxy:1", "http://proxy:1", "proxy", "1", "e@s", "p:/@%"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct proxy_url url = {0};
        struct error err;
        assert_int_equal(proxy_url_parse(good[i].text, &url, &err), 0);
        assert_string_equal(url.server, good[i].server);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.port, good[i].port);
        assert_true(good[i].user ? url.user && strcmp(url.user, good[i].user) == 0 : !url.user);
        assert_true(good[i].password ? url.password && strcmp(url.password, good[i].password) == 0
                                     : !url.password);
        proxy_url_fini(&url);
    }
}

static void what_is_refused_is_not_quoted(void **state) {
    static const char *const bad[] = {
        "proxy:3128",
        "socks5://ess:s3cr3t@proxy:1080",
        "http://",
        "http://ess:s3cr3t@",
        "http://ess:s3cr3t@proxy:0",
        "http://ess:s3cr3t@proxy:65536",
        "http://ess:s3cr3t@proxy:port",
        "http://ess:s3cr3t@proxy:1/path",
        "http://ess:s3cr3t@proxy:1?query",
        "http://ess:s3cr3t@proxy:1#fragment",
        "http://ess:s3cr3t@pro xy:1",
        "http://ess:s3cr3t@pr%C3%B6xy:1",
        "http://ess:s3cr3t%0d%0aX:y@proxy:1",
        "http://ess:s3cr3t%0a@proxy:1",
        "http://ess:s3cr3t%00@proxy:1",
        "http://e%3As:s3cr3t@proxy:1",
        "ess:s3cr3t@proxy:1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct proxy_url url = {0};
        struct error err;
        if (proxy_url_parse(bad[i], &url, &err) == 0)
            fail_msg("%s is taken", bad[i]);
        assert_null(strstr(err.message, "s3cr3t"));
        assert_null(url.server);
        assert_null(url.password);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_url),
        cmocka_unit_test(what_is_refused_is_not_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* systemd's notifications (live/serve/notify.h), to a path and to an abstract name. */
#include "serve/notify.h"
#include "test.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who listens. name: as in NOTIFY_SOCKET. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    if (name[0] == '@') {
        address.sun_path[0] = 0;
    }
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, n), 0);
    return fd;
}

static void hears(int fd, const char *text)
{
    char heard[256];
    ssize_t n = recv(fd, heard, sizeof heard - 1, 0);
    assert_true(n >= 0);
    heard[n] = 0;
    assert_string_equal(heard, text);
}

static void check(const char *name)
{
    sono_serve_notify notify;
    int fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(sono_serve_notify_open(&notify), 0);
    sono_serve_notify_send(&notify, "READY=1");
    sono_serve_notify_send(&notify, "RELOADING=1\nMONOTONIC_USEC=5");
    hears(fd, "READY=1");
    hears(fd, "RELOADING=1\nMONOTONIC_USEC=5");
    for (int i = 0; i < 2000; ++i) { /* nobody reads: it does not wait */
        sono_serve_notify_send(&notify, "WATCHDOG=1");
    }
    close(fd);
    sono_serve_notify_send(&notify, "STOPPING=1"); /* nobody is there: no signal */
    sono_serve_notify_close(&notify);
}

static void test_a_path(void **state)
{
    char path[SONO_TEST_PATH_BYTES];
    (void)state;
    sono_test_path(path, sizeof path, "notify");
    check(path);
}

static void test_an_abstract_name(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "@sonoseg-test-%d", (int)getpid());
    check(name);
}

static void test_nobody_asks(void **state)
{
    sono_serve_notify notify;
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(sono_serve_notify_open(&notify), 0);
    assert_int_equal(notify.fd, -1);
    sono_serve_notify_send(&notify, "READY=1");
    sono_serve_notify_close(&notify);
}

static void test_names_that_are_none(void **state)
{
    sono_serve_notify notify;
    char path[200];
    (void)state;
    memset(path, '/', sizeof path - 1);
    path[sizeof path - 1] = 0;
    const char *const bad[] = {"relative", "/", "@", path};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        errno = 0;
        assert_int_equal(sono_serve_notify_open(&notify), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(notify.fd, -1);
    }
}

static int64_t watchdog(const char *span, const char *pid)
{
    sono_serve_notify notify;
    setenv("NOTIFY_SOCKET", "@nobody", 1);
    setenv("WATCHDOG_USEC", span, 1);
    if (pid) {
        setenv("WATCHDOG_PID", pid, 1);
    } else {
        unsetenv("WATCHDOG_PID");
    }
    assert_int_equal(sono_serve_notify_open(&notify), 0);
    sono_serve_notify_close(&notify);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return notify.watchdog_ns;
}

static void test_watchdog(void **state)
{
    char pid[32];
    (void)state;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_true(watchdog("3000000", NULL) == 3000000000);
    assert_true(watchdog("3000000", pid) == 3000000000);
    assert_true(watchdog("3000000", "1") == 0); /* another process is watched */
    assert_true(watchdog("-5", NULL) == 0 && watchdog("x", NULL) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path),      cmocka_unit_test(test_an_abstract_name),
        cmocka_unit_test(test_nobody_asks), cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_watchdog),
    };
    return sono_test_run("live/notify", tests, sizeof(tests) / sizeof(tests[0]));
}

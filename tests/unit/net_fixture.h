/* A network namespace of the test's own: empty, or with loopback only. */
#ifndef ESS_TESTS_NET_FIXTURE_H
#define ESS_TESTS_NET_FIXTURE_H

#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Moves the process into the namespace. Returns false if the machine does not allow it (not
 * root). */
static bool enter_empty_network(bool loopback) {
    struct ifreq lo = {.ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    memcpy(lo.ifr_name, "lo", 3);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = !loopback || ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    close(fd);
    return up;
}

#endif

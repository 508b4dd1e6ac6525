/* A test delivery: one attempt at an event outside of the log, so that a vendor can check the
 * endpoint. The attempt counts for the throttle. A failure joins the failed attempts, without a
 * cursor. Loop thread only. */
#ifndef ESS_DISPATCHER_TEST_DELIVERY_H
#define ESS_DISPATCHER_TEST_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

struct command;
struct subscriber;
struct test_delivery;

/* Returns true if the command's test has been made. If not, makes the test, and calls
 * commands_apply afterwards. */
bool test_delivery(struct subscriber *s, const struct command *command, int64_t generation);
/* Calls off a test under way. */
void test_delivery_cancel(struct subscriber *s);

#endif

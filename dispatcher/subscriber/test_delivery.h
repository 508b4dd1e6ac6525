/* A test delivery: one attempt at an event that is not in the log, so that a vendor can see whether
 * its endpoint takes what ESS sends. It counts for the throttle; a failure is shown among the
 * failed attempts, without a cursor. Loop thread only. */
#ifndef ESS_DISPATCHER_TEST_DELIVERY_H
#define ESS_DISPATCHER_TEST_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>

struct command;
struct subscriber;
struct test_delivery;

/* Returns true when the test of that command has been made; else makes it, and commands_apply is
 * called when it is. */
bool test_delivery(struct subscriber *s, const struct command *command, int64_t generation);
/* Calls off one under way. */
void test_delivery_cancel(struct subscriber *s);

#endif

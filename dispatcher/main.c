/* ess-dispatcher: follows the log and pushes each subscriber's events to its webhook: signed, in
 * order, throttled, until they are settled. One thread, one loop. */
#include "dispatcher/dispatcher.h"
#include "dispatcher/role.h"

int main(int argc, char **argv) {
    struct dispatcher dispatcher = {0};
    return service_main(&dispatcher.service, &dispatcher_role, &dispatcher, argc, argv);
}

/* ess-ingest: takes events by HTTP, appends them to Kafka and answers when they are there; reads
 * the log for those who ask; brings subscribers' files into Kafka. One thread, one loop. */
#include "ingest/ingest.h"
#include "ingest/role.h"

int main(int argc, char **argv) {
    struct ingest ingest = {0};
    return service_main(&ingest.service, &ingest_role, &ingest, argc, argv);
}

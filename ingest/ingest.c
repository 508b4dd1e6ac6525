/* Readiness and the log's end; see ingest.h. Calls no other part of ess-ingest. */
#include "ingest/ingest.h"

#include "common/model/spec.h"

bool ingest_ready(const struct ingest *ingest) {
    return service_in_force(&ingest->service) && ingest->folder && !ingest->subscribers_trouble &&
           ingest->ids_read && feed_sure(ingest->service.feed);
}

bool ingest_knows_subscribers(const struct ingest *ingest) {
    return ingest->folder && !ingest->service.starting_over && !ingest->service.stopping;
}

int64_t ingest_end(const struct ingest *ingest) {
    int64_t end = ingest->service.feed ? feed_end(ingest->service.feed)
                                       : ingest->service.genesis.end;
    return ingest->acknowledged > end ? ingest->acknowledged : end;
}

int64_t ingest_log_end(const struct ingest *ingest) {
    int64_t end = ingest_end(ingest),
            told = ingest->service.feed ? feed_log_end(ingest->service.feed) : end;
    return told > end ? told : end;
}

struct spec_rules ingest_spec_rules(const struct ingest *ingest) {
    return (struct spec_rules){.allowed = ingest->service.settings.allowed,
                               .allowed_count = ingest->service.settings.allowed_count,
                               .has_signing_key = ingest->service.signing_keys.count > 0};
}

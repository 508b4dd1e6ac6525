/* The way to a subscriber's endpoint. A lane decides what is delivered and when. A channel speaks
 * the endpoint's protocol and judges the endpoint's answer, so that lanes, checkpoints and dead
 * letters know verdicts only. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_CHANNEL_H
#define ESS_DISPATCHER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

enum verdict {
    VERDICT_DELIVERED,  /* the endpoint took the delivery */
    VERDICT_FAILED,     /* try this delivery again later */
    VERDICT_OVERLOADED, /* the endpoint asks for a pause: try no delivery before its end */
    VERDICT_UNANSWERED, /* the endpoint did not answer: back off as for OVERLOADED */
    VERDICT_REFUSED,    /* the endpoint will never take this delivery */
    VERDICT_GONE,       /* the endpoint will never take any */
    /* nothing was sent, since an access token for the endpoint could not be had: the attempt does
     * not count, but the endpoint is backed off as for UNANSWERED, and counts as failing */
    VERDICT_UNSENT,
    VERDICT_CALLED_OFF, /* nothing was learnt of the endpoint: the attempt does not count */
    VERDICTS
};

/* What this process, machine or network lacks, so that no endpoint can be reached. */
enum fault_kind {
    FAULT_NONE,
    FAULT_DESCRIPTORS, /* no descriptor is left */
    FAULT_PORTS,       /* no local port is left for a new connection */
    FAULT_MEMORY,
    FAULT_ROUTE,         /* there is no route to the outside */
    FAULT_NAMES,         /* no name server answers anything */
    FAULT_CA,            /* the CA file cannot be read */
    FAULT_PROXY,         /* the proxy cannot be reached, or does not answer */
    FAULT_PROXY_LOGIN,   /* the proxy does not take the user and password */
    FAULT_PROXY_TLS,     /* the proxy's certificate is wrong, or it speaks no TLS */
    FAULT_PROXY_GATEWAY, /* the proxy does not get through to the outside */
    FAULTS,
};

/* The outcome of one attempt. The texts are valid until `done` returns. */
struct outcome {
    enum verdict verdict; /* on all events of the delivery */
    /* of an endpoint that judges the events of a batch one by one: the verdict on each, in their
     * order. DELIVERED, FAILED, REFUSED, or CALLED_OFF for one that was not sent. NULL: `verdict`
     * holds for all, else for the endpoint */
    const enum verdict *each;
    enum fault_kind fault; /* why the attempt was called off; else FAULT_NONE */
    bool alone;            /* the fault keeps this endpoint alone from being reached */
    /* called off because a kept-alive connection had ended: the next attempt may be made at once,
     * `fresh` */
    bool stale;
    bool connected;         /* the attempt made a new connection */
    int64_t retry_after_ms; /* the pause asked for by the endpoint; 0: none */
    int64_t duration_ms;
    /* for people */
    int status;          /* of the answer, in the endpoint's protocol; 0: there was none */
    const char *error;   /* the failure, for people; NULL if the status says everything */
    const char *excerpt; /* beginning of the answer, printable; NULL: none */
};

enum delivery_kind {
    DELIVERY_LIVE,
    DELIVERY_REPLAY,
    DELIVERY_REDRIVE,
    DELIVERY_TEST,      /* an event outside of the log, without a cursor */
    DELIVERY_HANDSHAKE, /* no event: the body goes as it is; its topic is the handshake's id */
    DELIVERY_HEARTBEAT, /* no event either, and without a topic */
};

/* An event of a batch. */
struct delivery_event {
    int64_t cursor; /* the log's; a test has none */
    size_t at, len; /* where it stands in the body */
};

/* One attempt to deliver an event, or several. The caller keeps the struct in place until `done` is
 * called or the attempt is cancelled. */
struct delivery {
    enum delivery_kind kind;
    int64_t job;    /* of a replay or redrive */
    int64_t cursor; /* the log's, of the last event, where it is one of the log */
    int64_t number; /* of the attempt, from 1 */
    /* of the event; a batch has none of them. Need not stay; traceparent may be empty */
    struct span topic, id, traceparent;
    /* the event in ESS's own form; of a batch {"events":[…]} with such events (delivery.h) */
    struct buf body;
    bool batch; /* the subscriber takes batches, this of one event included */
    struct delivery_event *events;
    size_t events_count, events_cap;
    bool fresh; /* on a new connection */
    /* may free the delivery, send and cancel others */
    void (*done)(struct delivery *delivery, const struct outcome *outcome);
    struct channel *channel; /* the channel of the delivery */
    void *under_way;         /* the channel's own */
};

/* A channel's first member. */
struct channel {
    /* Never calls `done` from within. */
    void (*send)(struct channel *channel, struct delivery *delivery);
    /* Ends an attempt under way: no more bytes go out, and `done` is not called. */
    void (*cancel)(struct channel *channel, struct delivery *delivery);
};

/* Whether the fault is the proxy's. */
static inline bool fault_is_proxys(enum fault_kind fault) {
    return fault >= FAULT_PROXY && fault <= FAULT_PROXY_GATEWAY;
}

static inline void channel_send(struct channel *channel, struct delivery *delivery) {
    delivery->channel = channel;
    channel->send(channel, delivery);
}

/* By the channel that carries it, which need not be its subscriber's any more. */
static inline void channel_cancel(struct delivery *delivery) {
    delivery->channel->cancel(delivery->channel, delivery);
}

#endif

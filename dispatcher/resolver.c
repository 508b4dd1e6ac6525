/* Names by c-ares; see resolver.h. Its sockets and its next time-out are in the loop; what it says at once, from within a
 * call of ours, is told from the loop. */
#include "dispatcher/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { TRY_MS = 2000, TRIES = 2, KEEP_MIN_S = 1, KEEP_MAX_S = 60, NAMES_MAX = 4096 };

/* What is known of a name, or being asked. */
struct resolver_name {
    UT_hash_handle hh;
    struct resolver *resolver;
    char *host;
    bool asking;  /* a query is under way */
    bool is_told; /* its answer is there and to be told: it is in that list */
    struct resolver_name *prev, *next;
    int64_t until_ms;  /* the answer holds */
    struct resolver_answer answer;
    struct resolve *waiting;
};

/* A socket of c-ares's. */
struct channel_socket {
    struct resolver *resolver;
    struct loop_io io;
    struct channel_socket *prev, *next;
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    struct loop_timer timer; /* c-ares's next time-out */
    struct loop_timer tell_timer;
    struct resolver_name *names;
    struct resolver_name *told; /* whose answer is to be told */
    struct channel_socket *sockets;
    bool ending;
};

static void watch_timeout(struct resolver *r) {
    struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);
    if (next)
        loop_timer_set(r->loop, &r->timer, clock_ms() + next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
    else
        loop_timer_clear(r->loop, &r->timer);
}

static void on_timeout(void *arg) {
    struct resolver *r = arg;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    watch_timeout(r);
}

static void on_ready(void *arg, uint32_t events) {
    struct channel_socket *s = arg;
    struct resolver *r = s->resolver;
    ares_socket_t fd = s->io.fd; /* the call may free the socket */
    ares_process_fd(r->channel, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD, events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    watch_timeout(r);
}

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable) {
    struct resolver *r = arg;
    struct channel_socket *s = r->sockets;
    while (s && s->io.fd != fd)
        s = s->next;
    if (!readable && !writable) {
        if (!s)
            return;
        loop_io_clear(r->loop, &s->io);
        DL_DELETE(r->sockets, s);
        free(s);
        return;
    }
    if (!s) {
        s = mem_zero(sizeof *s);
        s->resolver = r;
        s->io.fd = fd;
        DL_APPEND(r->sockets, s);
    }
    loop_io_set(r->loop, &s->io, fd, (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0), on_ready, s);
}

static void name_free(struct resolver_name *name) {
    HASH_DEL(name->resolver->names, name);
    free(name->host);
    free(name);
}

void resolver_forget(struct resolve *resolve) {
    if (resolve->name)
        DL_DELETE(resolve->name->waiting, resolve);
    resolve->name = NULL;
}

/* Tells everybody who waits for an answer that is there. Who asks for that name meanwhile shares it. */
static void tell(void *arg) {
    struct resolver *r = arg;
    for (struct resolver_name *name; (name = r->told);) {
        for (struct resolve *w; (w = name->waiting);) {
            resolver_forget(w);
            w->done(w->arg, &name->answer);
        }
        DL_DELETE(r->told, name);
        name->is_told = false;
    }
}

static void take_addresses(struct resolver_name *name, const struct ares_addrinfo *found) {
    struct resolver_answer *answer = &name->answer;
    int ttl_s = KEEP_MAX_S;
    for (const struct ares_addrinfo_node *n = found->nodes; n && answer->count < RESOLVER_ADDRESSES_MAX; n = n->ai_next) {
        if (n->ai_addrlen > sizeof *answer->addresses || (n->ai_family != AF_INET && n->ai_family != AF_INET6))
            continue;
        memcpy(&answer->addresses[answer->count++], n->ai_addr, n->ai_addrlen);
        ttl_s = n->ai_ttl < ttl_s ? n->ai_ttl : ttl_s;
    }
    name->until_ms = clock_ms() + 1000LL * (ttl_s < KEEP_MIN_S ? KEEP_MIN_S : ttl_s);
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found) {
    struct resolver_name *name = arg;
    (void)timeouts;
    name->asking = false;
    name->is_told = true;
    DL_APPEND(name->resolver->told, name);
    name->answer = (struct resolver_answer){.count = 0};
    if (status == ARES_SUCCESS)
        take_addresses(name, found);
    if (name->answer.count == 0)
        name->answer.error = status == ARES_SUCCESS ? "the name has no address" : ares_strerror(status);
    ares_freeaddrinfo(found);
    if (!name->resolver->ending)
        loop_timer_set(name->resolver->loop, &name->resolver->tell_timer, clock_ms());
}

static void drop_old(struct resolver *r) {
    struct resolver_name *name, *next;
    int64_t now = clock_ms();
    HASH_ITER(hh, r->names, name, next)
        if (!name->asking && !name->is_told && name->until_ms <= now)
            name_free(name);
}

static struct resolver_name *name_of(struct resolver *r, const char *host) {
    struct resolver_name *name;
    HASH_FIND_STR(r->names, host, name);
    if (name)
        return name;
    if (HASH_COUNT(r->names) >= NAMES_MAX)
        drop_old(r);
    name = mem_zero(sizeof *name);
    name->resolver = r;
    name->host = mem_copy_string(host, strlen(host));
    HASH_ADD_KEYPTR(hh, r->names, name->host, strlen(name->host), name);
    return name;
}

const struct resolver_answer *resolver_find(struct resolver *r, struct resolve *resolve, const char *host) {
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct resolver_name *name = name_of(r, host);
    if (!name->asking && name->answer.count && clock_ms() < name->until_ms)
        return &name->answer;
    resolve->name = name;
    DL_APPEND(name->waiting, resolve);
    if (!name->asking && !name->is_told) {
        name->asking = true;
        ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, name); /* may answer at once */
        watch_timeout(r);
    }
    return NULL;
}

/* --- the channel */

static int set_servers(ares_channel channel, const struct option_list *servers, struct error *err) {
    struct buf list = {0};
    for (size_t i = 0; i < servers->count; i++)
        buf_printf(&list, "%s%s", i ? "," : "", servers->items[i]);
    int code = list.len ? ares_set_servers_ports_csv(channel, buf_string(&list)) : ARES_SUCCESS;
    buf_fini(&list);
    return code == ARES_SUCCESS ? 0 : error_set(err, "must be addresses of name servers, such as 127.0.0.1:53: %s", ares_strerror(code));
}

static int open_channel(ares_channel *channel, struct resolver *r, const struct option_list *servers, struct error *err) {
    struct ares_options options = {.timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_socket, .sock_state_cb_data = r};
    int code = ares_library_init(ARES_LIB_INIT_ALL);
    if (code == ARES_SUCCESS)
        code = ares_init_options(channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (code != ARES_SUCCESS)
        return error_set(err, "c-ares: %s", ares_strerror(code));
    if (set_servers(*channel, servers, err) == 0)
        return 0;
    ares_destroy(*channel);
    return error_prefix(err, "egress.dns: ");
}

struct resolver *resolver_new(struct loop *loop, const struct option_list *servers, struct error *err) {
    struct resolver *r = mem_zero(sizeof *r);
    r->loop = loop;
    loop_timer_init(&r->timer, on_timeout, r);
    loop_timer_init(&r->tell_timer, tell, r);
    if (open_channel(&r->channel, r, servers, err)) {
        free(r);
        return NULL;
    }
    return r;
}

void resolver_free(struct resolver *r) {
    struct resolver_name *name, *next;
    if (!r)
        return;
    r->ending = true;
    ares_destroy(r->channel); /* answers all queries, closes all sockets */
    loop_timer_clear(r->loop, &r->timer);
    loop_timer_clear(r->loop, &r->tell_timer);
    HASH_ITER(hh, r->names, name, next) {
        while (name->waiting)
            resolver_forget(name->waiting);
        name_free(name);
    }
    ares_library_cleanup();
    free(r);
}

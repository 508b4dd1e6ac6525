/* Host names by c-ares; see resolver.h. The sockets and the next time-out of c-ares are in the
 * loop. An answer that c-ares gives from within a call is passed on from the loop. */
#include "dispatcher/channel/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum {
    TRY_MS = 2000,
    KEEP_MIN_S = 1,
    KEEP_MAX_S = 60,
    NAMES_MAX = 4096,
    DELAY_MS = 50,
    PROBE_AFTER_MS = 500
};
enum { FAMILY_ADDRESSES_MAX = RESOLVER_ADDRESSES_MAX / 2 };

/* The known addresses of a name, of one family. */
struct family {
    struct resolver_name *name;
    int number;  /* AF_INET or AF_INET6 */
    bool asking; /* a query is under way */
    bool known;  /* the last query was answered */
    bool silent; /* the last query got no answer; neither known nor silent: refused, or failed */
    int status;  /* of c-ares */
    int ttl_s;
    struct sockaddr_storage addresses[FAMILY_ADDRESSES_MAX];
    size_t count;
};

struct resolver_name {
    UT_hash_handle hh;
    struct resolver *resolver;
    char *host;
    struct family ipv6, ipv4;
    struct loop_timer delay; /* limits the wait for the other family's answer */
    bool is_told;            /* in the list of names whose answer is due to be passed on */
    struct resolver_name *prev, *next;
    int64_t until_ms; /* the answer holds */
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
    struct resolver_options options;
    ares_channel channel;
    /* the modification time of resolv.conf as c-ares has read the file */
    struct timespec conf_changed;
    struct loop_timer probe_timer;
    int64_t heard_ms;        /* a name server answered a probe */
    struct loop_timer timer; /* c-ares's next time-out */
    struct loop_timer tell_timer;
    struct resolver_name *names;
    struct resolver_name *told; /* names whose answer is due to be passed on */
    struct channel_socket *sockets;
    bool ending;
};

static void resolver_watch_timeout(struct resolver *r) {
    struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);
    if (next)
        loop_timer_set(r->loop, &r->timer,
                       clock_ms() + next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
    else
        loop_timer_clear(r->loop, &r->timer);
}

static void resolver_on_timeout(void *arg) {
    struct resolver *r = arg;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_watch_timeout(r);
}

static void resolver_on_ready(void *arg, uint32_t events) {
    struct channel_socket *s = arg;
    struct resolver *r = s->resolver;
    ares_socket_t fd = s->io.fd; /* the call may free the socket */
    ares_process_fd(r->channel, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                    events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    resolver_watch_timeout(r);
}

static void resolver_on_socket(void *arg, ares_socket_t fd, int readable, int writable) {
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
    loop_io_set(r->loop, &s->io, fd,
                (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0),
                resolver_on_ready, s);
}

static void name_free(struct resolver_name *name) {
    HASH_DEL(name->resolver->names, name);
    loop_timer_clear(name->resolver->loop, &name->delay);
    free(name->host);
    free(name);
}

void resolver_forget(struct resolve *resolve) {
    if (resolve->name)
        DL_DELETE(resolve->name->waiting, resolve);
    resolve->name = NULL;
}

/* Passes answers on to everybody waiting. A question for the same name meanwhile shares the
 * answer. */
static void resolver_tell(void *arg) {
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

static void resolver_tell_soon(struct resolver_name *name) {
    struct resolver *r = name->resolver;
    loop_timer_clear(r->loop, &name->delay);
    if (name->is_told)
        return;
    name->is_told = true;
    DL_APPEND(r->told, name);
    loop_timer_set(r->loop, &r->tell_timer, clock_ms());
}

static void resolver_on_delay(void *arg) { resolver_tell_soon(arg); }

/* --- a name's two families */

static bool family_has_route(const struct family *f) {
    int fd = socket(f->number, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && connect(fd, (const struct sockaddr *)&f->addresses[0],
                                    sizeof(struct sockaddr_in6)) == 0; /* sends nothing */
    if (fd >= 0)
        close(fd);
    return found;
}

static void name_add(struct resolver_name *name, const struct family *f) {
    memcpy(&name->answer.addresses[name->answer.count], f->addresses,
           f->count * sizeof *f->addresses);
    name->answer.count += f->count;
}

static int64_t name_keep_ms(const struct resolver_name *name) {
    int ttl_s = KEEP_MAX_S;
    if (name->ipv4.count && name->ipv4.ttl_s < ttl_s)
        ttl_s = name->ipv4.ttl_s;
    if (name->ipv6.count && name->ipv6.ttl_s < ttl_s)
        ttl_s = name->ipv6.ttl_s;
    return 1000LL * (ttl_s < KEEP_MIN_S ? KEEP_MIN_S : ttl_s);
}

/* IPv6 first, unless IPv6 is unreachable from here. */
static void name_combine(struct resolver_name *name) {
    const struct family *v4 = &name->ipv4, *v6 = &name->ipv6;
    bool v6_first = v6->count && family_has_route(v6);
    int status = v4->status == ARES_ENODATA || v4->asking ? v6->status : v4->status;
    name->answer.count = 0;
    name->answer.ipv4_known = v4->known;
    name->answer.ipv6_known = v6->known;
    name_add(name, v6_first ? v6 : v4);
    name_add(name, v6_first ? v4 : v6);
    name->answer.error = name->answer.count       ? NULL
                         : status == ARES_SUCCESS ? "the name has no address"
                                                  : ares_strerror(status);
    name->answer.no_server = v4->silent && v6->silent;
    name->until_ms = clock_ms() + name_keep_ms(name);
}

static bool family_take(struct family *f, const struct ares_addrinfo *found) {
    struct sockaddr_storage before[FAMILY_ADDRESSES_MAX];
    size_t count_before = f->count;
    memcpy(before, f->addresses, sizeof before);
    f->count = 0;
    f->ttl_s = KEEP_MAX_S;
    memset(f->addresses, 0, sizeof f->addresses);
    for (const struct ares_addrinfo_node *n = found ? found->nodes : NULL;
         n && f->count < FAMILY_ADDRESSES_MAX; n = n->ai_next) {
        if (n->ai_addrlen > sizeof *f->addresses || n->ai_family != f->number)
            continue;
        memcpy(&f->addresses[f->count++], n->ai_addr, n->ai_addrlen);
        f->ttl_s = n->ai_ttl < f->ttl_s ? n->ai_ttl : f->ttl_s;
    }
    return f->count != count_before || memcmp(before, f->addresses, sizeof before) != 0;
}

/* Decides whether and how long to wait for the other family. */
static void name_go_on(struct resolver_name *name) {
    const struct family *v4 = &name->ipv4, *v6 = &name->ipv6;
    bool both = !v4->asking && !v6->asking;
    if (!name->waiting)
        return;
    if (both || (v6->count && !v6->asking) || (v4->count && !v4->asking && v6->silent))
        resolver_tell_soon(name);
    else if (name->answer.count)
        loop_timer_set(name->resolver->loop, &name->delay, clock_ms() + DELAY_MS);
}

static void family_ask(struct family *f);

static void family_on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found) {
    struct family *f = arg;
    struct resolver_name *name = f->name;
    struct resolver *r = name->resolver;
    (void)timeouts;
    f->asking = false;
    if (r->ending || status == ARES_EDESTRUCTION) {
        ares_freeaddrinfo(found);
        if (!r->ending)
            family_ask(f); /* from the name servers now in resolv.conf */
        return;
    }
    f->status = status;
    f->known = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    f->silent = status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED;
    bool changed = family_take(f, status == ARES_SUCCESS ? found : NULL);
    ares_freeaddrinfo(found);
    name_combine(name);
    if (changed && f->known && r->options.changed)
        r->options.changed(r->options.arg, name->host, &name->answer);
    name_go_on(name);
}

static void family_ask(struct family *f) {
    const struct ares_addrinfo_hints hints = {.ai_family = f->number, .ai_socktype = SOCK_STREAM};
    if (f->asking)
        return;
    f->asking = true;
    ares_getaddrinfo(f->name->resolver->channel, f->name->host, NULL, &hints, family_on_answer,
                     f); /* may answer at once */
}

/* --- is anybody there? */

static void resolver_heard(struct resolver *r, int status) {
    if (status != ARES_ETIMEOUT && status != ARES_ECONNREFUSED && status != ARES_EDESTRUCTION &&
        status != ARES_ECANCELLED)
        r->heard_ms = clock_ms();
}

/* Every name server knows the root's name servers, or refuses the question. c-ares 1.28 has a new
 * function for the question, and a header that warns about the old function. */
#if ARES_VERSION >= 0x011c00
static void resolver_on_probed(void *arg, ares_status_t status, size_t timeouts,
                               const ares_dns_record_t *answer) {
    (void)timeouts, (void)answer;
    resolver_heard(arg, (int)status);
}

static void resolver_probe(struct resolver *r) {
    ares_query_dnsrec(r->channel, ".", ARES_CLASS_IN, ARES_REC_TYPE_NS, resolver_on_probed, r,
                      NULL);
}
#else
static void resolver_on_probed(void *arg, int status, int timeouts, unsigned char *answer,
                               int len) {
    (void)timeouts, (void)answer, (void)len;
    resolver_heard(arg, status);
}

static void resolver_probe(struct resolver *r) {
    enum { CLASS_IN = 1, TYPE_NS = 2 };
    ares_query(r->channel, ".", CLASS_IN, TYPE_NS, resolver_on_probed, r);
}
#endif

static void resolver_on_probe_due(void *arg) {
    struct resolver *r = arg;
    struct resolver_name *name, *next;
    HASH_ITER(hh, r->names, name, next) {
        if (!name->waiting || name->is_told)
            continue;
        resolver_probe(r);
        resolver_watch_timeout(r);
        return;
    }
}

bool resolver_heard_since(const struct resolver *r, int64_t since_ms) {
    return r->heard_ms >= since_ms;
}

static void resolver_drop_old(struct resolver *r) {
    struct resolver_name *name, *next;
    int64_t now = clock_ms();
    HASH_ITER(hh, r->names, name, next)
        if (!name->ipv4.asking && !name->ipv6.asking && !name->waiting && !name->is_told &&
            name->until_ms <= now)
            name_free(name);
}

static struct resolver_name *name_of(struct resolver *r, const char *host) {
    struct resolver_name *name;
    HASH_FIND_STR(r->names, host, name);
    if (name)
        return name;
    if (HASH_COUNT(r->names) >= NAMES_MAX)
        resolver_drop_old(r);
    name = mem_zero(sizeof *name);
    name->resolver = r;
    name->host = mem_copy_string(host, strlen(host));
    name->ipv4 = (struct family){.name = name, .number = AF_INET};
    name->ipv6 = (struct family){.name = name, .number = AF_INET6};
    loop_timer_init(&name->delay, resolver_on_delay, name);
    HASH_ADD_KEYPTR(hh, r->names, name->host, strlen(name->host), name);
    return name;
}

static void resolver_renew(struct resolver *r);

const struct resolver_answer *resolver_find(struct resolver *r, struct resolve *resolve,
                                            const char *host) {
    struct resolver_name *name = name_of(r, host);
    if (name->answer.count && clock_ms() < name->until_ms)
        return &name->answer;
    resolve->name = name;
    DL_APPEND(name->waiting, resolve);
    if (name->is_told || name->delay.slot)
        return NULL;
    resolver_renew(r);
    name->answer.count = 0;
    family_ask(&name->ipv6);
    family_ask(&name->ipv4);
    resolver_watch_timeout(r);
    if (r->probe_timer.slot == 0)
        loop_timer_set(r->loop, &r->probe_timer, clock_ms() + PROBE_AFTER_MS);
    return NULL;
}

/* --- the channel */

static int resolver_set_servers(ares_channel channel, const struct option_list *servers,
                                struct error *err) {
    struct buf list = {0};
    for (size_t i = 0; i < servers->count; i++)
        buf_printf(&list, "%s%s", i ? "," : "", servers->items[i]);
    int code = list.len ? ares_set_servers_ports_csv(channel, buf_string(&list)) : ARES_SUCCESS;
    buf_fini(&list);
    return code == ARES_SUCCESS
               ? 0
               : error_set(err, "must be addresses of name servers, such as 127.0.0.1:53: %s",
                           ares_strerror(code));
}

static const char *resolver_conf(const struct resolver *r) {
    return r->options.resolv_conf ? r->options.resolv_conf : "/etc/resolv.conf";
}

static struct timespec resolver_conf_changed(const struct resolver *r) {
    struct stat found;
    return stat(resolver_conf(r), &found) == 0 ? found.st_ctim : (struct timespec){0};
}

/* Limits a query to about 6 s. c-ares 1.32 and later derive the first time-out from the server's
 * last answers, 250 ms at least, and double the time-out from try to try: five tries then last as
 * long as two tries of 2 s and 4 s before, and a server has time to look a name up. c-ares 1.31
 * and later cache answers, and a probe would believe a dead server. */
static int resolver_set_limits(struct ares_options *options) {
    options->timeout = TRY_MS;
#ifdef ARES_OPT_QUERY_CACHE
    options->tries = 5;
    options->maxtimeout = TRY_MS;
    options->qcache_max_ttl = 0;
    return ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_MAXTIMEOUTMS | ARES_OPT_QUERY_CACHE;
#else
    options->tries = 2;
    return ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
#endif
}

/* Search domains are left out: a URL's host is absolute. */
static int resolver_open_channel(ares_channel *channel, struct resolver *r, struct error *err) {
    struct ares_options options = {.ndomains = 0,
                                   .sock_state_cb = resolver_on_socket,
                                   .sock_state_cb_data = r,
                                   .resolvconf_path = (char *)(uintptr_t)resolver_conf(r)};
    int mask = resolver_set_limits(&options);
    mask |= ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    int code = ares_init_options(channel, &options, mask);
    if (code != ARES_SUCCESS)
        return error_set(err, "c-ares: %s", ares_strerror(code));
    if (resolver_set_servers(*channel, r->options.servers, err) == 0)
        return 0;
    ares_destroy(*channel);
    return error_prefix(err, "egress.dns: ");
}

/* c-ares 1.18 reads resolv.conf when a channel is made. Queries under way are asked again. */
static void resolver_renew(struct resolver *r) {
    struct timespec changed = resolver_conf_changed(r);
    ares_channel channel, old = r->channel;
    struct error err;
    if (r->options.servers->count ||
        (changed.tv_sec == r->conf_changed.tv_sec && changed.tv_nsec == r->conf_changed.tv_nsec))
        return;
    if (resolver_open_channel(&channel, r, &err))
        return; /* the old channel stays until the next question */
    r->conf_changed = changed;
    r->channel = channel;
    ares_destroy(old);
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              struct error *err) {
    struct resolver *r = mem_zero(sizeof *r);
    *r = (struct resolver){.loop = loop, .options = *options};
    loop_timer_init(&r->timer, resolver_on_timeout, r);
    loop_timer_init(&r->tell_timer, resolver_tell, r);
    loop_timer_init(&r->probe_timer, resolver_on_probe_due, r);
    r->conf_changed = resolver_conf_changed(r);
    int code = ares_library_init(ARES_LIB_INIT_ALL);
    if (code == ARES_SUCCESS ? resolver_open_channel(&r->channel, r, err)
                             : error_set(err, "c-ares: %s", ares_strerror(code))) {
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
    loop_timer_clear(r->loop, &r->probe_timer);
    HASH_ITER(hh, r->names, name, next) {
        while (name->waiting)
            resolver_forget(name->waiting);
        name_free(name);
    }
    ares_library_cleanup();
    free(r);
}

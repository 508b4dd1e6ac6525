/* The trie of patterns; see match.h. A node is a position in a topic, a number of segments deep. */
#include "common/model/match.h"

#include <stdbool.h>
#include <stdlib.h>
#include <uthash.h>

#include "common/base/buf.h"
#include "common/model/pattern.h"

struct entry {
    UT_hash_handle hh;
    struct match_member *member;
};

struct node {
    UT_hash_handle hh;
    char *segment;         /* owned */
    struct node *children; /* by segment */
    struct node *any;      /* for a "*" that is not the last segment */
    struct entry *here;    /* patterns that end here */
    struct entry *rest;    /* patterns that end below in "*": one or more segments */
};

struct match {
    struct node root;
    uint64_t run;
};

struct match *match_new(void) { return mem_zero(sizeof(struct match)); }

static void free_entries(struct entry **entries) {
    struct entry *e, *next;
    HASH_ITER(hh, *entries, e, next) {
        HASH_DEL(*entries, e);
        free(e);
    }
}

static void free_inside(struct node *node) {
    struct node *child, *next;
    HASH_ITER(hh, node->children, child, next) {
        HASH_DEL(node->children, child);
        free_inside(child);
        free(child->segment);
        free(child);
    }
    if (node->any)
        free_inside(node->any);
    free(node->any);
    free_entries(&node->here);
    free_entries(&node->rest);
}

void match_free(struct match *match) {
    if (!match)
        return;
    free_inside(&match->root);
    free(match);
}

static struct node *find_child(const struct node *node, struct span segment) {
    struct node *child;
    HASH_FIND(hh, node->children, segment.data, segment.len, child);
    return child;
}

static struct node *match_find_or_add(struct node *node, struct span segment) {
    if (pattern_is_wildcard(segment)) {
        if (!node->any)
            node->any = mem_zero(sizeof *node->any);
        return node->any;
    }
    struct node *child = find_child(node, segment);
    if (!child) {
        child = mem_zero(sizeof *child);
        child->segment = mem_copy_string(segment.data, segment.len);
        HASH_ADD_KEYPTR(hh, node->children, child->segment, segment.len, child);
    }
    return child;
}

void match_add(struct match *match, struct span pattern, struct match_member *member) {
    struct node *node = &match->root;
    struct entry **entries, *entry;
    for (;;) {
        bool last;
        struct span segment = pattern_take_segment(&pattern, &last);
        bool rest = last && pattern_is_wildcard(segment);
        node = rest ? node : match_find_or_add(node, segment);
        entries = rest ? &node->rest : &node->here;
        if (last)
            break;
    }
    HASH_FIND_PTR(*entries, &member, entry);
    if (entry)
        return;
    entry = mem_zero(sizeof *entry);
    entry->member = member;
    HASH_ADD_PTR(*entries, member, entry);
}

static void remove_entry(struct entry **entries, struct match_member *member) {
    struct entry *entry;
    HASH_FIND_PTR(*entries, &member, entry);
    if (!entry)
        return;
    HASH_DEL(*entries, entry);
    free(entry);
}

static bool match_is_empty(const struct node *node) {
    return !node->children && !node->any && !node->here && !node->rest;
}

static void remove_below(struct node *node, struct span pattern, struct match_member *member) {
    bool last;
    struct span segment = pattern_take_segment(&pattern, &last);
    if (last && pattern_is_wildcard(segment)) {
        remove_entry(&node->rest, member);
        return;
    }
    struct node *child = pattern_is_wildcard(segment) ? node->any : find_child(node, segment);
    if (!child)
        return;
    if (last)
        remove_entry(&child->here, member);
    else
        remove_below(child, pattern, member);
    if (!match_is_empty(child))
        return;
    if (child == node->any)
        node->any = NULL;
    else
        HASH_DEL(node->children, child);
    free(child->segment);
    free(child);
}

void match_remove(struct match *match, struct span pattern, struct match_member *member) {
    remove_below(&match->root, pattern, member);
}

void match_add_all(struct match *match, const struct subscription *s, struct match_member *member) {
    for (size_t i = 0; i < s->patterns_count; i++)
        match_add(match, span_of(s->patterns[i]), member);
}

void match_remove_all(struct match *match, const struct subscription *s,
                      struct match_member *member) {
    for (size_t i = 0; i < s->patterns_count; i++)
        match_remove(match, span_of(s->patterns[i]), member);
}

struct visit {
    uint64_t run;
    void (*each)(void *arg, struct match_member *member);
    void *arg;
};

static void match_call(const struct visit *visit, struct entry *entries) {
    for (struct entry *e = entries; e; e = e->hh.next) {
        if (e->member->seen == visit->run)
            continue;
        e->member->seen = visit->run;
        visit->each(visit->arg, e->member);
    }
}

static void match_walk(const struct visit *visit, const struct node *node, struct span topic) {
    bool last;
    struct span segment = pattern_take_segment(&topic, &last);
    struct node *const next[] = {find_child(node, segment), node->any};
    match_call(visit, node->rest);
    for (int i = 0; i < 2; i++) {
        if (next[i] && last)
            match_call(visit, next[i]->here);
        else if (next[i])
            match_walk(visit, next[i], topic);
    }
}

void match_each(struct match *match, struct span topic, void (*each)(void *, struct match_member *),
                void *arg) {
    const struct visit visit = {.run = ++match->run, .each = each, .arg = arg};
    match_walk(&visit, &match->root, topic);
}

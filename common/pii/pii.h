/* The PII filter (HMS-ESQ): rules that remove personal data from an event's `data` before storage.
 *
 *   hash_key: "…"                          # for hash
 *   rules:
 *     - name: patients                     # in log and metrics
 *       topics: ["appointment.*"]
 *       paths: ["patient.ssn", "patients[*].dob"]    # or:  detect: [ssn, email, phone, card]
 *       action: drop                       # or mask, hash
 *
 * Rules apply in order, each to the result of the rules before. A path names members, and elements
 * of arrays by [*]. A name also looks into arrays, nested ones too: a list in place of one object
 * hides nothing. Without an array, [*] is the value itself, or each member of an object: an object
 * in place of a list hides nothing. ["a.b"] is a member whose name is not plain. A path matches
 * values of every type. detect looks into strings and member names (detect.h), and acts on the
 * matched part, or with drop on the whole; numbers are checked for cards. With drop and with mask,
 * a member with a match in its name is dropped: two masked names would be equal.
 *
 *   drop  removes the member or element; of `data` itself, leaves null
 *   mask  leaves "***"
 *   hash  leaves the lower-case hex of HMAC-SHA256, over the text of a string, or over the bytes
 *         of any other value
 *
 * All other bytes stay as they are. Pure, any thread. */
#ifndef ESS_PII_PII_H
#define ESS_PII_PII_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum { PII_FILE_BYTES_MAX = 256 * 1024, PII_RULES_MAX = 100, PII_NAME_BYTES_MAX = 64 };

struct pii;

/* Reads the rules. Returns NULL with "<line>: <field>: <reason>". */
struct pii *pii_read(struct span yaml, struct error *err);
void pii_free(struct pii *pii); /* wipes the key */

size_t pii_count(const struct pii *pii);
const char *pii_name(const struct pii *pii, size_t rule);

/* Filters `data`, which has passed json_scan. Returns true when something was filtered; `out` then
 * holds the result. Calls `told` for each filtered value or part, with the rule and the position,
 * never the content. `path` is the rule's path; for detect, the way to the string, with member
 * names that may be personal data shown as ?. */
bool pii_filter(const struct pii *pii, struct span topic, struct span data, struct buf *out,
                void (*told)(void *arg, size_t rule, const char *path), void *arg);

#endif

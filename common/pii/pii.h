/* The PII filter (HMS-ESQ): rules that take personal data out of an event's `data` before it is
 * stored anywhere.
 *
 *   hash_key: "…"                          # for hash
 *   rules:
 *     - name: patients                     # in log and metrics
 *       topics: ["appointment.*"]
 *       paths: ["patient.ssn", "patients[*].dob"]    # or:  detect: [ssn, email, phone, card]
 *       action: drop                       # or mask, hash
 *
 * The rules are applied one after the other, each to what the ones before have left. A path names
 * members, and elements of arrays by
 * [*]; a name also looks into arrays that it meets, nested ones too, so that a list where one
 * object was expected hides nothing. Where no array is, [*] is what stands there itself, or each
 * member of an object, so that nothing is hidden by one where a list was expected.
 * ["a.b"] is a member whose name is not plain. A path fits values of every type; detect looks into
 * strings and names of members (detect.h), and is about the part that it finds, but for drop;
 * numbers are cards or nothing. A member whose name has a match goes with drop and with mask, since
 * two names that are masked would be one. drop  removes the member or element; of `data` itself it
 * leaves null mask  leaves "***" hash  leaves the lower-case hex of HMAC-SHA256 over the text of a
 * string, or over any other value as it is written All other bytes stay as they are. Pure, any
 * thread. */
#ifndef ESS_MODEL_PII_H
#define ESS_MODEL_PII_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum { PII_FILE_BYTES_MAX = 256 * 1024, PII_RULES_MAX = 100, PII_NAME_BYTES_MAX = 64 };

struct pii;

/* Reads the rules. NULL: err is "<line>: <field>: <reason>". */
struct pii *pii_read(struct span yaml, struct error *err);
void pii_free(struct pii *pii); /* wipes the key */

size_t pii_count(const struct pii *pii);
const char *pii_name(const struct pii *pii, size_t rule);

/* Filters `data`, which has passed json_scan. Returns true when something was filtered: `out` has
 * the rest then. `told` is called for each value, or part of one, that was: the rule, and where,
 * never what. `path` is the rule's own, or of detect the way to the string, where names of members
 * that may be personal data themselves are shown as ?. */
bool pii_filter(const struct pii *pii, struct span topic, struct span data, struct buf *out,
                void (*told)(void *arg, size_t rule, const char *path), void *arg);

#endif

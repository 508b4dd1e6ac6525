/* Writes JSON (RFC 8259) into a buf. A function that puts a value or a member's name places the
 * comma before it where one is due: unless the buffer is empty or ends with `{`, `[` or `:`, which
 * no whole value ends with. There is no state besides the bytes, so one function may begin an
 * object that another goes on with, and members alone, without braces, are good too. Each function
 * is meant to be called in the order of the text; nothing checks that what was begun is ended.
 * Allocates nothing but the buffer's growth. Any thread. */
#ifndef ESS_JSON_WRITER_H
#define ESS_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/span.h"

/* --- values: alone, as an element of a list, or behind json_member */

void json_put_object(struct buf *out); /* begins one */
void json_end_object(struct buf *out);
void json_put_list(struct buf *out); /* begins one */
void json_end_list(struct buf *out);

/* Escapes as buf_json_string does, so that any bytes give a valid string. */
void json_put_string(struct buf *out, const char *text);
void json_put_span(struct buf *out, struct span text);
void json_put_number(struct buf *out, int64_t n);
/* The fewest digits that read as the same number. It must be finite. */
void json_put_real(struct buf *out, double n);
void json_put_bool(struct buf *out, bool truth);
/* A value that is JSON already, or several members or elements with their commas between them;
 * nothing where it is empty. */
void json_put_raw(struct buf *out, struct span json);
void json_put_numbers(struct buf *out, const int64_t *list, size_t count); /* a list of them */
/* For a value that the caller appends himself: the comma before it, where one is due. */
void json_put_comma(struct buf *out);

/* --- members of the object that was begun last */

/* A name, which must need no escapes. Its value is to be put next. */
void json_member(struct buf *out, const char *name);
/* The same for a name as it stands between its quotes in another text, with its escapes. */
void json_member_named(struct buf *out, struct span name);

void json_member_object(struct buf *out, const char *name); /* begins one */
void json_member_list(struct buf *out, const char *name);   /* begins one */
void json_member_string(struct buf *out, const char *name, const char *text);
void json_member_span(struct buf *out, const char *name, struct span text);
void json_member_number(struct buf *out, const char *name, int64_t n);
void json_member_real(struct buf *out, const char *name, double n);
void json_member_bool(struct buf *out, const char *name, bool truth);
void json_member_raw(struct buf *out, const char *name, struct span json);
void json_member_numbers(struct buf *out, const char *name, const int64_t *list, size_t count);

#endif

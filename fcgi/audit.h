/*
 * Stored commands, what became of them, and events (tr:cmds:ID, tr:outs:ID and tr:events in common/rkey.h): read
 * and written as items of an answer. Any bytes are accepted; what no relay would store is none of these. Pure.
 */
#ifndef TELERELAY_FCGI_AUDIT_H
#define TELERELAY_FCGI_AUDIT_H

#include "fcgi/buf.h"
#include "fcgi/item.h"
#include "fcgi/member.h"
#include "fcgi/series.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum audit_kind {
    AUDIT_CONNECTED,
    AUDIT_DISCONNECTED,
    AUDIT_STATUS,
    AUDIT_STOP,
    AUDIT_REARM,
    AUDIT_CONFIRMED,
    AUDIT_CONTROL,
    AUDIT_KINDS
};

extern const char audit_kind_list[]; /* "connected, disconnected, … or control" */

const char *audit_kind_name(enum audit_kind kind);

/* An enum audit_kind, or -1. */
int audit_kind_find(const char *name, size_t len);

struct audit_event {
    enum audit_kind kind;
    const char *device_id; /* within the text: 1..MSG_DEVICE_ID_MAX bytes, valid */
    size_t device_id_len;
};

bool audit_event_read(const char *text, size_t len, struct audit_event *e);

/* A command, or what became of one. */
struct audit_command {
    uint64_t seq;
    struct member outcome; /* a string */
};

bool audit_command_read(const char *text, size_t len, struct audit_command *c);
bool audit_outcome_read(const char *text, size_t len, struct audit_command *c);

/* One outcome, for the item of its command. */
struct audit_stage {
    uint32_t item; /* index of the command */
    struct streamid id;
    const char *text; /* as stored; audit_outcome_read has accepted it */
    size_t len;
};

/* A command that was accepted, with the n outcomes of it in order of time. */
void audit_put_command(struct buf *out, struct item_clock *clock, const char *device_id,
                       const struct series_sample *command, const struct audit_stage *stages, size_t n);

/* An event that was accepted. */
void audit_put_event(struct buf *out, struct item_clock *clock, const struct series_sample *event);

#endif

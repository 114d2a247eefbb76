#include "msg_doc.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* jansson looks at every character for several ns; a picture is kept from it. */
#define BLOB_MIN 4096u

#define STRING(x)  #x
#define DECIMAL(x) STRING(x)

/* Where the string that begins behind `at` ends: at its closing quote, or `end`. */
static const char *skip_string(const char *at, const char *end)
{
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL)
            return end;
        const char *run = quote;
        while (run > at && run[-1] == '\\')
            run--;
        if ((quote - run) % 2 == 0)
            return quote;
        at = quote + 1;
    }
    return end;
}

/* The parser recurses and allocates per level, so that depth is bounded before it sees the text. */
static bool too_deep(const char *buf, size_t len)
{
    int depth = 0;
    const char *end = buf + len;
    for (const char *at = buf; at < end; at++) {
        if (*at == '"') {
            at = skip_string(at + 1, end);
        } else if (*at == '{' || *at == '[') {
            if (++depth > MSG_DEPTH_MAX)
                return true;
        } else if (*at == '}' || *at == ']') {
            depth--;
        }
    }
    return false;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && strchr(" \t\r\n", *at) != NULL)
        at++;
    return at;
}

/* Whether nothing but the outermost object has begun before `at`. */
static bool outermost(const char *buf, const char *at)
{
    const char *brace = memchr(buf, '{', (size_t)(at - buf));
    return brace != NULL && memchr(brace + 1, '{', (size_t)(at - brace - 1)) == NULL &&
           memchr(buf, '[', (size_t)(at - buf)) == NULL;
}

/*
 * The bytes between the quotes of a long "frame_data" that nothing nested comes before, so that it is
 * a member of the outermost object. Without quotes or backslashes in it, the text around it means
 * the same without it.
 */
static const char *find_blob(const char *buf, size_t len, size_t *blob_len)
{
    static const char key[] = "\"frame_data\"";
    const char *end = buf + len;
    const char *at = len > BLOB_MIN ? memmem(buf, len, key, sizeof key - 1) : NULL;
    if (at == NULL || !outermost(buf, at))
        return NULL;
    at = skip_space(at + sizeof key - 1, end);
    if (at == end || *at != ':')
        return NULL;
    at = skip_space(at + 1, end);
    if (at == end || *at != '"')
        return NULL;
    at++;
    const char *quote = memchr(at, '"', (size_t)(end - at));
    if (quote == NULL || (size_t)(quote - at) < BLOB_MIN)
        return NULL;
    *blob_len = (size_t)(quote - at);
    for (const char *c = at; c < quote; c++) {
        if (*c == '\\' || (unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            return NULL;
    }
    return at;
}

static const char *why_not(const json_error_t *error, enum msg_code *code)
{
    *code = MSG_INVALID_MESSAGE;
    if (json_error_code(error) == json_error_numeric_overflow)
        return "a number is too large";
    if (json_error_code(error) == json_error_duplicate_key)
        return "a member may occur only once";
    *code = MSG_INVALID_JSON;
    return msg_code_text(MSG_INVALID_JSON);
}

struct msg_doc *msg_doc_parse(const char *buf, size_t len, enum msg_code *code, const char **text)
{
    json_error_t error;
    size_t blob_len = 0;
    const char *blob = find_blob(buf, len, &blob_len);
    size_t rest = blob != NULL ? len - blob_len : 0;
    struct msg_doc *doc = malloc(sizeof *doc + (blob != NULL ? blob_len + 1 + rest : 0));
    if (doc == NULL) {
        *code = MSG_NOT_STORED;
        *text = "out of memory";
        return NULL;
    }
    *doc = (struct msg_doc){.blob = NULL};
    if (blob != NULL) {
        memcpy(doc->storage, blob, blob_len);
        doc->storage[blob_len] = '\0';
        doc->blob = doc->storage;
        doc->blob_len = blob_len;
        char *around = doc->storage + blob_len + 1;
        size_t before = (size_t)(blob - buf);
        memcpy(around, buf, before);
        memcpy(around + before, blob + blob_len, rest - before);
        buf = around;
        len = rest;
    }
    *code = MSG_INVALID_MESSAGE;
    if (memchr(buf, '\0', len) != NULL) { /* jansson overlooks one behind a number */
        *code = MSG_INVALID_JSON;
        *text = msg_code_text(MSG_INVALID_JSON);
    } else if (too_deep(buf, len)) {
        *text = "objects and arrays may be nested at most " DECIMAL(MSG_DEPTH_MAX) " deep";
    } else if ((doc->root = json_loadb(buf, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error)) == NULL) {
        *text = why_not(&error, code);
    } else if (!json_is_object(doc->root)) {
        *text = "a message must be a JSON object";
    } else {
        *code = MSG_OK;
        return doc;
    }
    msg_doc_destroy(doc);
    return NULL;
}

void msg_doc_destroy(struct msg_doc *doc)
{
    if (doc == NULL)
        return;
    json_decref(doc->root);
    free(doc);
}

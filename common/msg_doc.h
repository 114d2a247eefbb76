/* The parsed text of one message, private to the decoder: jansson's tree, and the picture that was kept out of it. */
#ifndef TELERELAY_MSG_DOC_H
#define TELERELAY_MSG_DOC_H

#include "msg.h"

struct json_t;

struct msg_doc {
    struct json_t *root; /* an object */
    const char *blob;    /* "frame_data" of the outermost object, when it is long; NUL-terminated */
    size_t blob_len;     /* bytes; 0: none, look into `root` */
    char storage[];
};

/* NULL with *code and *text (static) saying why. */
struct msg_doc *msg_doc_parse(const char *buf, size_t len, enum msg_code *code, const char **text);
void msg_doc_destroy(struct msg_doc *doc); /* takes NULL */

#endif

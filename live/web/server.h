// SPDX-License-Identifier: Apache-2.0
/* civetweb, and nothing of it seen elsewhere: sockets, threads, the heads of requests. */
#ifndef SONO_WEB_SERVER_H
#define SONO_WEB_SERVER_H

#include "web/parts.h"

/* web->port is that which was bound. Errors: IO, with what civetweb says. */
sono_status sono_web_server_start(sono_web *web, const char *listen, sono_error *error);
/* Waits until every connection has ended; streams see the hub's end. */
void sono_web_server_stop(sono_web *web);

#endif

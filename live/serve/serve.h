// SPDX-License-Identifier: Apache-2.0
/* The live service: OpenIGTLink images in, masks out, all day (docs/live.md). */
#ifndef SONO_SERVE_SERVE_H
#define SONO_SERVE_SERVE_H

#include "serve/config.h"

/* Runs until SIGTERM or SIGINT (drains) or a failure that a restart must mend; handles these signals and
 * SIGHUP (reload) and ignores SIGPIPE meanwhile. One at a time in a process. Tells systemd of readiness and
 * feeds its watchdog where it asks for that. ready: optional; called once when it listens, with the
 * port, and that of the web page, 0 = none.
 * Returns 0, or 1 with `error`.
 */
int sono_serve_run(const sono_serve_config *config, void (*ready)(void *user, int32_t port, int32_t web_port),
                   void *user, sono_error *error);

/* 1 = this build has the web page; 0: with web.listen set it would not run. */
int sono_serve_has_web(void);

#endif

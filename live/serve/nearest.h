// SPDX-License-Identifier: Apache-2.0
/* "Did you mean": of keys, choices, options and commands. */
#ifndef SONO_SERVE_NEAREST_H
#define SONO_SERVE_NEAREST_H

/* The name nearest to word, NULL when none is near. names: NULL-terminated. */
const char *sono_serve_nearest(const char *word, const char *const *names);

#endif

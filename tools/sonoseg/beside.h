// SPDX-License-Identifier: Apache-2.0
/* What comes with sonoseg and lies in a place that the command knows from its own. */
#ifndef SONOSEG_TOOL_BESIDE_H
#define SONOSEG_TOOL_BESIDE_H

/* "<folder of the command>/<relative>", to be freed; NULL when it cannot be known. */
char *beside_command(const char *relative);

/* 1 = the command lies in its build folder, with the source tree around it. */
int beside_is_build_tree(void);

#endif

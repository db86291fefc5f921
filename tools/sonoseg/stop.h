// SPDX-License-Identifier: Apache-2.0
/* Asked to stop: Ctrl-C, `kill` and a lost terminal let a command finish what it is at. */
#ifndef SONOSEG_TOOL_STOP_H
#define SONOSEG_TOOL_STOP_H

/* From here SIGINT, SIGTERM and SIGHUP are only noted; the second of a kind ends the process at once. A
 * SIGHUP that is ignored (nohup) stays so. */
void stop_watch(void);

/* The exit status of a process that was asked to stop, 128 + the signal's number; 0 = it was not. */
int stop_status(void);

#endif

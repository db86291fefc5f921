// SPDX-License-Identifier: Apache-2.0
/* The subcommands. Each takes its own argument vector (argv[0] = its name) and returns the exit status. */
#ifndef SONOSEG_TOOL_COMMANDS_H
#define SONOSEG_TOOL_COMMANDS_H

/* Who was asked to stop gives stop_status() (stop.h). */
enum exit_status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1, /* some input, checkpoint or output failed; each was named on stderr */
    STATUS_USAGE = 2
};

int cmd_demo(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_phantom(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_audit(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
